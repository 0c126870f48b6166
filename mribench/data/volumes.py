"""The name that ``mribench.volumes`` had in 0.1, kept for plugins that were written for it."""

from mribench.volumes import (
    Volume,
    cache_dir,
    read_grid_of,
    read_volume,
    resample_to,
    same_grid,
    share_outside,
    sheared,
    target_grid,
    write_volume,
)

__all__ = [
    "Volume", "cache_dir", "read_grid_of", "read_volume", "resample_to", "same_grid", "share_outside",
    "sheared", "target_grid", "write_volume",
]  # fmt: skip
