"""The ready queue: submits a job when what it needs is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from mribench.interfaces.executor import Completed, Executor
from mribench.plan import Job
from mribench.results import Lease, LeaseState, Store
from mribench.results.specification import Provenance, Specification, write_specification
from mribench.results.store import JobStatus, write_status

POLL_S = 0.5


class Watcher(Protocol):
    """Is told what happens; the terminal's progress, or nobody."""

    def planned(self, todo: int, done: int) -> None:
        """Say how much there is to do."""

    def started(self, job: Job) -> None:
        """Say that a job was submitted."""

    def ended(self, job: Job, status: JobStatus) -> None:
        """Say that a job ended."""

    def waiting(self, running: Mapping[str, Job]) -> None:
        """Say that nothing new has happened."""


@dataclass
class Summary:
    """What a run did.

    Attributes:
        executed: jobs run to their end, by kind.
        cached: jobs that were done before.
        failed: jobs that failed, with the reason.
        blocked: jobs that need a failed one.
        wall_s: time of the whole run.
    """

    executed: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    wall_s: float = 0.0


def execute(
    jobs: Mapping[str, Job],
    store: Store,
    executor: Executor,
    watcher: Watcher,
    provenance: Provenance,
    *,
    examples: bool = True,
) -> Summary:
    """Run the jobs that are not done yet, dependencies first; a failure stops only what needs it.

    Args:
        jobs: by key, dependencies first.
        store: the results directory.
        executor: where they run; closed at the end.
        watcher: is told what happens.
        provenance: where the jobs come from.
        examples: whether they keep pictures of scans.
    """
    run = _Run(jobs, store, executor, watcher, provenance, examples)
    started = time.perf_counter()
    try:
        run.loop()
    finally:
        executor.close()
        run.summary.wall_s = time.perf_counter() - started
    return run.summary


@dataclass
class _Run:
    jobs: Mapping[str, Job]
    store: Store
    executor: Executor
    watcher: Watcher
    provenance: Provenance
    examples: bool
    running: dict[str, Job] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        needs = {key for job in self.jobs.values() for key in job.needs}
        self.done = {key for key in self.jobs.keys() | needs if self.store.is_done(key)}
        self.waiting = [job for key, job in self.jobs.items() if key not in self.done]
        self.summary = Summary(cached=len(self.jobs.keys() & self.done))
        self.watcher.planned(len(self.waiting), self.summary.cached)

    def loop(self) -> None:
        while self.waiting or self.running:
            self._block()
            elsewhere = self._submit()
            if self.running:
                ended = list(self.executor.completed(POLL_S))
                for completed in ended:
                    self._end(completed)
                if not ended:
                    self.watcher.waiting(self.running)
            elif elsewhere:
                self.watcher.waiting({})
                time.sleep(POLL_S)
            elif self.waiting and not any(self._ready(job) for job in self.waiting):
                break

    def _block(self) -> None:
        """Set aside, to the last descendant, the jobs that need a failed one."""
        while blocked := [job for job in self.waiting if self.failed.intersection(job.needs)]:
            for job in blocked:
                self.waiting.remove(job)
                self.summary.blocked.append(job.id)
                self.failed.add(str(job.key))

    def _ready(self, job: Job) -> bool:
        return all(need in self.done for need in job.needs)

    def _submit(self) -> int:
        """Submit ready jobs while there is room; return how many another process holds."""
        elsewhere = 0
        for job in list(self.waiting):
            if len(self.running) >= self.executor.capacity:
                break
            key = str(job.key)
            if not self._ready(job):
                continue
            if self.store.is_done(key):  # by another process, in the meantime
                self.waiting.remove(job)
                self.done.add(key)
                self.summary.cached += 1
                continue
            if Lease.state(self.store.directory(key)) is LeaseState.HELD:
                elsewhere += 1
                continue
            self.waiting.remove(job)
            self.running[key] = job
            directory = self._prepare(key, job)
            self.watcher.started(job)
            self.executor.submit(key, directory)
        return elsewhere

    def _prepare(self, key: str, job: Job) -> Path:
        """Make the folder of a job, with its ``job.json``."""
        directory = self.store.make_directory(key)
        if job.content is not None:
            said = Specification(
                id=job.id,
                spec=job.spec,
                content=job.content,
                provenance=self.provenance,
                examples=self.examples,
            )
            write_specification(directory, said)
        return directory

    def _end(self, completed: Completed) -> None:
        key, error = completed.key, completed.error
        job = self.running.pop(key)
        if completed.elsewhere:
            self.waiting.append(job)  # to be found done, or to be waited for
            return
        status = self.store.status(key)
        if error and status.state != "done" and not (status.state == "failed" or status.resumable):
            status = JobStatus("failed", error)
            write_status(self.store.directory(key), status)
        if status.state == "done":
            self.done.add(key)
            self.summary.executed[job.kind] += 1
        else:
            self.failed.add(key)
            self.summary.failed[job.id] = status.said or status.state
        self.watcher.ended(job, status)


def matches_any(name: str, patterns: Collection[str]) -> bool:
    """Whether a name matches one of some shell patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def select(jobs: Mapping[str, Job], patterns: Collection[str]) -> dict[str, Job]:
    """Return the jobs whose id matches one of the shell patterns, and all that they need."""
    wanted = {key for key, job in jobs.items() if matches_any(job.id, patterns)}
    for key in reversed(list(jobs)):
        if key in wanted:
            wanted.update(need for need in jobs[key].needs if need in jobs)
    return {key: job for key, job in jobs.items() if key in wanted}
