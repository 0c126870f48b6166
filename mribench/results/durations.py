"""How long jobs take, by those that are done, and how long those that are left will take."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from mribench.results.records import JOB_SCHEMA, read_tables
from mribench.results.specification import JobKind

_MOST_READ = 300
"""Done jobs whose times are read: the newest of a folder, so that ten thousand cost no more than a few."""


@dataclass
class _Total:
    seconds: float = 0.0
    jobs: int = 0
    trained_s: float = 0.0
    steps: int = 0


class Durations:
    """Mean times of the jobs of each kind: of a step where jobs train, of a whole job where they do not."""

    def __init__(self) -> None:
        self._totals: dict[str, _Total] = defaultdict(_Total)

    def add(self, kind: JobKind, wall_s: float, steps: int | None = None) -> None:
        """Take the time of one job, and the steps that it trained, if any."""
        total = self._totals[kind]
        total.seconds += wall_s
        total.jobs += 1
        if steps:
            total.trained_s += wall_s
            total.steps += steps

    def of(self, kind: JobKind, steps: int | None = None) -> float | None:
        """Return the seconds of a job; None where no job of its kind is known."""
        total = self._totals.get(kind)
        if total is None:
            return None
        if steps and total.steps:
            return steps * total.trained_s / total.steps
        return total.seconds / total.jobs


def read_durations(jobs: Path) -> Durations:
    """Return the times of the newest done jobs below a folder of jobs, whichever plan asked for them."""
    durations = Durations()
    rows = read_newest(jobs)
    for kind, wall_s, steps in zip(rows["kind"], rows["wall_s"], rows["steps"].fillna(0), strict=True):
        durations.add(kind, float(wall_s), int(steps))
    return durations


def read_newest(jobs: Path) -> pd.DataFrame:
    """Return the job rows of the newest done jobs below a folder of jobs."""
    dated = ((path.stat().st_mtime, path) for path in jobs.glob("*/job.parquet"))
    return _read([path for _, path in heapq.nlargest(_MOST_READ, dated)])


def _read(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the job rows of some files; those of a damaged one are left out, and made again by a run."""
    try:
        return read_tables(paths, JOB_SCHEMA)
    except (OSError, pa.ArrowException):
        return read_tables([path for path in paths if _is_readable(path)], JOB_SCHEMA)


def _is_readable(path: Path) -> bool:
    try:
        read_tables([path], JOB_SCHEMA)
    except (OSError, pa.ArrowException):
        return False
    return True


def longest_paths(seconds: Mapping[str, float], needs: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Return, for each job, its own time and that of the longest chain of jobs that wait for it.

    Args:
        seconds: of each job by key, dependencies first.
        needs: keys of the jobs that each waits for.
    """
    after: dict[str, float] = dict.fromkeys(seconds, 0.0)
    paths: dict[str, float] = {}
    for key in reversed(list(seconds)):
        paths[key] = seconds[key] + after[key]
        for need in needs[key]:
            if need in after:
                after[need] = max(after[need], paths[key])
    return paths


def estimate_left(seconds: Mapping[str, float], needs: Mapping[str, Iterable[str]], at_a_time: int) -> float:
    """Return the seconds that jobs will take together.

    That is their longest chain, or all their work shared by those that run at a time, whichever is longer: a
    list of jobs can end up to twice as late (Graham 1969, doi:10.1137/0117039).

    Args:
        seconds: that are left of each job, dependencies first.
        needs: keys of the jobs that each waits for.
        at_a_time: jobs.
    """
    if not seconds:
        return 0.0
    return max(max(longest_paths(seconds, needs).values()), sum(seconds.values()) / max(at_a_time, 1))
