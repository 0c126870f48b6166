"""What the datasets that read a folder have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from mribench.errors import DataError
from mribench.interfaces import Dataset, Exclusion, Options, Scan, ScanValues, Subject
from mribench.volumes import Volume, read_grid_of, read_volume, same_grid
from mribench_datasets.files import Found, escaped, leave_out_subjects, one_line, place_in
from mribench_datasets.identities import add_aliases, add_archive_ids
from mribench_datasets.label_values import label_problem, label_remarks


class FolderOptions(Options):
    """Where a cohort lies, and who named its subjects."""

    root: Path | None = Field(
        None,
        description="folder of the cohort; a relative one counts from the folder in which mribench is "
        "started; by default from the environment (MRIBENCH_<NAME>, or MRIBENCH_DATA/<name>)",
    )

    namespace: str = Field(
        "",
        description="cohorts of one archive share it, others must not; by default the dataset's name",
    )
    exclude: dict[str, str] | list[str] = Field(
        default_factory=dict,
        description="subjects, files and folders to leave out, by name or pattern (* and ? stand for others; "
        "files and folders by their path under the root): a list, or a mapping to the reason",
    )
    aliases: dict[str, str | list[str]] | Path | None = Field(
        None,
        description="other ids of the same people for the leakage gate, by subject: {S01: 'ixi:IXI014'}, or "
        "a table (.csv, .tsv) with the columns name and alias; without namespace it is the cohort's own",
    )

    @field_validator("root", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("root", "aliases")
    @classmethod
    def _from_here(cls, value: Any) -> Any:
        return absolute(value) if isinstance(value, Path) else value

    @field_validator("namespace")
    @classmethod
    def _trimmed(cls, value: str) -> str:
        return value.strip()


class FolderDataset(Dataset):
    """A cohort in one folder, read once.

    Attributes:
        name: as the benchmark file writes it.
        namespace: who named the subjects.
        root: the folder, or None when nobody said where it is.
        simulated: whether the names are no archive's, whatever they look like.
    """

    name: str
    title: str
    simulated: bool = False

    def __init__(self, options: FolderOptions) -> None:
        self.options = options
        self.namespace = options.namespace or self.name
        self.root = options.root if options.root is not None else from_environment(self.name)

    @abstractmethod
    def find(self, root: Path, found: Found) -> None:
        """Note what is in the cohort's folder."""

    def missing(self) -> str:
        """Return one sentence on what is not there and where to get it, or an empty string."""
        get = f"get it from {self.source} (licence: {self.licence}) and set"
        return say_no_folder(self.title, self.name, self.root, get, get)

    def advice(self) -> str:
        """Return what to do where nothing in the folder can be used."""
        return f"give the folder that holds the files; {self.source} has them (licence: {self.licence})"

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
                self.advice(),
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

    def without(self, scans: Mapping[str, Scan]) -> FolderOptions | None:
        """Return the options with the images of some scans in ``exclude``, by the reason."""
        if self.root is None:
            return None
        root = self.root
        exclude = {
            escaped(place_in(root, path).as_posix()): reason
            for reason, scan in scans.items()
            for path in scan.images.values()
        }
        return self.options.model_copy(update={"exclude": {**self._exclude(), **exclude}})

    def _exclude(self) -> dict[str, str]:
        given = self.options.exclude
        return dict(given) if isinstance(given, dict) else dict.fromkeys(given, "")

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
            problem = read_grid_of(list(paths), [], measured=False)
            if problem:
                return problem
        return super().check_scan(scan)

    def check_values(self, scan: Scan) -> ScanValues:
        """Read the labels of a scan: memberships lie in 0..1, some belong to a class, and none is lost."""
        remarks: dict[str, str] = {}
        for label, paths in scan.labels.items():
            try:
                memberships = self.read_labels(scan, label)
            except DataError as error:
                return ScanValues(error.message)
            image = next(iter(scan.images.values()))
            problem = label_problem(paths, memberships, image)
            if problem:
                return ScanValues(problem)
            remarks |= label_remarks(paths, memberships, image, one_class=len(paths) == 1)
        return ScanValues(remarks=remarks)

    @cached_property
    def _found(self) -> Found:
        found = Found(exclude=self._exclude())
        if self.root is None or not self.root.is_dir():
            return found
        self.find(self.root, found)
        found.subjects.sort(key=lambda subject: subject.name)
        leave_out_subjects(found)
        if not self.simulated:
            add_archive_ids(found)
        add_aliases(found, self.namespace, self.options.aliases)
        return found

    def _reasons(self) -> str:
        excluded = self._found.excluded
        return f" ({len(excluded)} left out, the first because: {excluded[0].reason})" if excluded else ""


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
                return absolute(Path(given)) / inside
            except ValueError:
                raise DataError(
                    f"{variable} is '{given}', and there is no such home folder",
                    f"set {variable} to the folder of the data",
                ) from None
    return None


def say_no_folder(title: str, name: str, root: Path | None, where_none: str, where_gone: str) -> str:
    """Return one sentence on a cohort's folder that is not there, or an empty string.

    Args:
        title: of the cohort, for people.
        name: of the dataset.
        root: the folder, or None when nobody said where it is.
        where_none: what to do without a folder, up to the option to do it with.
        where_gone: the same where the folder is not there.
    """
    option = f"'root' or MRIBENCH_{name.upper()}"
    if root is None:
        return f"{title}: no folder given; {where_none} {option}"
    if not root.is_dir():
        return f"{title}: there is no folder {one_line(root)}; {where_gone} {option}"
    return ""


def absolute(path: Path) -> Path:
    """Return a path from the folder in which mribench was started, so that jobs elsewhere find it too.

    Raises:
        ValueError: when it is in the home folder of somebody who is not known.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"there is no such home folder: {path}") from None
