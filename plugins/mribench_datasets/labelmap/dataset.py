"""Label maps as a dataset that makes itself."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from mribench.errors import DataError
from mribench.interfaces import Exclusion, Subject
from mribench.seeding import Identity
from mribench_datasets.files import one_line, what_is
from mribench_datasets.folders import absolute, from_environment, say_no_folder
from mribench_datasets.labelmap.anatomy import draw_label_anatomy
from mribench_datasets.labelmap.labels import LabelMap, flipped, read_labelmap
from mribench_datasets.labelmap.landmarks import lacks_for_lesions
from mribench_datasets.phantom.cohort import CohortOptions, Progress, SimulatedCohort
from mribench_datasets.phantom.head import Anatomy
from mribench_datasets.phantom.layouts import Person

LABELMAP_VERSION = 2
"""Raised when the same label maps and options give other files."""

_SOURCE = (
    "FreeSurfer or SynthSeg segmentations of your own scans (.nii or .nii.gz; mri_convert turns .mgz into "
    "them)"
)


class LabelMapOptions(CohortOptions):
    """A cohort made of FreeSurfer-numbered label maps."""

    root: Path | None = Field(
        None,
        description="folder of label maps, or of FreeSurfer subjects (<subject>/mri/aseg.nii.gz); by default "
        "from the environment (MRIBENCH_LABELMAP, or MRIBENCH_DATA/labelmap)",
    )
    only: list[str] = Field(
        default_factory=list, description="names of the maps to use (no .nii.gz; * and ? stand for others)"
    )
    subjects: int | None = Field(None, ge=1, le=999, description="use so many maps, the first by name")
    draws: int = Field(
        1,
        ge=1,
        le=99,
        description="subjects made of each map, with other tissue values; one for the leakage gate",
    )
    spacing_mm: float | None = Field(
        None, ge=0.5, le=8, description="nominal voxel edge; by default the map's"
    )
    unknown: Literal["refuse", "background"] = Field(
        "refuse", description="a label number that stands in no table: refuse the map, or take it for air"
    )

    @field_validator("root", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("root")
    @classmethod
    def _from_here(cls, value: Path | None) -> Path | None:
        return None if value is None else absolute(value)


class LabelMaps(SimulatedCohort):
    """Real anatomies with simulated tissue: label maps made into quantitative maps or images.

    Each subject carries the alias ``labelmap:<name of the map>`` in every layout, draw and seed, so that no
    anatomy is pretrained on in one cohort and tested in another.
    """

    name = "labelmap"
    licence = "that of your label maps"
    simulated = True
    source = _SOURCE
    options: LabelMapOptions

    def __init__(self, options: LabelMapOptions) -> None:
        super().__init__(options)
        given = options.root
        self.root = from_environment("labelmap") if given is None else given

    def missing(self) -> str:
        """Return one sentence while there are no label maps or the cohort is not made, else nothing."""
        return self._no_maps() or super().missing()

    def what(self) -> str:
        """Return what the cohort is, in a few words."""
        options = self.options
        spacing = f"{options.spacing_mm:g} mm" if options.spacing_mm else "the maps' own spacing"
        return f"labelmap cohort ({self.count()} subjects, {options.layout} layout, {spacing})"

    def count(self) -> int:
        """Return the number of people: maps times draws."""
        return len(self.maps) * self.options.draws

    @cached_property
    def maps(self) -> dict[str, Path]:
        """The label maps by name, sorted.

        Raises:
            DataError: when there are none, or two of one name.
        """
        problem = self._no_maps()
        if problem:
            raise DataError(problem)
        return self._chosen()

    def content(self) -> Mapping[str, object]:
        """Return what the files depend on besides the options of every cohort."""
        return {
            "labelmap": LABELMAP_VERSION,
            "maps": {name: _digest(path) for name, path in self.maps.items()},
            "draws": self.options.draws,
            "spacing_mm": self.options.spacing_mm,
            "unknown": self.options.unknown,
        }

    def write(self, out: Path, progress: Progress | None = None) -> None:
        """Write the cohort into a folder, in its archive's layout.

        Args:
            out: made where needed; files in it are overwritten.
            progress: called with (subjects done, subjects in all).

        Raises:
            DataError: naming every label map that cannot be used, before anything is written.
        """
        self._check_sites()
        bad = self._bad_maps()
        if bad:
            others = ", ".join(one_line(Path(name)) for name in sorted(bad)[1:6])
            more = f" (and {len(bad) - 1} more: {others})" if len(bad) > 1 else ""
            first = bad[min(bad)]
            raise DataError(first.message + more, first.hint)
        super().write(out, progress)

    def check_sources(self, progress: Progress | None = None) -> Sequence[str]:
        """Read the label maps that the cohort is made from, and return a sentence for each bad one.

        Args:
            progress: called with (maps read, maps in all).
        """
        found = [] if self._no_maps() else list(self._bad_maps(progress).values())
        return [f"{error.message} ({error.hint})" if error.hint else error.message for error in found]

    def people(self) -> Iterator[tuple[Person, Anatomy]]:
        """Yield everybody to be scanned, and their heads."""
        options, number = self.options, 0
        sites = self.site_of_each()
        for name, path in self.maps.items():
            head = read_labelmap(path, options.unknown)
            for draw in range(options.draws):
                identity = self._identity(name, draw)
                lesion = self.has_lesion(identity)
                try:
                    anatomy = draw_label_anatomy(head, identity, options.spacing_mm, lesion)
                except DataError as error:
                    raise DataError(f"{one_line(path)}: {error.message}", error.hint) from error
                number += 1
                yield Person(number, sites[number - 1], identity, "labelmap", name), anatomy

    def subjects(self) -> Sequence[Subject]:
        """Return the subjects, sorted by name, each with its anatomy's alias.

        Raises:
            DataError: while the cohort is not made.
        """
        known = self._people_by_archive_name()
        named = [
            replace(
                subject, namespace="labelmap", name=known[subject.name][0],
                aliases=(*subject.aliases, f"labelmap:{known[subject.name][1]}"),
            )
            for subject in super().subjects()
        ]  # fmt: skip
        return sorted(named, key=lambda subject: subject.name)

    def excluded(self) -> Sequence[Exclusion]:
        """Return what is on disk and left out."""
        return () if self._no_maps() else self._renamed(super().excluded())

    def remarks(self) -> Sequence[Exclusion]:
        """Return what is odd on disk and used all the same."""
        return () if self._no_maps() else [*self._too_few(), *self._renamed(super().remarks())]

    def _too_few(self) -> list[Exclusion]:
        """Remark that there are fewer label maps than were asked for."""
        asked, there = self.options.subjects, len(self.maps)
        if asked is None or asked <= there:
            return []
        reason = f"'subjects' asks for {asked} label maps, and {self.root} holds {there}: all are used"
        return [Exclusion("", reason, "fewer label maps than asked for")]

    def where(self) -> str:
        """Return the folder of the label maps, or an empty string."""
        return "" if self.root is None else str(self.root)

    def _renamed(self, entries: Sequence[Exclusion]) -> list[Exclusion]:
        known = self._people_by_archive_name()
        return [
            replace(entry, subject=known[entry.subject][0]) if entry.subject in known else entry
            for entry in entries
        ]

    def _people_by_archive_name(self) -> dict[str, tuple[str, str]]:
        """Return (subject, map) by the name that the layout's archive gives a subject."""
        form = {"ixi": "IXI{:03d}", "arc": "M{:d}", "mpm": "labelmap{:03d}"}[self.options.layout]
        first = 2001 if self.options.layout == "arc" else 1
        draws = self.options.draws
        people = [(name, draw) for name in self.maps for draw in range(draws)]
        return {
            form.format(first + index): (name if draws == 1 else f"{name}.draw{draw + 1:02d}", name)
            for index, (name, draw) in enumerate(people)
        }

    def _identity(self, name: str, draw: int) -> tuple[Identity, ...]:
        return ("labelmap", self.options.layout, self.options.seed, name, draw)

    def _bad_maps(self, progress: Progress | None = None) -> dict[str, DataError]:
        """Return what is wrong with each map that cannot be used."""
        bad = {}
        for done, (name, path) in enumerate(self.maps.items(), start=1):
            try:
                self._check_map(name, path, read_labelmap(path, self.options.unknown))
            except DataError as error:
                bad[name] = error
            if progress is not None:
                progress(done, len(self.maps))
        return bad

    def _check_map(self, name: str, path: Path, head: LabelMap) -> None:
        """Check that left is left, and that there is a whole brain where somebody is to have a stroke."""
        wrong = flipped(head)
        if wrong:
            hint = "restore the header: copy it from the image that was segmented"
            raise DataError(f"{one_line(path)} {wrong}", hint)
        if not any(self.has_lesion(self._identity(name, draw)) for draw in range(self.options.draws)):
            return
        lacking = lacks_for_lesions(head)
        if lacking:
            raise DataError(
                f"{one_line(path)} lacks {lacking}: a head with both hemispheres is needed for lesions",
                "leave it out by 'only', or make no lesions of it ('lesions: false')",
            )

    def _check_sites(self) -> None:
        asked = sum(self.options.sites.values())
        if asked and asked != self.count():
            raise DataError(
                f"'sites' has {asked} subjects, and the label maps in {self.root} make {self.count()}",
                "give the sites as many, or choose maps by 'only' or 'subjects'",
            )

    def _no_maps(self) -> str:
        hint = f"get {_SOURCE}"
        no_folder = say_no_folder("label maps", "labelmap", self.root, f"{hint} and set", f"{hint} and set")
        if no_folder:
            return no_folder
        if not self._chosen():
            which = f" named {', '.join(self.options.only)}" if self.options.only else ""
            return f"label maps: {self.root} holds none{which}; {hint}"
        return ""

    def _chosen(self) -> dict[str, Path]:
        found = _find(self.root) if self.root is not None else {}
        only = self.options.only
        names = [n for n in sorted(found) if not only or any(fnmatch.fnmatchcase(n, p) for p in only)]
        return {name: found[name] for name in names[: self.options.subjects]}


def _find(root: Path) -> dict[str, Path]:
    """Return label maps by name: FreeSurfer subjects' aseg, and NIfTI files in the folder itself."""
    found: dict[str, Path] = {}
    segmentations = [*sorted(root.glob("*/mri/aseg.nii.gz")), *sorted(root.glob("*/mri/aseg.nii"))]
    named = [(path.parent.parent.name, path) for path in segmentations]
    flat = [path for path in sorted(root.glob("*.nii*")) if path.name.endswith((".nii", ".nii.gz"))]
    named += [(path.name.removesuffix(".gz").removesuffix(".nii"), path) for path in flat]
    for name, path in named:
        if name in found:
            raise DataError(
                f"{one_line(found[name])} and {one_line(path)} are both named '{one_line(Path(name))}'",
                "keep one: a name is an anatomy",
            )
        found[name] = path
    return found


def _digest(path: Path) -> str:
    """Return the digest of a map; what is no file has none, and is named when it is read."""
    return "" if what_is(path) else hashlib.sha256(path.read_bytes()).hexdigest()
