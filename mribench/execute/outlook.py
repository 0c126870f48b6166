"""In which order jobs are best run, and how long they will take, by those that are done."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mribench.plan import Job
from mribench.results import Store
from mribench.results.durations import Durations, estimate_left, longest_paths, read_durations
from mribench.results.lease import read_lease
from mribench.results.records import JOB_SCHEMA, read_tables
from mribench.results.specification import AdaptSpec, PretrainSpec

_EVERY_S = 2.0
"""Seconds between two estimates."""
_STARTUP_S = 60.0
"""A job that has not begun so long after it was submitted waits in a queue."""
_STEP_S, _JOB_S = 0.1, 1.0
"""Guesses for kinds of job of which none is done; they order jobs, and are never shown."""


class Outlook:
    """What is left of a run.

    Args:
        todo: the jobs that are not done, by key, dependencies first.
        store: the results directory, whose done jobs say how long others will take.
        at_a_time: jobs that run at a time. Where some wait in a queue, as many count as have begun.
    """

    def __init__(self, todo: Mapping[str, Job], store: Store, at_a_time: int) -> None:
        self._todo = todo
        self._gone: set[str] = set()
        self._store = store
        self._at_a_time = at_a_time
        self._durations = read_durations(store.root / "jobs") if todo else Durations()
        self._submitted: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._estimated = -_EVERY_S
        self._left_s: float | None = None

    def order(self) -> list[str]:
        """Return the keys, those with the longest chains of jobs behind them first; else as planned."""
        seconds = {key: self.estimate_s(job) or _guess(job) for key, job in self._todo.items()}
        paths = longest_paths(seconds, self._needs())
        return sorted(self._todo, key=lambda key: -paths[key])

    def submitted(self, key: str) -> None:
        """Note that a job was handed to the executor."""
        self._submitted[key] = time.monotonic()

    def ended(self, key: str) -> None:
        """Note that a job runs no more."""
        self._submitted.pop(key, None)
        self._begun.pop(key, None)

    def learn(self, key: str) -> float:
        """Take, and return, the seconds of a job that is done."""
        path = self._store.directory(key) / "job.parquet"
        job = self._todo[key]
        wall_s = float(read_tables([path], JOB_SCHEMA)["wall_s"].iloc[0])
        self._durations.add(job.kind, wall_s, steps_of(job))
        return wall_s

    def drop(self, key: str) -> None:
        """Leave a job out: it is done, or will not be."""
        self._gone.add(key)

    def take_up(self, key: str) -> None:
        """Count a job again that was left out."""
        self._gone.discard(key)

    def left_s(self) -> float | None:
        """Return how many seconds are left; None while a kind of job is left of which none is done."""
        now = time.monotonic()
        if now - self._estimated >= _EVERY_S:
            self._estimated = now
            self._left_s = self._estimate(now)
        return self._left_s

    def _count_places(self, now: float) -> int:
        """Return how many jobs run at a time; notes those that have begun."""
        for key in self._submitted.keys() - self._begun.keys():
            if read_lease(self._store.directory(key)) is not None:
                self._begun[key] = now
        not_begun = self._submitted.keys() - self._begun.keys()
        in_queue = [key for key in not_begun if now - self._submitted[key] > _STARTUP_S]
        return max(len(self._begun), 1) if in_queue else self._at_a_time

    def _estimate(self, now: float) -> float | None:
        places = self._count_places(now)
        seconds: dict[str, float] = {}
        for key, job in self._todo.items():
            if key in self._gone:
                continue
            whole = self.estimate_s(job)
            if whole is None:
                return None
            gone = now - self._begun.get(key, now)
            seconds[key] = max(whole - gone, 0.0)
        return estimate_left(seconds, self._needs(), places)

    def estimate_s(self, job: Job) -> float | None:
        """Return how many seconds a job will take; None while none of its kind is done."""
        return self._durations.of(job.kind, steps_of(job))

    def _needs(self) -> dict[str, tuple[str, ...]]:
        return {key: job.needs for key, job in self._todo.items()}


def steps_of(job: Job) -> int | None:
    """Return how many steps a job trains; None of one that trains nothing."""
    match job.spec:
        case PretrainSpec(pretrain=options) | AdaptSpec(adapt=options):
            steps = options.get("steps")
            return steps if isinstance(steps, int) else None
        case _:
            return None


def _guess(job: Job) -> float:
    return (steps_of(job) or 0) * _STEP_S + _JOB_S
