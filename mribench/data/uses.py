"""What the tasks of a benchmark file ask of a cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mribench.data.covariates import find_covered
from mribench.errors import DataError
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.split import Split
from mribench.interfaces.task import Task


@dataclass(frozen=True)
class Use:
    """What a task of the benchmark file asks of a cohort.

    Attributes:
        task: its name.
        label: that its scans need, if any.
        trained_on: sequences; one training subject at least must have each, with the label.
        tested_on: likewise for the test subjects.
        numbers_of: the task itself, which says what the numbers of its label mean and which covariates it
            needs; None to leave both out.
    """

    task: str
    label: str | None
    trained_on: tuple[str, ...]
    tested_on: tuple[str, ...]
    numbers_of: Task | None = None


def find_label_owner(subject: Subject, scan: Scan, label: str) -> Scan | None:
    """Return the scan whose label is that of ``scan``: itself, else another one of the same session.

    The head lies elsewhere in another session, so a label of that one is no label. A dataset whose sessions
    are aligned says so by giving the label to each scan itself.
    """
    if label in scan.labels:
        return scan
    others = (other for other in subject.scans if label in other.labels and other.session == scan.session)
    return next(others, None)


def select_scans(subject: Subject, sequence: str, label: str | None) -> list[Scan]:
    """Return the subject's scans of one sequence that a task can use: those that have its label, if any."""
    scans = [scan for scan in subject.scans if scan.sequence == sequence]
    return [scan for scan in scans if label is None or find_label_owner(subject, scan, label)]


def find_unmet_needs(name: str, use: Use, split: Split, people: Sequence[Subject]) -> Iterator[str]:
    """Yield a sentence for each sequence that nobody has whom a task could be trained or tested on."""
    by_id = {person.id: person for person in people}
    tested = tuple(i for ids in split.test.values() for i in ids)
    try:
        left_out = find_covered(use.numbers_of, people).left_out if use.numbers_of else {}
    except DataError as error:
        yield f"task '{use.task}': {error.message}"
        return
    for role, ids, sequences in (
        ("training", split.train, use.trained_on), ("test", tested, use.tested_on),
    ):  # fmt: skip
        if not ids:
            yield f"'{name}' has no {role} subject, and task '{use.task}' needs some"
            continue
        reasons = sorted({left_out[i] for i in ids if i in left_out})
        ids = tuple(i for i in ids if i not in left_out)
        if not ids:
            yield f"task '{use.task}': all {role} subjects of '{name}' {' or '.join(reasons)}"
            continue
        there = {
            scan.sequence
            for i in ids
            for scan in by_id[i].scans
            if use.label is None or find_label_owner(by_id[i], scan, use.label)
        }
        label = f" with a '{use.label}' label" if use.label else ""
        for sequence in sequences:
            if sequence not in there:
                yield (
                    f"none of the {len(ids)} {role} subjects of '{name}' has a {sequence} scan{label}, which"
                    f" task '{use.task}' needs"
                )
