"""What the datasets that read a folder have in common."""

from __future__ import annotations

import errno
import os
import stat
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from mribench.data.volumes import Volume, read_grid_of, read_volume, same_grid
from mribench.errors import DataError
from mribench.interfaces import Dataset, Exclusion, Options, Scan, ScanValues, Subject


class FolderOptions(Options):
    """Where a cohort lies, and who named its subjects."""

    root: Path | None = Field(
        None, description="folder of the cohort; by default from the environment (MRIBENCH_<NAME>)"
    )

    namespace: str = Field(
        "",
        description="cohorts of one archive share it, others must not; by default the dataset's name",
    )

    @field_validator("root", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("root")
    @classmethod
    def _somebody_is_at_home(cls, value: Path | None) -> Path | None:
        return known_home(value)


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        subjects: with at least one scan each.
        excluded: left out, and why.
        remarks: odd, and used all the same.
        ignored: number of image files that are no inputs, by kind.
    """

    subjects: list[Subject] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)
    remarks: list[Exclusion] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


class FolderDataset(Dataset):
    """A cohort in one folder, read once.

    Attributes:
        name: as the benchmark file writes it.
        namespace: who named the subjects.
        root: the folder, or None when nobody said where it is.
    """

    name: str
    title: str

    def __init__(self, options: FolderOptions) -> None:
        self.options = options
        self.namespace = options.namespace or self.name
        self.root = options.root.expanduser() if options.root is not None else from_environment(self.name)

    @abstractmethod
    def find(self, root: Path) -> Found:
        """Return what is in the cohort's folder."""

    def missing(self) -> str:
        """Return one sentence on what is not there and where to get it, or an empty string."""
        where = f"get it from {self.source} (licence: {self.licence})"
        variable = f"MRIBENCH_{self.name.upper()}"
        if self.root is None:
            return f"{self.title}: no folder given; {where} and set 'root' or {variable}"
        if not self.root.is_dir():
            return f"{self.title}: there is no folder {self.root}; {where} and set 'root' or {variable}"
        return ""

    def where(self) -> str:
        """Return the folder in which the files lie, or an empty string."""
        return "" if self.root is None else str(self.root)

    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name.

        Raises:
            DataError: when the cohort is not there, or its folder holds nothing usable.
        """
        problem = self.missing()
        if problem:
            raise DataError(problem)
        if not self._found.subjects:
            raise DataError(
                f"{self.title}: {self.root} holds no usable scan of it{self._reasons()}",
                f"give the folder that holds the files; {self.source} has them (licence: {self.licence})",
            )
        return self._found.subjects

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return self._found.excluded

    def remarks(self) -> Sequence[Exclusion]:
        """Return what is odd on disk and used all the same."""
        return self._found.remarks

    def ignored(self) -> Mapping[str, int]:
        """Return how many image files are no inputs, by kind, the largest number first."""
        return dict(self._found.ignored.most_common())

    def reading_options(self) -> Mapping[str, object]:
        """Return none: the options only say where the files are and who named the subjects."""
        return {}

    def read_labels(self, scan: Scan, label: str) -> Volume:
        """Read a label as class memberships ``(C, I, J, K)`` in 0..1, on its own grid, in RAS.

        Raises:
            DataError: when the scan has no such label, its files differ in grid, or values leave 0..1.
        """
        if label not in scan.labels:
            raise DataError(f"{scan.sequence} scan {_first(scan)} has no label '{label}'")
        paths = scan.labels[label]
        volumes = [read_volume(path, allow_constant=True) for path in paths]
        for path, volume in zip(paths, volumes, strict=True):
            if not same_grid(volume, volumes[0]):
                raise DataError(f"{path} and {paths[0]} are not on one grid", "resample one to the other")
            if volume.data.min() < -0.01 or volume.data.max() > 1.01:
                low, high = volume.data.min(), volume.data.max()
                raise DataError(
                    f"{path} has values from {low:.3g} to {high:.3g}, expected 0..1",
                    "scale the memberships to 0..1",
                )
        return Volume(np.clip([volume.data for volume in volumes], 0, 1), volumes[0].affine)

    def check_scan(self, scan: Scan) -> str:
        """Return why this scan cannot be used as it is (shapes that do not fit), or an empty string."""
        for paths in scan.labels.values():
            problem = read_grid_of(list(paths), [])
            if problem:
                return problem
        return super().check_scan(scan)

    def check_values(self, scan: Scan) -> ScanValues:
        """Read the labels of a scan: memberships lie in 0..1."""
        try:
            for label in scan.labels:
                self.read_labels(scan, label)
        except DataError as error:
            return ScanValues(error.message)
        return ScanValues()

    @cached_property
    def _found(self) -> Found:
        if self.root is None or not self.root.is_dir():
            return Found()
        found = self.find(self.root)
        found.subjects.sort(key=lambda subject: subject.name)
        return found

    def _reasons(self) -> str:
        excluded = self._found.excluded
        return f" ({len(excluded)} left out, the first because: {excluded[0].reason})" if excluded else ""


_LINK = "a link to content that is not here"


def nifti_files(root: Path, found: Found) -> list[Path]:
    """Return every NIfTI file under a folder, sorted by path.

    Hidden files are counted in ``found.ignored``. Folders that are named like a file are looked into. Links
    whose target is not there are returned too: see ``is_there``.
    """
    paths = []
    for path in root.rglob("*.nii*"):
        if not path.name.endswith((".nii", ".nii.gz")) or what_is(path) == "a folder":
            continue
        if path.name.startswith("."):
            found.ignored["hidden files (.*)"] += 1
        else:
            paths.append(path)
    return sorted(paths)


def is_there(path: Path, subject: str, found: Found) -> bool:
    """Return whether a file has content; a link to nothing, as datalad leaves it, is noted as excluded."""
    what = what_is(path)
    if not what:
        return True
    if what == _LINK:
        what, kind = f"{what}: fetch it (`datalad get`), or download the file", "link without content"
    else:
        kind = "no file that can be read"
    found.excluded.append(Exclusion(subject, f"{one_line(path)} is {what}", kind))
    return False


def what_is(path: Path) -> str:
    """Return what is found in the place of a file, or an empty string for a file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _LINK
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself"
        return f"not to be opened ({error.strerror})"
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device, and no file"


def one_line(path: Path) -> str:
    """Return a path for a message, without line breaks and control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def take_once(place: dict[Any, Path], key: Any, path: Path, subject: str, found: Found) -> None:
    """Put a file in its place, or note that another one is there already."""
    if key in place:
        reason = f"{one_line(path)} is there twice: {one_line(place[key])} is used"
        found.excluded.append(Exclusion(subject, reason, "file that is there twice"))
    elif is_there(path, subject, found):
        place[key] = path


def stem(path: Path) -> str:
    """Return the name without ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def sorted_scans(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Return scans in the order of session and sequence."""
    return tuple(sorted(scans, key=lambda scan: (scan.session, scan.sequence)))


def _first(scan: Scan) -> str:
    return str(next(iter(scan.images.values()), "without images"))


def from_environment(name: str) -> Path | None:
    """Return the folder that ``MRIBENCH_<NAME>`` names, or the one of the name in ``MRIBENCH_DATA``.

    Raises:
        DataError: when it is in the home folder of somebody who is not known.
    """
    for variable, inside in ((f"MRIBENCH_{name.upper()}", ""), ("MRIBENCH_DATA", name)):
        given = os.environ.get(variable)
        if given:
            try:
                return Path(given).expanduser() / inside
            except RuntimeError:
                raise DataError(
                    f"{variable} is '{given}', and there is no such home folder",
                    f"set {variable} to the folder of the data",
                ) from None
    return None


def known_home(root: Path | None) -> Path | None:
    """Return a folder as it was given.

    Raises:
        ValueError: when it is in the home folder of somebody who is not known.
    """
    try:
        if root is not None:
            root.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no such home folder: {root}") from None
    return root
