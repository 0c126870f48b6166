"""Reads every file of a cohort, and sums up what it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mribench.data.inspection import find_unusable, inspect_values
from mribench.data.remarks import scan_remarks
from mribench.interfaces.dataset import Dataset, Exclusion, ScanValues, Subject

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, in all)."""


@dataclass(frozen=True)
class MapChanges:
    """Voxels of one map that reading changed, over all scans."""

    name: str
    scans: int
    clipped_vox: int
    repaired_vox: int
    voxels: int
    """Of all scans that were read, changed or not."""


@dataclass
class Reading:
    """What reading the files of a cohort showed.

    Attributes:
        problems: one sentence for everything that cannot be used.
        odd: remarks on scans that are used all the same.
        clipped: voxels by map.
        repaired: voxels by map.
        changed: scans by map in which either was done.
        voxels: of all scans that were read.
        levels: by what volumes were taken for, the smallest and largest median in the head.
    """

    problems: list[str] = field(default_factory=list)
    odd: list[Exclusion] = field(default_factory=list)
    clipped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    voxels: int = 0
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, values: ScanValues) -> None:
        """Count one scan."""
        self.clipped.update(values.clipped_vox)
        self.repaired.update(values.repaired_vox)
        self.changed.update({*values.clipped_vox, *values.repaired_vox})
        self.voxels += values.voxels
        for name, level in values.levels.items():
            low, high = self.levels.get(name, (level, level))
            self.levels[name] = min(low, level), max(high, level)

    def changes(self) -> tuple[MapChanges, ...]:
        """Return what was changed, by map."""
        return tuple(
            MapChanges(key, self.changed[key], self.clipped[key], self.repaired[key], self.voxels)
            for key in sorted(self.changed)
        )


def read_cohort(
    name: str, dataset: Dataset, people: Sequence[Subject], reader: str, progress: Progress | None
) -> Reading:
    """Read every file of a cohort.

    Args:
        name: of the cohort, for the progress.
        dataset: reads it.
        people: whose files.
        reader: tells versions of the dataset's code apart.
        progress: told how far it is.
    """
    reading = Reading()
    for done, person in enumerate(people, start=1):
        wrong = find_unusable(dataset, person, reader)
        reading.problems += wrong
        for scan in () if wrong else person.scans:
            reading.odd += scan_remarks(dataset, person, scan, reader)
            reading.add(inspect_values(dataset, scan, reader))
        if progress:
            progress(f"reading {name}", done, len(people))
    return reading
