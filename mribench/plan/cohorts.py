"""Opens the cohorts of a benchmark: the only I/O of planning, and the gate against leakage."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mribench.config import ResolvedBenchmark
from mribench.data.inspection import fingerprint, unusable
from mribench.data.prepare import reading_identity
from mribench.errors import DataError
from mribench.interfaces.dataset import Dataset, Scan, Subject
from mribench.interfaces.split import Split, SplitRule
from mribench.registry import Resolved

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
    """

    name: str
    resolved: Resolved
    missing: str
    subjects: Mapping[str, Subject]
    fingerprints: Mapping[str, str]
    split: Split | None
    sites: tuple[str, ...]

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What enters a content key besides the subjects: the reader, without paths."""
        return reading_identity(self.resolved.identity(), self.resolved.make(), self.resolved.options)

    def fingerprints_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the fingerprints of some subjects."""
        return {subject: self.fingerprints[subject] for subject in ids}


def scans_of(subject: Subject, sequence: str, label: str | None) -> list[Scan]:
    """Return the subject's scans of one sequence that a task can use."""
    if label is not None and not any(label in scan.labels for scan in subject.scans):
        return []
    return [scan for scan in subject.scans if scan.sequence == sequence]


def make_missing(resolved: ResolvedBenchmark, progress: Progress) -> None:
    """Let datasets that can make themselves (phantoms) do so."""
    for name, component in resolved.datasets.items():
        dataset: Dataset = component.make()
        if dataset.missing():
            dataset.make(lambda done, total, name=name: progress(f"making {name}", done, total))  # type: ignore[misc]


def open_cohorts(resolved: ResolvedBenchmark, progress: Progress | None = None) -> dict[str, Cohort]:
    """List, check, fingerprint and split every cohort.

    Raises:
        DataError: naming the files that cannot be read, or a cohort without subjects.
    """
    return {name: _open(name, resolved, progress) for name in resolved.datasets}


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
    prints = _fingerprints(name, dataset, subjects, component.registered.digest, progress)
    split = _split(name, rule, subjects) if rule else Split(tuple(s.id for s in subjects), (), {})
    return Cohort(name, component, "", {s.id: s for s in subjects}, prints, split, tuple(split.test))


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


def _fingerprints(
    name: str, dataset: Dataset, subjects: Sequence[Subject], reader: str, progress: Progress | None
) -> dict[str, str]:
    """Read every file once (cached by size and time): its digest, and whether it can be used at all."""
    prints: dict[str, str] = {}
    wrong: list[str] = []
    for done, subject in enumerate(subjects, start=1):
        found = unusable(dataset, subject, reader)
        wrong.extend(found)
        if not found:
            prints[subject.id] = fingerprint(subject)
        if progress:
            progress(f"reading {name}", done, len(subjects))
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise DataError(
            f"data.{name}: {'; '.join(wrong[:3])}{more}",
            "repair or remove the file; nothing was run and nothing is lost",
        )
    return prints
