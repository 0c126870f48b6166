from .cache import cache_dir as cache_dir, sync_tree as sync_tree
from .grids import read_grid_of as read_grid_of, sheared as sheared
from .volume import (
    Volume as Volume,
    read_volume as read_volume,
    resample_to as resample_to,
    same_grid as same_grid,
    share_outside as share_outside,
    target_grid as target_grid,
    write_volume as write_volume,
)
