"""Opens the cohorts of a benchmark: the only I/O of planning, and the gate against leakage."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mribench.config import ResolvedBenchmark
from mribench.data.inspection import fingerprint, sound_part, voxel_digests
from mribench.data.prepare import reading_identity
from mribench.data.twins import SeenImages
from mribench.errors import DataError
from mribench.interfaces.dataset import Dataset, Exclusion, Subject
from mribench.interfaces.split import Split, SplitRule
from mribench.registry import Resolved

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, in all)."""


@dataclass(frozen=True)
class Cohort:
    """One named cohort of a benchmark file.

    Attributes:
        name: in the file.
        resolved: the dataset entry and its options.
        missing: one sentence where the data are not there, else empty.
        subjects: by id.
        fingerprints: digest of each subject's files, by id.
        split: who trains, validates and tests; None while the data are missing.
        sites: test sites, in-domain first.
        voxels: images and maps of each subject by the digest of their voxels, by id.
        left_out: scans that cannot be used, and why.
    """

    name: str
    resolved: Resolved
    missing: str
    subjects: Mapping[str, Subject]
    fingerprints: Mapping[str, str]
    split: Split | None
    sites: tuple[str, ...]
    voxels: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    left_out: tuple[Exclusion, ...] = ()

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What enters a content key besides the subjects: the reader, without paths."""
        return reading_identity(self.resolved.identity(), self.resolved.make(), self.resolved.options)

    def fingerprints_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the fingerprints of some subjects."""
        return {subject: self.fingerprints[subject] for subject in ids}


def make_missing(resolved: ResolvedBenchmark, progress: Progress) -> None:
    """Let datasets that can make themselves (phantoms) do so."""
    for name, component in resolved.datasets.items():
        dataset: Dataset = component.make()
        if dataset.missing():
            dataset.make(lambda done, total, name=name: progress(f"making {name}", done, total))  # type: ignore[misc]


def open_cohorts(resolved: ResolvedBenchmark, progress: Progress | None = None) -> dict[str, Cohort]:
    """List, check, fingerprint and split every cohort; scans that cannot be used are left out.

    Images that are there more than once are warned of: who is counted twice is no mistake of a split alone.

    Raises:
        DataError: naming a cohort without subjects, and the files that cannot be used.
    """
    cohorts = {name: _open(name, resolved, progress) for name in resolved.datasets}
    seen = SeenImages()
    for name, cohort in cohorts.items():
        remarks = seen.remarks(name, list(cohort.subjects.values()))
        if remarks:
            more = f" (and {len(remarks) - 1} more; `mribench data check` has all)" if remarks[1:] else ""
            logger.warning("data.%s: %s%s", name, remarks[0].reason, more)
    return cohorts


def split_again(cohorts: Mapping[str, Cohort], resolved: ResolvedBenchmark) -> dict[str, Cohort]:
    """Return the same cohorts divided by the split rules of another resolution of the same file."""
    divided = {}
    for name, cohort in cohorts.items():
        if name in resolved.splits and not cohort.missing:
            split = _split(name, resolved.splits[name].make(), list(cohort.subjects.values()))
            cohort = replace(cohort, split=split, sites=tuple(split.test))
        divided[name] = cohort
    return divided


def _open(name: str, resolved: ResolvedBenchmark, progress: Progress | None) -> Cohort:
    component = resolved.datasets[name]
    dataset: Dataset = component.make()
    rule: SplitRule | None = resolved.splits[name].make() if name in resolved.splits else None
    missing = dataset.missing()
    if missing:
        sites = tuple(rule.sites()) if rule else ()
        return Cohort(name, component, missing, {}, {}, None, sites or (name,))
    subjects = list(dataset.subjects())
    if not subjects:
        excluded = "; ".join(f"{e.subject}: {e.reason}" for e in list(dataset.excluded())[:3])
        raise DataError(
            f"data.{name}: no usable subject" + (f" ({excluded})" if excluded else ""), dataset.source
        )
    _refuse_duplicates(name, subjects)
    subjects, left_out = _sound(name, dataset, subjects, component.registered.digest, progress)
    split = _split(name, rule, subjects) if rule else Split(tuple(s.id for s in subjects), (), {})
    return Cohort(
        name, component, "", {s.id: s for s in subjects}, {s.id: fingerprint(s) for s in subjects}, split,
        tuple(split.test), {s.id: voxel_digests(s) for s in subjects}, tuple(left_out),
    )  # fmt: skip


def _split(name: str, rule: SplitRule, subjects: Sequence[Subject]) -> Split:
    try:
        return rule.split(subjects)
    except DataError as error:
        raise DataError(f"splits.{name}: {error.message.removeprefix('split: ')}", error.hint) from error


def _refuse_duplicates(name: str, subjects: Sequence[Subject]) -> None:
    seen: set[str] = set()
    for subject in subjects:
        if subject.id in seen:
            raise DataError(
                f"data.{name}: subject {subject.id} is there twice", "one entry per person is expected"
            )
        seen.add(subject.id)


def _sound(
    name: str, dataset: Dataset, subjects: Sequence[Subject], reader: str, progress: Progress | None
) -> tuple[list[Subject], list[Exclusion]]:
    """Read every file once (what is found is remembered); return who can be used, and what is left out."""
    kept: list[Subject] = []
    left_out: list[Exclusion] = []
    for done, subject in enumerate(subjects, start=1):
        part, wrong = sound_part(dataset, subject, reader)
        left_out += wrong
        if part is not None:
            kept.append(part)
        if progress:
            progress(f"reading {name}", done, len(subjects))
    if not kept:
        more = f" (and {len(left_out) - 3} more)" if len(left_out) > 3 else ""
        sentences = "; ".join(entry.reason for entry in left_out[:3])
        raise DataError(
            f"data.{name}: no scan can be used: {sentences}{more}",
            "repair the files; nothing was run and nothing is lost",
        )
    return kept, left_out


def notes(cohorts: Mapping[str, Cohort]) -> list[str]:
    """Return one sentence for each scan that cannot be used and is left out."""
    return [
        f"data.{name}: {entry.subject}: a scan is left out, it cannot be used: {entry.reason}"
        for name, cohort in cohorts.items()
        for entry in cohort.left_out
    ]
