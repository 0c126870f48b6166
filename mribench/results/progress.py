"""How far a benchmark is: its jobs and their states by kind, what runs, and how long the rest will take."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mribench.errors import StoreError
from mribench.interfaces.executor import Queued
from mribench.results.durations import Durations, estimate_left, read_durations
from mribench.results.holder import Holder
from mribench.results.lease import find_heartbeat_age_s, read_lease
from mribench.results.load import read_manifests
from mribench.results.manifest import PlannedJob
from mribench.results.specification import KINDS, JobKind, find_specification
from mribench.results.status import JobStatus, State
from mribench.results.store import Store

Shown = State | Literal["queued"]
"""The state of a job for whoever watches a run: that of its folder, or in a queue outside of mribench."""


@dataclass(frozen=True)
class KnownJob:
    """A job of the newest plan, or a folder that no plan asks for.

    Attributes:
        key: of the job.
        id: of the job, for people.
        kind: of the job; None where its folder does not say so.
        needs: keys of the jobs that must be done first.
        status: what it said.
        holder: who works on it, if anybody.
        heartbeat_age_s: since that one was last heard of.
        planned: whether the newest plan asks for it.
        queued: what the queue says that it was submitted to; None where it waits in none, or none was asked.
    """

    key: str
    id: str
    kind: JobKind | None
    needs: tuple[str, ...]
    status: JobStatus
    holder: Holder | None
    heartbeat_age_s: float | None
    planned: bool
    queued: Queued | None = None

    @property
    def shown(self) -> Shown:
        """Its state; of one that waits in a queue that alone, whatever an earlier attempt left."""
        return "queued" if self.queued is not None else self.status.state

    def gone_s(self) -> float | None:
        """Return the seconds since a running job was begun."""
        if self.status.state != "running" or not self.status.written:
            return None
        return max(time.time() - datetime.datetime.fromisoformat(self.status.written).timestamp(), 0.0)

    def left_s(self, durations: Durations) -> float | None:
        """Return the seconds that are left of the job; None where nothing tells."""
        if self.status.state == "done":
            return 0.0
        holder, gone_s = self.holder, self.gone_s() or 0.0
        if holder is not None and holder.rate and holder.total:
            return (holder.total - holder.done) / holder.rate
        whole = durations.of(self.kind) if self.kind else None
        return None if whole is None else max(whole - gone_s, 0.0)


def list_jobs(directory: Path) -> list[KnownJob]:
    """Return the jobs of the newest plan, dependencies first, then those that only have a folder."""
    store = Store(directory)
    plans = read_manifests(directory) if any((directory / "plans").glob("*.json")) else []
    planned = {job.key: job for job in plans[-1].jobs if job.key} if plans else {}
    known = [_know(store, key, job.id, job) for key, job in planned.items()]
    for folder in sorted((directory / "jobs").glob("*")):
        if folder.is_dir() and folder.name not in planned:
            known.append(_know(store, folder.name, _name(folder), None))
    return known


def _name(folder: Path) -> str:
    try:
        said = find_specification(folder)
    except StoreError:  # the job is to be run again; until then it goes by its folder
        return folder.name
    return said.id if said else folder.name


def _know(store: Store, key: str, name: str, job: PlannedJob | None) -> KnownJob:
    status = store.inspect(key)
    running = status.state == "running"
    holder = read_lease(store.directory(key)) if running else None
    heartbeat_age_s = find_heartbeat_age_s(store.directory(key)) if running else None
    kind, needs = (job.kind, job.needs) if job else (None, ())
    return KnownJob(key, name, kind, needs, status, holder, heartbeat_age_s, job is not None)


@dataclass(frozen=True)
class KindProgress:
    """How far the jobs of one kind are.

    Attributes:
        kind: of the jobs.
        states: number of jobs by state.
        jobs: all of them.
        mean_s: mean time of those that are done; None where none is.
        left_s: work that is left; None where nothing tells.
    """

    kind: JobKind
    states: Mapping[Shown, int]
    jobs: int
    mean_s: float | None
    left_s: float | None


@dataclass(frozen=True)
class Progress:
    """How far a benchmark is.

    Attributes:
        jobs: all that are known.
        kinds: those of the newest plan, by kind.
        left_s: time until all are done, with as many at a time as run now; None where nothing tells.
    """

    jobs: tuple[KnownJob, ...]
    kinds: tuple[KindProgress, ...]
    left_s: float | None


AskQueues = Callable[[Mapping[str, Path]], Mapping[str, Queued]]
"""Given the folders of jobs by key, says which of them wait in a queue."""
_SETTLED = ("done", "running")


def read_progress(directory: Path, ask_queues: AskQueues = lambda _: {}) -> Progress:
    """Read how far the newest plan of a benchmark is; nothing is written.

    Args:
        directory: of its results.
        ask_queues: is asked about the jobs that are neither done nor running.
    """
    jobs = list_jobs(directory)
    unsettled = {job.key: directory / "jobs" / job.key for job in jobs if job.status.state not in _SETTLED}
    queued = ask_queues(unsettled) if unsettled else {}
    jobs = [replace(job, queued=queued.get(job.key)) for job in jobs]
    durations = read_durations(directory / "jobs")
    planned = [job for job in jobs if job.planned]
    kinds = [_of_kind(kind, planned, durations) for kind in KINDS]
    open_jobs = [job for job in planned if job.status.state != "done"]
    seconds = {job.key: job.left_s(durations) for job in open_jobs}
    known = {key: left for key, left in seconds.items() if left is not None}
    running = sum(job.status.state == "running" for job in open_jobs)
    left_s = None
    if len(known) == len(seconds):
        left_s = estimate_left(known, {job.key: job.needs for job in open_jobs}, max(running, 1))
    return Progress(tuple(jobs), tuple(kind for kind in kinds if kind.jobs), left_s)


def _of_kind(kind: JobKind, planned: list[KnownJob], durations: Durations) -> KindProgress:
    jobs = [job for job in planned if job.kind == kind]
    states = Counter(job.shown for job in jobs)
    left = [job.left_s(durations) for job in jobs]
    known = [seconds for seconds in left if seconds is not None]
    return KindProgress(
        kind, states, len(jobs), durations.of(kind), sum(known) if len(known) == len(left) else None
    )
