"""The phantom as a dataset that makes itself."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mribench.data.volumes import Volume, cache_dir
from mribench.errors import DataError
from mribench.interfaces import Dataset, Exclusion, MRISequence, Options, Scan, SequenceRef, Subject
from mribench.seeding import Identity, numpy_generator
from mribench_datasets.arc import ARC
from mribench_datasets.folders import FolderDataset, FolderOptions
from mribench_datasets.ixi import IXI
from mribench_datasets.mpm import MPM
from mribench_datasets.phantom.acquisition import signal_probe
from mribench_datasets.phantom.anatomy import draw_anatomy
from mribench_datasets.phantom.layouts import write_arc, write_ixi, write_mpm, write_table
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol
from mribench_datasets.phantom.tissues import TISSUES, VALUES_3T, draw_values

GENERATOR_VERSION = 1
"""Raised when the same options give other files."""

Progress = Callable[[int, int], None]
Layout = Literal["ixi", "arc", "mpm"]

_READERS: dict[str, type[FolderDataset]] = {"ixi": IXI, "arc": ARC, "mpm": MPM}
_WRITERS = {"ixi": write_ixi, "arc": write_arc, "mpm": write_mpm}
_TABLES = {"ixi": ("IXI.csv", ","), "arc": ("participants.tsv", "\t"), "mpm": ("cohort.tsv", "\t")}
_STROKE_SHARE = {"ixi": 0.0, "arc": 1.0, "mpm": 29 / 51}  # mpm: 22 healthy, 29 after stroke, as in the paper
_SITE_SHARES = {"Guys": 0.55, "HH": 0.32, "IOP": 0.13}  # of IXI's own subjects


def _sequence(name: str) -> SequenceRef:
    """Refer to a sequence as it should be: a cohort must not change with the benchmark's profile."""
    return SequenceRef.model_validate({"name": name, "profile": "corrected"})


DEFAULT_SUBJECTS = 12


class PhantomOptions(Options):
    """A cohort of simulated heads."""

    layout: Layout = Field("mpm", description="which archive's files are written")
    subjects: int | None = Field(
        None, ge=1, le=999, description="how many, 12 unless given; the first ones do not depend on it"
    )
    spacing_mm: float = Field(2.0, ge=0.5, le=8, description="nominal voxel edge")
    seed: int = Field(0, ge=0, description="of the people; the layout is mixed into it")
    lesions: bool | None = Field(
        None, description="chronic stroke in all or none; by default as in the archive (ixi none, arc all)"
    )
    sites: dict[str, int] = Field(
        default_factory=dict, description="ixi: subjects of Guys, HH and IOP, in place of 'subjects'"
    )
    fse: SequenceRef = Field(default_factory=lambda: _sequence("fse"), description="of T2w and PDw images")
    mprage: SequenceRef = Field(default_factory=lambda: _sequence("mprage"), description="of T1w images")
    flair: SequenceRef = Field(default_factory=lambda: _sequence("flair"), description="of FLAIR images")

    @model_validator(mode="after")
    def _sites_belong_to_ixi(self) -> PhantomOptions:
        if self.sites and self.layout != "ixi":
            raise ValueError(f"'sites' belongs to layout ixi, got layout {self.layout}")
        unknown = sorted(set(self.sites) - set(IXI_SITES))
        if unknown:
            raise ValueError(f"unknown site {', '.join(unknown)}; known: {', '.join(IXI_SITES)}")
        if self.sites and not 1 <= sum(self.sites.values()) <= 999:
            raise ValueError(f"'sites' has {sum(self.sites.values())} subjects, expected 1 to 999")
        if self.sites and min(self.sites.values()) < 0:
            raise ValueError("'sites' has a negative number of subjects")
        if self.sites and self.subjects not in (None, sum(self.sites.values())):
            raise ValueError(
                f"'sites' has {sum(self.sites.values())} subjects and 'subjects' says {self.subjects}"
            )
        return self


class Phantom(Dataset):
    """Simulated heads, written once into the cache as real files and read as the real archive is.

    The heads are the MNI152 template warped and given tissue values at random; see
    ``mribench_datasets.phantom``. A result on them is about simulated images, whatever the layout.
    """

    licence = "made on this machine from the ICBM 2009c template (free to use, copyright McConnell BIC)"
    source = "mribench itself"

    def __init__(self, options: PhantomOptions) -> None:
        self.options = options

    @cached_property
    def folder(self) -> Path:
        """Where the cohort lies: named by the options and what the sequences make of the tissues."""
        protocols: list[Protocol] = []
        if self.options.layout == "ixi":
            protocols = [protocol for site in IXI_SITES.values() for protocol in site.values()]
        elif self.options.layout == "arc":
            protocols = list(ARC_PROTOCOLS.values())
        identity = {
            "version": GENERATOR_VERSION,
            "options": self.options.model_dump(mode="json", exclude={"fse", "mprage", "flair", "subjects"}),
            "sites": self._site_of_each(),
            "signals": signal_probe(self._sequences, protocols, draw_values(numpy_generator("probe"))),
            "tissues": {name: list(VALUES_3T[name]) for name in TISSUES},
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return cache_dir() / "phantom" / f"{self.options.layout}-{digest[:16]}"

    def missing(self) -> str:
        """Return one sentence while the cohort is not made, else an empty string."""
        if self.folder.is_dir():
            return ""
        options, count = self.options, len(self._site_of_each())
        return (
            f"phantom cohort ({count} subjects, {options.layout} layout, {options.spacing_mm:g} mm) "
            "not made yet; `mribench run` makes it, or `mribench data make`"
        )

    def make(self, progress: Progress | None = None) -> None:
        """Make the cohort in the cache, unless it is there; a killed run leaves nothing behind that counts.

        Args:
            progress: called with (subjects done, subjects in all).
        """
        if self.folder.is_dir():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=".making-") as temporary:
            made = Path(temporary) / "cohort"
            self.write(made, progress)
            try:
                made.rename(self.folder)
            except OSError:
                if not self.folder.is_dir():  # else another process was faster, with the same files
                    raise

    def write(self, out: Path, progress: Progress | None = None) -> None:
        """Write the cohort into a folder, in its archive's layout.

        Args:
            out: made where needed; files in it are overwritten.
            progress: called with (subjects done, subjects in all).
        """
        options = self.options
        write = partial(_WRITERS[options.layout], self._sequences)
        sites, rows = self._site_of_each(), []
        out.mkdir(parents=True, exist_ok=True)
        for index, site in enumerate(sites):
            identity: tuple[Identity, ...] = (options.layout, options.seed, index)
            anatomy = draw_anatomy(identity, options.spacing_mm, self._has_lesion(identity))
            rows.append(write(out, index + 1, site, anatomy, identity))
            if progress is not None:
                progress(index + 1, len(sites))
        name, delimiter = _TABLES[options.layout]
        write_table(out / name, rows, delimiter)

    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name.

        Raises:
            DataError: while the cohort is not made.
        """
        return self._reader.subjects()

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return self._reader.excluded() if self.folder.is_dir() else ()

    def reading_options(self) -> Mapping[str, object]:
        """Return the layout, which says who reads; all other options are in the files."""
        return {"layout": self.options.layout}

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the volumes of a scan as the layout's own dataset does."""
        return self._reader.read_images(scan)

    def read_labels(self, scan: Scan, label: str) -> Volume:
        """Read a label as the layout's own dataset does."""
        return self._reader.read_labels(scan, label)

    def check_scan(self, scan: Scan) -> str:
        """Return why this scan cannot be used, or an empty string."""
        return self._reader.check_scan(scan)

    @cached_property
    def _reader(self) -> FolderDataset:
        problem = self.missing()
        if problem:
            raise DataError(problem)
        namespace = f"phantom-{self.options.layout}-{self.options.seed}"
        return _READERS[self.options.layout](FolderOptions(root=self.folder, namespace=namespace))

    @cached_property
    def _sequences(self) -> dict[str, MRISequence]:
        options = self.options
        if options.layout == "mpm":
            return {}
        references = {"fse": options.fse, "mprage": options.mprage, "flair": options.flair}
        return {name: reference.make() for name, reference in references.items()}

    def _site_of_each(self) -> list[str]:
        """Return the site of each subject, in order."""
        if self.options.layout != "ixi":
            return [self.options.layout.upper()] * (self.options.subjects or DEFAULT_SUBJECTS)
        if self.options.sites:
            return [site for site in IXI_SITES for _ in range(self.options.sites.get(site, 0))]
        return _spread(self.options.subjects or DEFAULT_SUBJECTS)

    def _has_lesion(self, identity: tuple[Identity, ...]) -> bool:
        if self.options.lesions is not None:
            return self.options.lesions
        share = _STROKE_SHARE[self.options.layout]
        return bool(numpy_generator("phantom-stroke", *identity).random() < share)


def _spread(count: int) -> list[str]:
    """Assign subjects to the sites in IXI's proportions; the first ones do not depend on the count."""
    given = dict.fromkeys(_SITE_SHARES, 0)
    order: list[str] = []
    for _ in range(count):
        site = max(given, key=lambda name: _SITE_SHARES[name] * (len(order) + 1) - given[name])
        given[site] += 1
        order.append(site)
    return order
