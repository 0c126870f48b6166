"""Which subjects have the covariates that a task needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from mribench.errors import DataError
from mribench.interfaces.dataset import Subject
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import Task
from mribench.wording import list_some

_NOT_AVAILABLE = ("", "n/a")
NOT_MEANT = "are none that it is about"


@dataclass(frozen=True)
class Covered:
    """Which subjects a task can be about.

    Attributes:
        covariates: those that the task needs, by subject id; nothing where it needs none.
        targets: of a task about people, by subject id.
        left_out: by subject id, what is the matter, as the end of a sentence about several: ``lack age``.
        classes: of a task about people, whose places are the targets; none where targets are numbers.
    """

    covariates: Mapping[str, dict[str, JsonValue]] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


def find_covered(task: Task, people: Iterable[Subject]) -> Covered:
    """Look at the covariates of subjects for a task.

    Raises:
        DataError: naming the subject whose covariate is no number, or of no known class.
    """
    covariates: dict[str, dict[str, JsonValue]] = {}
    targets: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for person in people if task.covariates else ():
        known = select_covariates(person, task.covariates)
        absent = [name for name in task.covariates if name not in known]
        if absent:
            left_out[person.id] = f"lack {list_some(absent, len(absent))}"
            continue
        target = _target_of(task, person, known)
        if isinstance(task, SubjectTask) and target is None:
            left_out[person.id] = NOT_MEANT
            continue
        covariates[person.id] = known
        if target is not None:
            targets[person.id] = target
    classes = tuple(task.classes) if isinstance(task, SubjectTask) else ()
    return Covered(covariates, targets, left_out, classes)


def select_covariates(subject: Subject, names: Sequence[str]) -> dict[str, JsonValue]:
    """Return a subject's covariates of some names; those that are absent, NaN or ``n/a`` are not there."""
    return {name: _plain(subject.covariates[name]) for name in names if _is_available(subject, name)}


def _is_available(subject: Subject, name: str) -> bool:
    value = _plain(subject.covariates.get(name))
    if isinstance(value, float):
        return not math.isnan(value)
    return value is not None and not (isinstance(value, str) and value.strip().casefold() in _NOT_AVAILABLE)


def _plain(value: object) -> JsonValue:
    """Return a value as JSON has it: NumPy's numbers as Python's, anything else as its text."""
    plain = value.item() if hasattr(value, "item") else value
    return plain if plain is None or isinstance(plain, str | bool | int | float) else str(plain)


def _target_of(task: Task, person: Subject, known: Mapping[str, object]) -> float | None:
    if not isinstance(task, SubjectTask):
        return None
    try:
        return task.target(known)
    except DataError as error:
        raise DataError(f"subject {person.id}: {error.message}", error.hint) from error
