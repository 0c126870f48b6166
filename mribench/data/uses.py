"""What the tasks of a benchmark file ask of a cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mribench.data.covariates import find_covered
from mribench.errors import DataError
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.split import Split
from mribench.interfaces.task import Task

_QUOTE = "'"


@dataclass(frozen=True)
class Use:
    """What a task of the benchmark file asks of a cohort.

    Attributes:
        task: its name.
        label: that its scans need, if any.
        trained_on: images; one training subject at least must have each, with the label.
        tested_on: likewise for the test subjects.
        numbers_of: the task itself, which says what the numbers of its label mean and which covariates it
            needs; None to leave both out.
        target: sequence of an image that is to be predicted, if any.
    """

    task: str
    label: str | None
    trained_on: tuple[Channels, ...]
    tested_on: tuple[Channels, ...]
    numbers_of: Task | None = None
    target: str | None = None

    def sequences(self) -> set[str]:
        """Return every sequence that it asks for."""
        asked = {sequence for images in (*self.trained_on, *self.tested_on) for sequence in images.sequences}
        return asked if self.target is None else {*asked, self.target}


@dataclass(frozen=True)
class ScanSet:
    """The scans of one sample, all of one session.

    Attributes:
        channels: that the network sees; the first gives the grid.
        target: that is to be predicted; None where no other image is.
    """

    channels: tuple[Scan, ...]
    target: Scan | None = None

    @property
    def first(self) -> Scan:
        """The scan whose grid, head and label count."""
        return self.channels[0]

    @property
    def session(self) -> str:
        """Their session."""
        return self.first.session


@dataclass(frozen=True)
class TaskImages:
    """What the samples of a task are made of.

    Attributes:
        channels: sequences that the network sees.
        label: that is needed; None for none.
        target: sequence of an image that is needed; None for none.
    """

    channels: Channels
    label: str | None = None
    target: str | None = None

    @classmethod
    def of(cls, channels: Channels, task: Task) -> TaskImages:
        """Return what a task needs with some channels."""
        return cls(channels, task.label, task.target_sequence)

    def select(self, subject: Subject) -> list[ScanSet]:
        """Return what a subject has: a set for each scan of the first sequence that has all beside it."""
        first, *others = self.channels.sequences
        sets = []
        for scan in select_scans(subject, first, self.label):
            beside = [_beside(subject, scan, sequence) for sequence in others]
            target = None if self.target is None else _beside(subject, scan, self.target)
            if all(beside) and (target is not None or self.target is None):
                sets.append(ScanSet((scan, *(other for other in beside if other)), target))
        return sets

    def describe(self, quote: str = "") -> str:
        """Return it in words: ``T1w scan with a tissue label``."""
        needed = [f"a {quote}{self.label}{quote} label"] if self.label else []
        needed += [f"a {self.target} image beside it"] if self.target else []
        return f"{self.channels.name} scan" + (f" with {' and '.join(needed)}" if needed else "")


def _beside(subject: Subject, scan: Scan, sequence: str) -> Scan | None:
    """Return a scan of a sequence in the same session; the scan itself where it is of that sequence."""
    if scan.sequence == sequence:
        return scan
    others = (other for other in subject.scans if other.session == scan.session)
    return next((other for other in others if other.sequence == sequence), None)


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
        for channels in sequences:
            images = TaskImages(channels, use.label, use.target)
            if not any(images.select(by_id[i]) for i in ids):
                yield (
                    f"none of the {len(ids)} {role} subjects of '{name}' has a {images.describe(_QUOTE)},"
                    f" which task '{use.task}' needs"
                )
