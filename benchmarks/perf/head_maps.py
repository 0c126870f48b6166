"""A head of four quantitative maps on disk, as large as the paper's, for the timings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mribench.interfaces import Dataset, Scan, Subject
from mribench.seeding import numpy_generator
from mribench.volumes import Volume, write_volume

SHAPE_VOX = (197, 233, 189)
FILES = {"PD": "pd.nii", "R1": "r1.nii", "R2s": "r2s.nii", "MTsat": "mtsat.nii"}
SHELLS = {1.0: (60, 1.8, 35, 0.4), 0.82: (100, 0.24, 2, 0.02), 0.78: (80, 0.65, 18, 0.8),
          0.6: (70, 1.0, 21, 1.6), 0.2: (100, 0.24, 2, 0.02)}  # fmt: skip
"""Relative radius → PD, R1, R2*, MTsat: skin, fluid, grey matter, white matter, a ventricle."""
IDENTITY = {"name": "head-maps", "distribution": "perf", "source": "", "options": {}}


def write_head(folder: Path) -> None:
    """Write the four maps as float32 NIfTI, 1 mm; air is 0."""
    axes = [np.linspace(-1.15, 1.15, n, dtype=np.float32) for n in SHAPE_VOX]
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    for number, name in enumerate(FILES.values()):
        values = np.zeros(SHAPE_VOX, np.float32)
        for edge, tissue in SHELLS.items():
            values[radius < edge] = tissue[number]
        noise = numpy_generator("head-maps", name).standard_normal(SHAPE_VOX, dtype=np.float32)
        write_volume(folder / name, Volume(values * (1 + 0.05 * noise), np.eye(4)))


class OneHead(Dataset):
    """The head as a cohort of one subject.

    Args:
        folder: where ``write_head`` wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self._scan = Scan("MPM", {name: folder / file for name, file in FILES.items()})

    def missing(self) -> str:
        """Nothing is missing."""
        return ""

    def subjects(self) -> list[Subject]:
        """Return the one subject."""
        return [Subject("head", "0", "", (self._scan,))]
