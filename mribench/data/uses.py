"""What the tasks of a benchmark file ask of a cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mribench.interfaces.dataset import Subject
from mribench.interfaces.split import Split


@dataclass(frozen=True)
class Use:
    """What a task of the benchmark file asks of a cohort.

    Attributes:
        task: its name.
        label: that its scans need, if any.
        trained_on: sequences; one training subject at least must have each, with the label.
        tested_on: likewise for the test subjects.
    """

    task: str
    label: str | None
    trained_on: tuple[str, ...]
    tested_on: tuple[str, ...]


def unmet_needs(name: str, use: Use, split: Split, people: Sequence[Subject]) -> Iterator[str]:
    """Yield a sentence for each sequence that nobody has whom a task could be trained or tested on."""
    by_id = {person.id: person for person in people}
    tested = tuple(i for ids in split.test.values() for i in ids)
    for role, ids, sequences in (
        ("training", split.train, use.trained_on), ("test", tested, use.tested_on),
    ):  # fmt: skip
        if not ids:
            yield f"'{name}' has no {role} subject, and task '{use.task}' needs some"
            continue
        usable = [by_id[i] for i in ids if use.label is None or _has_label(by_id[i], use.label)]
        there = {scan.sequence for person in usable for scan in person.scans}
        label = f" with a '{use.label}' label" if use.label else ""
        for sequence in sequences:
            if sequence not in there:
                yield (
                    f"none of the {len(ids)} {role} subjects of '{name}' has a {sequence} scan{label}, which"
                    f" task '{use.task}' needs"
                )


def _has_label(person: Subject, label: str) -> bool:
    return any(label in scan.labels for scan in person.scans)
