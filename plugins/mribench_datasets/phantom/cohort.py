"""Cohorts that make themselves: written once as real files, read as the real archive is."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mribench.errors import DataError
from mribench.interfaces import (
    Dataset,
    Exclusion,
    MRISequence,
    Options,
    Scan,
    ScanValues,
    SequenceRef,
    Subject,
)
from mribench.seeding import Identity, numpy_generator
from mribench.volumes import Volume, cache_dir, sync_tree
from mribench_datasets.arc import ARC
from mribench_datasets.folders import FolderDataset, FolderOptions
from mribench_datasets.ixi import IXI
from mribench_datasets.mpm import MPM
from mribench_datasets.phantom.acquisition import signal_probe
from mribench_datasets.phantom.head import Anatomy
from mribench_datasets.phantom.layouts import Person, write_arc, write_ixi, write_mpm, write_table
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol
from mribench_datasets.phantom.tissues import TISSUES, VALUES_3T, draw_values

logger = logging.getLogger(__name__)

GENERATOR_VERSION = 4
"""Raised when the same options give other files."""

Progress = Callable[[int, int], None]
Layout = Literal["ixi", "arc", "mpm"]

_READERS: dict[str, type[FolderDataset]] = {"ixi": IXI, "arc": ARC, "mpm": MPM}
_WRITERS = {"ixi": write_ixi, "arc": write_arc, "mpm": write_mpm}
_DIGEST = "table.sha256"
_TABLES = {"ixi": ("IXI.csv", ","), "arc": ("participants.tsv", "\t"), "mpm": ("cohort.tsv", "\t")}
_STROKE_SHARE = {"ixi": 0.0, "arc": 1.0, "mpm": 29 / 51}  # mpm: 22 healthy, 29 after stroke, as in the paper
_SITE_SHARES = {"Guys": 0.55, "HH": 0.32, "IOP": 0.13}  # of IXI's own subjects


def _sequence(name: str) -> SequenceRef:
    """Refer to a sequence as it should be: a cohort must not change with the benchmark's profile."""
    return SequenceRef.model_validate({"name": name, "profile": "corrected"})


class CohortOptions(Options):
    """What every simulated cohort can be asked for."""

    layout: Layout = Field("mpm", description="which archive's files are written")
    seed: int = Field(0, ge=0, description="of what is drawn at random")
    lesions: bool | None = Field(
        None, description="chronic stroke in all or none; by default as in the archive (ixi none, arc all)"
    )
    sites: dict[str, int] = Field(
        default_factory=dict, description="ixi: subjects of Guys, HH and IOP, in place of IXI's own shares"
    )
    fse: SequenceRef = Field(default_factory=lambda: _sequence("fse"), description="of T2w and PDw images")
    mprage: SequenceRef = Field(default_factory=lambda: _sequence("mprage"), description="of T1w images")
    flair: SequenceRef = Field(default_factory=lambda: _sequence("flair"), description="of FLAIR images")

    @model_validator(mode="after")
    def _sites_belong_to_ixi(self) -> CohortOptions:
        if self.sites and self.layout != "ixi":
            raise ValueError(f"'sites' belongs to layout ixi, got layout {self.layout}")
        unknown = sorted(set(self.sites) - set(IXI_SITES))
        if unknown:
            raise ValueError(f"unknown site {', '.join(unknown)}; known: {', '.join(IXI_SITES)}")
        if self.sites and not 1 <= sum(self.sites.values()) <= 999:
            raise ValueError(f"'sites' has {sum(self.sites.values())} subjects, expected 1 to 999")
        if self.sites and min(self.sites.values()) < 0:
            raise ValueError("'sites' has a negative number of subjects")
        return self


class SimulatedCohort(Dataset):
    """A cohort that is made in the cache and read by the dataset of its layout.

    Attributes:
        name: of the entry, and of the folder in the cache.
        options: what was asked for.
    """

    name: str

    def __init__(self, options: CohortOptions) -> None:
        self.options = options

    @abstractmethod
    def what(self) -> str:
        """Return what the cohort is, in a few words."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of people."""

    @abstractmethod
    def content(self) -> Mapping[str, object]:
        """Return what the files depend on besides layout, lesions, sites and sequences; it can be JSON."""

    @abstractmethod
    def people(self) -> Iterator[tuple[Person, Anatomy]]:
        """Yield everybody to be scanned, and their heads."""

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
            "options": {key: getattr(self.options, key) for key in ("layout", "seed", "lesions")},
            "content": dict(self.content()),
            "sites": self.site_of_each(),
            "signals": signal_probe(self._sequences, protocols, draw_values(numpy_generator("probe"))),
            "tissues": {name: list(VALUES_3T[name]) for name in TISSUES},
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return cache_dir() / self.name / f"{self.options.layout}-{digest[:16]}"

    def missing(self) -> str:
        """Return one sentence while the cohort is not made, or its table is damaged, else an empty string."""
        if self._is_made():
            damage = self._find_damage()
            return f"{damage}; `mribench run` makes the cohort anew" if damage else ""
        return f"{self.what()} not made yet; `mribench run` makes it, or `mribench data prepare`"

    def make(self, progress: Progress | None = None) -> None:
        """Make the cohort in the cache, unless it is there; a killed run leaves nothing behind that counts.

        It is made anew, with the same files, where its table is not as it was written. Images are looked at
        where they are read.

        Args:
            progress: called with (subjects done, subjects in all).

        Raises:
            DataError: when the cache cannot be written.
        """
        damage = self._find_damage() if self._is_made() else ""
        if damage:
            logger.warning("%s; the cohort is made anew", damage)
        elif self._is_made():
            return
        try:
            self._make(progress)
        except OSError as error:
            raise self._unusable_cache(error) from error

    def _make(self, progress: Progress | None) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=".making-") as temporary:
            made = Path(temporary) / "cohort"
            self.write(made, progress)
            (made / _DIGEST).write_text(_digest_table(made / self._table), encoding="ascii")
            sync_tree(made)
            if self._is_made() and self._find_damage():
                self.folder.rename(Path(temporary) / "damaged")
            try:
                made.rename(self.folder)
            except OSError:
                if not self.folder.is_dir():  # else another process was faster, with the same files
                    raise

    @property
    def _table(self) -> str:
        name, _ = _TABLES[self.options.layout]
        return name

    def _find_damage(self) -> str:
        """Return in words whether the table is not as it was written; older cohorts noted no digest."""
        path = self.folder / self._table
        try:
            noted = (self.folder / _DIGEST).read_bytes()
            return "" if noted == _digest_table(path).encode() else f"{path} is not as it was written"
        except FileNotFoundError as error:
            return f"{path} is not there any more" if Path(error.filename) == path else ""
        except OSError as error:
            raise self._unusable_cache(error) from error

    def _is_made(self) -> bool:
        try:
            return self.folder.is_dir()
        except OSError as error:
            raise self._unusable_cache(error) from error

    def _unusable_cache(self, error: OSError) -> DataError:
        return DataError(
            f"the {self.what()} cannot be made in the cache {cache_dir()}: {error.strerror or error}",
            "set MRIBENCH_CACHE to a folder that can be written",
        )

    def write(self, out: Path, progress: Progress | None = None) -> None:
        """Write the cohort into a folder, in its archive's layout.

        Args:
            out: made where needed; files in it are overwritten.
            progress: called with (subjects done, subjects in all).
        """
        write = partial(_WRITERS[self.options.layout], self._sequences)
        count, rows = self.count(), []
        for person, anatomy in self.people():
            out.mkdir(parents=True, exist_ok=True)
            rows.append(write(out, person, anatomy))
            if progress is not None:
                progress(person.number, count)
        _, delimiter = _TABLES[self.options.layout]
        write_table(out / self._table, rows, delimiter)

    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name.

        Raises:
            DataError: while the cohort is not made.
        """
        return self._reader.subjects()

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return () if self.missing() else self._reader.excluded()

    def remarks(self) -> Sequence[Exclusion]:
        """Return what is odd on disk and used all the same."""
        return () if self.missing() else self._reader.remarks()

    def where(self) -> str:
        """Return the folder of the cohort in the cache."""
        return str(self.folder)

    def reading_options(self) -> Mapping[str, object]:
        """Return the layout, which says who reads; all other options are in the files."""
        return {"layout": self.options.layout}

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the volumes of a scan as the layout's own dataset does."""
        return self._reader.read_images(scan)

    def read_labels(self, scan: Scan, label: str) -> Volume:
        """Read a label as the layout's own dataset does."""
        return self._reader.read_labels(scan, label)

    def check_values(self, scan: Scan) -> ScanValues:
        """Read a scan as the layout's own dataset does, and say what its values are like."""
        return self._reader.check_values(scan)

    def check_scan(self, scan: Scan) -> str:
        """Return why this scan cannot be used, or an empty string."""
        return self._reader.check_scan(scan)

    @cached_property
    def _reader(self) -> FolderDataset:
        problem = self.missing()
        if problem:
            raise DataError(problem)
        namespace = f"{self.name}-{self.options.layout}-{self.options.seed}"
        reader = _READERS[self.options.layout](FolderOptions(root=self.folder, namespace=namespace))
        reader.simulated = True  # IXI001 of a phantom is nobody of IXI
        return reader

    @cached_property
    def _sequences(self) -> dict[str, MRISequence]:
        options = self.options
        if options.layout == "mpm":
            return {}
        references = {"fse": options.fse, "mprage": options.mprage, "flair": options.flair}
        return {name: reference.make() for name, reference in references.items()}

    def site_of_each(self) -> list[str]:
        """Return the site of each person, in order."""
        if self.options.layout != "ixi":
            return [self.options.layout.upper()] * self.count()
        if self.options.sites:
            return [site for site in IXI_SITES for _ in range(self.options.sites.get(site, 0))]
        return _spread(self.count())

    def has_lesion(self, identity: tuple[Identity, ...]) -> bool:
        """Return whether the options give this person a stroke."""
        if self.options.lesions is not None:
            return self.options.lesions
        share = _STROKE_SHARE[self.options.layout]
        return bool(numpy_generator("phantom-stroke", *identity).random() < share)


def _digest_table(path: Path) -> str:
    """Return the line that ``sha256sum`` prints for a file."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def _spread(count: int) -> list[str]:
    """Assign subjects to the sites in IXI's proportions; the first ones do not depend on the count."""
    given = dict.fromkeys(_SITE_SHARES, 0)
    order: list[str] = []
    for _ in range(count):
        site = max(given, key=lambda name: _SITE_SHARES[name] * (len(order) + 1) - given[name])
        given[site] += 1
        order.append(site)
    return order
