"""The ready queue: submits a job when what it needs is done."""

from __future__ import annotations

import logging
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
from mribench.results.status import JobStatus

logger = logging.getLogger("mribench")

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
    again: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        needs = {key for job in self.jobs.values() for key in job.needs}
        self.done = {key for key in self.jobs.keys() | needs if self._is_done(key)}
        self.waiting = [job for key, job in self.jobs.items() if key not in self.done]
        self.summary = Summary(cached=len(self.jobs.keys() & self.done))
        self.watcher.planned(len(self.waiting), self.summary.cached)

    def _is_done(self, key: str) -> bool:
        """Whether a job's results are there, and as they were written; says it where they are not."""
        status = self.store.inspect(key)
        if status.state == "damaged":
            name = self.jobs[key].id if key in self.jobs else key
            logger.warning("damaged: %s: %s; it is run again", name, status.reason)
        return status.state == "done"

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
            if self.store.inspect(key).state == "done":  # by another process, in the meantime
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
            if not self.store.note_failure(key, status):
                self.waiting.append(job)  # another process has it
                return
        if status.cause == "damaged" and self._wait_again(key, job):
            return
        if status.state == "done":
            self.done.add(key)
            self.summary.executed[job.kind] += 1
        else:
            self.failed.add(key)
            self.summary.failed[job.id] = status.reason or status.state
        self.watcher.ended(job, status)

    def _wait_again(self, key: str, job: Job) -> bool:
        """Have what a job needs run again where it is not done any more; whether the job waits for that."""
        behind = {need for known in job.needs for need in (known, *self._needs_of(known))}
        lost = [need for need in behind & self.jobs.keys() if not self._is_done(need)]
        if not lost or key in self.again:
            return False
        self.again.add(key)
        self.done.difference_update(lost)
        held = self.running.keys() | {str(other.key) for other in self.waiting}
        self.waiting += [self.jobs[need] for need in lost if need not in held]
        self.waiting.append(job)
        return True

    def _needs_of(self, key: str) -> Collection[str]:
        return self.jobs[key].needs if key in self.jobs else ()


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
