"""Whether the numbers of a cohort's labels are those that a task names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mribench.data.inspection import inspect_values
from mribench.interfaces.dataset import Dataset, Subject
from mribench.interfaces.task import Task, unnamed_numbers
from mribench.wording import count, list_some

_SHOWN = 8


def find_number_problems(
    task: Task, dataset: Dataset, reader: str, people: Sequence[Subject], training: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for what of a task does not fit the labels: numbers of no class, classes of nobody.

    A dataset whose labels have no numbers (``ScanValues.numbers``) says nothing, and nothing is said of it.

    Args:
        task: says which numbers are whose.
        dataset: reads the labels.
        reader: tells versions of the dataset's code apart.
        people: whose labels.
        training: ids of those whom the task learns from.
    """
    if task.label is None or not task.class_numbers:
        return
    unnamed: dict[str, list[Path]] = {}
    learnt: set[int] = set()
    is_told = False
    for person in people:
        for scan in person.scans:
            numbers = inspect_values(dataset, scan, reader).numbers.get(task.label)
            if numbers is None:
                continue
            is_told = True
            learnt.update(numbers if person.id in training else ())
            unknown = unnamed_numbers(task, numbers)
            if unknown:
                unnamed.setdefault(unknown, []).append(scan.labels[task.label][0])
    for unknown, paths in unnamed.items():
        others = f" and {count(len(paths) - 1, 'more file')}" if len(paths) > 1 else ""
        yield f"{paths[0]}{others} has {unknown} in the label '{task.label}', which no class has"
    there = list_some([str(number) for number in sorted(learnt)], _SHOWN) or "none"
    for name, wanted in task.class_numbers.items():
        if is_told and not learnt.intersection(wanted):
            yield (
                f"no training subject has the class '{name}' of the label '{task.label}'; numbers there:"
                f" {there}"
            )
