"""Opens the cohorts of a benchmark: the only I/O of planning, and the gate against leakage."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mribench.config import ResolvedBenchmark
from mribench.data.check import group_reasons
from mribench.data.inspection import compute_fingerprint, digest_voxels, find_unusable_scan
from mribench.data.prepare import identify_reading
from mribench.data.remarks import scan_remarks
from mribench.data.twins import SeenImages
from mribench.data.uses import TaskImages
from mribench.errors import DataError
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import Dataset, Exclusion, Scan, Subject
from mribench.interfaces.options import DatasetRef
from mribench.interfaces.split import Split, SplitRule
from mribench.interfaces.task import Task
from mribench.registry import Resolved
from mribench.results.content import DataIdentity

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
        remarks: what is odd about scans that are used.
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
    remarks: tuple[Exclusion, ...] = ()

    def in_split(self) -> list[Subject]:
        """Return who trains, validates or tests, in the cohort's order; nobody while the data are missing."""
        if self.split is None:
            return []
        tested = (i for ids in self.split.test.values() for i in ids)
        used = {*self.split.train, *self.split.validation, *tested}
        return [person for name, person in self.subjects.items() if name in used]

    @functools.cached_property
    def data(self) -> DatasetRef:
        """Its dataset, every default spelled out."""
        return DatasetRef.model_validate(self.resolved.component())

    @functools.cached_property
    def identity(self) -> DataIdentity:
        """What enters a content key besides the subjects: the reader, without paths."""
        reading = identify_reading(self.resolved.identity(), self.resolved.make(), self.resolved.options)
        return DataIdentity(**reading)


def tested_sequences(cohort: Cohort, task: Task) -> tuple[str, ...]:
    """Return the sequences that any test subject has, with what the task needs besides, sorted.

    The image that a task is to predict is none of them.
    """
    tested = cohort.split.test.values() if cohort.split else ()
    people = [cohort.subjects[i] for ids in tested for i in ids]
    sequences = {scan.sequence for person in people for scan in person.scans}
    wanted = {name: TaskImages.of(Channels((name,)), task) for name in sequences - {task.target_sequence}}
    return tuple(sorted(name for name, images in wanted.items() if any(map(images.select, people))))


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
        missing += resolved.config.unset(name)
        return Cohort(name, component, missing, {}, {}, None, sites or (name,))
    component, subjects, left_out = _sound(name, component, progress)
    split = Split(tuple(s.id for s in subjects), (), {})
    if rule is not None:
        try:
            split = _split(name, rule, subjects)
        except DataError as error:
            if not left_out:
                raise
            hint = "repair the files, or divide those who are left; nothing was run and nothing is lost"
            raise _refusal(name, left_out, hint, f"; without these scans {error.message}") from error
    return Cohort(
        name, component, "", {s.id: s for s in subjects}, {s.id: compute_fingerprint(s) for s in subjects},
        split,
        tuple(split.test), {s.id: digest_voxels(s) for s in subjects}, left_out,
        tuple(_odd(component, subjects)),
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
    name: str, component: Resolved, progress: Progress | None
) -> tuple[Resolved, list[Subject], tuple[Exclusion, ...]]:
    """Read every file once (what is found is remembered), and leave out scans that cannot be used.

    Returns:
        The dataset without them, who is in it, and what was left out.

    Raises:
        DataError: when nobody is left, or the dataset cannot do without them.
    """
    left_out: list[Exclusion] = []
    while True:
        dataset: Dataset = component.make()
        subjects = _listed(name, dataset, left_out)
        wrong = _unusable(name, dataset, subjects, component.registered.digest, progress)
        if not wrong:
            return component, subjects, tuple(left_out)
        left_out += [entry for entry, _ in wrong]
        options = dataset.without({entry.reason: scan for entry, scan in wrong})
        if options is None:
            raise _refusal(name, left_out, "repair or remove the file; nothing was run and nothing is lost")
        component = replace(component, options=options)


def _listed(name: str, dataset: Dataset, left_out: Sequence[Exclusion]) -> list[Subject]:
    """Return who is in a dataset.

    Raises:
        DataError: when nobody is, or somebody twice.
    """
    try:
        subjects = list(dataset.subjects())
    except DataError:
        if left_out:
            hint = "repair the files: no scan is left; nothing was run and nothing is lost"
            raise _refusal(name, left_out, hint) from None
        raise
    if not subjects:
        excluded = "; ".join(f"{e.subject}: {e.reason}" for e in list(dataset.excluded())[:3])
        raise DataError(
            f"data.{name}: no usable subject" + (f" ({excluded})" if excluded else ""), dataset.source
        )
    _refuse_duplicates(name, subjects)
    return subjects


def _unusable(
    name: str, dataset: Dataset, subjects: Sequence[Subject], reader: str, progress: Progress | None
) -> list[tuple[Exclusion, Scan]]:
    wrong = []
    for done, subject in enumerate(subjects, start=1):
        for scan in subject.scans:
            for sentence in find_unusable_scan(dataset, subject, scan, reader):
                wrong.append((Exclusion(subject.name, sentence, "scan that cannot be used"), scan))
        if progress:
            progress(f"reading {name}", done, len(subjects))
    return wrong


def _refusal(name: str, left_out: Sequence[Exclusion], hint: str, then: str = "") -> DataError:
    more = f" (and {len(left_out) - 3} more)" if len(left_out) > 3 else ""
    sentences = "; ".join(entry.reason for entry in left_out[:3])
    return DataError(f"data.{name}: {sentences}{more}{then}", hint)


def _odd(component: Resolved, subjects: Sequence[Subject]) -> Iterator[Exclusion]:
    dataset: Dataset = component.make()
    for subject in subjects:
        for scan in subject.scans:
            yield from scan_remarks(dataset, subject, scan, component.registered.digest)


def cohort_notes(cohorts: Mapping[str, Cohort]) -> list[str]:
    """Return a sentence for each scan that cannot be used, and for each kind of odd ones."""
    notes = []
    for name, cohort in cohorts.items():
        notes += [
            f"data.{name}: {entry.subject}: a scan is left out, it cannot be used: {entry.reason}"
            for entry in cohort.left_out
        ]
        for reason in group_reasons(cohort.remarks):
            notes.append(f"data.{name}: {reason.count} × {reason.kind}, e.g. {reason.sentences[0]}")
    return notes
