"""What the datasets that read a folder have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from mribench.data.volumes import Volume, read_grid_of, read_volume, same_grid
from mribench.errors import DataError
from mribench.interfaces import Dataset, Exclusion, Options, Scan, Subject


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
        self.root = options.root.expanduser() if options.root is not None else _from_environment(self.name)

    @abstractmethod
    def find(self) -> tuple[list[Subject], list[Exclusion]]:
        """Return the subjects in ``self.root``, and what is left out."""

    def missing(self) -> str:
        """Return one sentence on what is not there and where to get it, or an empty string."""
        where = f"get it from {self.source} (licence: {self.licence})"
        variable = f"MRIBENCH_{self.name.upper()}"
        if self.root is None:
            return f"{self.title}: no folder given; {where} and set 'root' or {variable}"
        if not self.root.is_dir():
            return f"{self.title}: there is no folder {self.root}; {where} and set 'root' or {variable}"
        return ""

    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name.

        Raises:
            DataError: when the cohort is not there, or its folder holds nothing usable.
        """
        problem = self.missing()
        if problem:
            raise DataError(problem)
        if not self._found[0]:
            raise DataError(
                f"{self.title}: {self.root} holds no usable scan of it{self._reasons()}",
                f"give the folder that holds the files; {self.source} has them (licence: {self.licence})",
            )
        return self._found[0]

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return self._found[1] if self.root is not None and self.root.is_dir() else ()

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

    @cached_property
    def _found(self) -> tuple[list[Subject], list[Exclusion]]:
        subjects, excluded = self.find()
        return sorted(subjects, key=lambda subject: subject.name), excluded

    def _reasons(self) -> str:
        excluded = self._found[1]
        return f" ({len(excluded)} left out, the first because: {excluded[0].reason})" if excluded else ""


def nifti_files(root: Path) -> list[Path]:
    """Return every NIfTI file under a folder, sorted by path; hidden files are left alone."""
    found = (path for path in root.rglob("*.nii*") if path.name.endswith((".nii", ".nii.gz")))
    return sorted(path for path in found if not path.name.startswith("."))


def stem(path: Path) -> str:
    """Return the name without ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def sorted_scans(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Return scans in the order of session and sequence."""
    return tuple(sorted(scans, key=lambda scan: (scan.session, scan.sequence)))


def _first(scan: Scan) -> str:
    return str(next(iter(scan.images.values()), "without images"))


def _from_environment(name: str) -> Path | None:
    own, shared = os.environ.get(f"MRIBENCH_{name.upper()}"), os.environ.get("MRIBENCH_DATA")
    if own:
        return Path(own).expanduser()
    return Path(shared).expanduser() / name if shared else None
