"""Datasets: who was scanned, where the files are, how they are read. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mribench.errors import DataError
from mribench.interfaces.options import Options
from mribench.volumes import Volume, read_grid_of, read_volume

IMAGE = "image"
"""The name of the one volume of a scan that is no set of maps."""


@dataclass(frozen=True)
class Scan:
    """One acquisition of one subject on disk: an image, or a set of quantitative maps.

    Attributes:
        sequence: ``T1w``, ``T2w``, ``PDw``, ``FLAIR`` …, or ``qmri`` for a set of maps.
        images: file of each volume: ``{"image": …}``, or ``{"PD": …, "R1": …, "R2s": …, "MTsat": …}``.
        session: session (and run) within the subject; empty where there is one only.
        labels: files of each reference label: ``{"tissue": (c1, c2, c3)}``, ``{"lesion": (mask,)}``.
    """

    sequence: str
    images: Mapping[str, Path]
    session: str = ""
    labels: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def is_maps(self) -> bool:
        """Whether it is a set of maps, whose voxels need not be finite: outside the head no fit is."""
        return set(self.images) != {IMAGE}

    def files(self) -> list[Path]:
        """Return every file that reading this scan may open."""
        return [*self.images.values(), *(path for paths in self.labels.values() for path in paths)]


@dataclass(frozen=True)
class Subject:
    """One person. Identity for the leakage gate is (namespace, name) and the aliases.

    Attributes:
        namespace: who gave the name, ``ixi``: two cohorts of one archive share it.
        name: the subject's name in that namespace.
        site: where the subject was scanned.
        scans: all sessions and sequences.
        aliases: other ``namespace:name`` ids of the same person.
        covariates: age, sex … as the archive gives them.
    """

    namespace: str
    name: str
    site: str
    scans: tuple[Scan, ...]
    aliases: tuple[str, ...] = ()
    covariates: Mapping[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``namespace:name``."""
        return f"{self.namespace}:{self.name}"


@dataclass(frozen=True)
class Exclusion:
    """Something on disk that is left out, and why.

    Attributes:
        subject: whom it is about; empty where nobody can say.
        reason: one sentence that names the file or the session.
        kind: the reason without names, by which `mribench data check` groups; by default the reason.
    """

    subject: str
    reason: str
    kind: str = ""


@dataclass(frozen=True)
class ScanValues:
    """What reading a scan showed.

    Attributes:
        problem: one sentence that names the file whose values cannot be used, or empty.
        voxels: of one of the volumes.
        clipped_vox: by volume, voxels outside the physical range; only where there are any.
        repaired_vox: by volume, voxels that were not finite; only where there are any.
        levels: by what a volume was taken for (``R1 in 1/s``), its median in the head.
        remarks: what is odd and used all the same: by its kind, a sentence that names the file.
        numbers: by label, the numbers besides 0 that its voxels have; of shares, those of its maps, from 1.
    """

    problem: str = ""
    voxels: int = 0
    clipped_vox: Mapping[str, int] = field(default_factory=dict)
    repaired_vox: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class TableDraft:
    """A table that lists the scans of a folder, guessed from the names of files, for a person to correct.

    Attributes:
        text: of the file.
        images: number of images listed.
        remarks: what is to be looked at, a sentence each.
    """

    text: str
    images: int
    remarks: tuple[str, ...] = ()


class Dataset(ABC):
    """A cohort on disk. It never downloads by itself; a simulated one may ``make`` itself."""

    licence: str = "unknown"
    source: str = "unknown"
    simulated: bool = False
    """Whether the images are computed, and nobody was scanned for them; reports say so."""
    archives: Mapping[str, str] = MappingProxyType({})
    """MD5 sums of the files to download, by name, where the archive is known to have them."""

    @abstractmethod
    def missing(self) -> str:
        """Return one sentence on what is not there and where to get it, or an empty string."""

    @abstractmethod
    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name, each with at least one scan."""

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return ()

    def remarks(self) -> Sequence[Exclusion]:
        """Return what is odd on disk and used all the same, or left nothing out."""
        return ()

    def ignored(self) -> Mapping[str, int]:
        """Return how many image files are no inputs, by kind (``*_MTR``)."""
        return {}

    def where(self) -> str:
        """Return the folder in which the files lie, or an empty string."""
        return ""

    def without(self, scans: Mapping[str, Scan]) -> Options | None:
        """Return the options of the same dataset without some scans; None where it cannot do without.

        A plan leaves out scans that cannot be used in this way, so that its jobs leave out the same. A
        dataset that has nothing to say so is refused as a whole.

        Args:
            scans: by the reason.
        """
        del scans
        return None

    def make(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Make the data where the dataset can (a phantom); nothing by default.

        Args:
            progress: called with (subjects done, subjects in all).
        """
        del progress

    def write(self, out: Path, progress: Callable[[int, int], None] | None = None) -> None:
        """Write the cohort into a folder as real files, where the dataset can make itself.

        Args:
            out: made where needed; files in it are overwritten.
            progress: called with (subjects done, subjects in all).

        Raises:
            DataError: when the dataset cannot make itself, or not of the files that it is made of.
        """
        del out, progress
        raise DataError(
            f"the dataset {type(self).__name__} cannot make itself: its files come from {self.source}",
            "`mribench list dataset` says what each dataset is",
        )

    @classmethod
    def draft_table(cls, folder: Path) -> TableDraft:
        """Return a table of the scans in a folder, where the dataset reads such tables.

        Raises:
            DataError: when it does not, or there is nothing to list.
        """
        raise DataError(f"the dataset {cls.__name__} reads no table: {folder} cannot be listed for it")

    def check_sources(self, progress: Callable[[int, int], None] | None = None) -> Sequence[str]:
        """Return one sentence for each file that the cohort cannot be made of, where it is made of files.

        Args:
            progress: called with (files read, files in all).
        """
        del progress
        return ()

    def reading_options(self) -> Mapping[str, object] | None:
        """Return the options that change what is read from the same files.

        They enter the content keys of jobs, beside the files' own digests. None, the default, means all
        options but paths; a dataset whose other options only choose files returns fewer.
        """
        return None

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the volumes of a scan, in mribench's units, reoriented to RAS, on one grid."""
        return {name: read_volume(path) for name, path in scan.images.items()}

    def read_labels(self, scan: Scan, label: str) -> Volume:
        """Read a label on its own grid, in RAS.

        Returns:
            Class memberships ``(C, I, J, K)`` in 0..1; or a map of whole numbers from 0, ``(1, I, J, K)``, of
            which a task says what each means.
        """
        volumes = [read_volume(path) for path in scan.labels[label]]
        return Volume(np.stack([volume.data for volume in volumes]), volumes[0].affine)

    def check_scan(self, scan: Scan) -> str:
        """Return why this scan cannot be used as it is (shapes that do not fit), or an empty string."""
        return read_grid_of(list(scan.images.values()), [p for ps in scan.labels.values() for p in ps])

    def check_values(self, scan: Scan) -> ScanValues:
        """Read a scan and its labels, and say what their values are like; nothing is read by default.

        The harness asks once for each version of the files and of the dataset's own code, before any job.
        """
        del scan
        return ScanValues()
