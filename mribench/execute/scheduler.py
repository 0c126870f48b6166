"""The ready queue: submits a job when what it needs is done, the longest chain of jobs first."""

from __future__ import annotations

import datetime
import heapq
import logging
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from mribench.errors import StoreError
from mribench.execute.causes import cause_of
from mribench.execute.disk import DiskWatch
from mribench.execute.graph import Graph
from mribench.execute.limits import Limits, Vigil
from mribench.execute.outlook import Outlook
from mribench.execute.retries import Retries
from mribench.execute.watcher import Summary, Watcher
from mribench.interfaces.executor import Cause, Completed, Executor
from mribench.plan import Job
from mribench.results import Lease, LeaseState, Store
from mribench.results.specification import Provenance, Specification, write_specification
from mribench.results.status import JobStatus

logger = logging.getLogger("mribench")

POLL_S = 0.5
REVIVE_S = 5.0
"""Seconds between two looks whether a person asked for a failed job again."""


def execute(
    jobs: Mapping[str, Job],
    store: Store,
    executor: Executor,
    watcher: Watcher,
    provenance: Provenance,
    summary: Summary,
    *,
    examples: bool = True,
    limits: Limits | None = None,
) -> None:
    """Run the jobs that are not done yet, dependencies first; a failure stops only what needs it.

    Args:
        jobs: by key, dependencies first.
        store: the results directory.
        executor: where they run; closed at the end.
        watcher: is told what happens.
        provenance: where the jobs come from.
        summary: is filled while the run goes on, so that a run that is stopped has one too.
        examples: whether they keep pictures of scans.
        limits: how long jobs may take; generous ones when None.
    """
    started = time.perf_counter()
    vigil = Vigil(limits or Limits(), executor, watcher)
    run = _Run(jobs, store, executor, watcher, provenance, summary, examples, vigil)
    try:
        run.loop()
    finally:
        executor.close()
        summary.left = run.count_left()
        summary.wall_s = time.perf_counter() - started


@dataclass
class _Run:
    """The state of a run: each job that is not done is in one of its collections.

    Attributes:
        unmet: of each job that waits for others, the keys of those.
        ready: what can be submitted, the longest chain first: (rank, key).
        resting: what failed and is tried again, by when: (time, key).
        alone: what wanted too much memory, and is tried again with nothing beside it.
        elsewhere: what another process holds.
        running: what was submitted.
        failed: what failed, and is not tried again.
        blocked: what needs one that failed.
        again: which job waited already until another that it needs was made again.
    """

    jobs: Mapping[str, Job]
    store: Store
    executor: Executor
    watcher: Watcher
    provenance: Provenance
    summary: Summary
    examples: bool
    vigil: Vigil
    retries: Retries = field(default_factory=Retries)
    unmet: dict[str, set[str]] = field(default_factory=dict)
    ready: list[tuple[int, str]] = field(default_factory=list)
    resting: list[tuple[float, str]] = field(default_factory=list)
    alone: deque[str] = field(default_factory=deque)
    elsewhere: set[str] = field(default_factory=set)
    running: dict[str, Job] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    again: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._revived = time.monotonic()
        self.disk = DiskWatch(self.store.root, self.watcher)
        needed = {need for job in self.jobs.values() for need in job.needs}
        done = {key for key in self.jobs.keys() | needed if self._is_done(key)}
        todo = self.todo = {key: job for key, job in self.jobs.items() if key not in done}
        self.outlook = Outlook(todo, self.store, self.executor.capacity)
        self.rank = {key: place for place, key in enumerate(self.outlook.order())}
        self.graph = Graph(todo)
        self.unmet = {key: set(job.needs) - done for key, job in todo.items()}
        for key in [key for key, unmet in self.unmet.items() if not unmet]:
            self._make_ready(key)
        self.summary.cached = len(self.jobs.keys() & done)
        self.watcher.planned(len(todo), self.summary.cached)

    def _is_done(self, key: str) -> bool:
        """Whether a job's results are there, and as they were written; says it where they are not."""
        status = self.store.inspect(key)
        if status.state == "damaged":
            name = self.jobs[key].id if key in self.jobs else key
            logger.warning("damaged: %s: %s; it is run again", name, status.reason)
        return status.state == "done"

    def loop(self) -> None:
        while self._goes_on():
            self._wake()
            if time.monotonic() - self._revived > REVIVE_S:
                self._revive()
            self._submit()
            ended = list(self.executor.completed(POLL_S)) if self.running else []
            for completed in ended:
                self._end(completed)
            self.vigil.look(self.running, self.store.root / "jobs")
            self.watcher.waiting(self.running, self.outlook.left_s())
            if not self.running and not ended:
                time.sleep(self._rest_s())

    def _goes_on(self) -> bool:
        """Whether there is anything left to do, after a last look whether a failed job is wanted again."""
        if not self._has_work():
            self._revive()
        return self._has_work()

    def _has_work(self) -> bool:
        return bool(self.ready or self.resting or self.alone or self.elsewhere or self.running)

    def count_left(self) -> int:
        """Return how many jobs are neither done nor failed nor given up."""
        queued = len(self.ready) + len(self.resting) + len(self.alone) + len(self.elsewhere)
        return queued + len(self.running) + len(self.unmet) - len(self.blocked)

    def _rest_s(self) -> float:
        """Return how long there is nothing to do: not at all where a job can be submitted."""
        return 0.0 if self.ready and not self.disk.full else POLL_S

    def _make_ready(self, key: str) -> None:
        self.unmet.pop(key, None)
        heapq.heappush(self.ready, (self.rank[key], key))

    def _wake(self) -> None:
        """Make ready what has rested, and what another process held: it may be done, or free."""
        while self.resting and self.resting[0][0] <= time.monotonic():
            self._make_ready(heapq.heappop(self.resting)[1])
        for key in list(self.elsewhere):
            if Lease.state(self.store.directory(key)) is not LeaseState.HELD:
                self.elsewhere.remove(key)
                self._make_ready(key)

    def _revive(self) -> None:
        """Take up failed jobs, and what needs them, that a person asked for again meanwhile."""
        self._revived = time.monotonic()
        for key in [key for key in self.failed if self.store.status(key).state == "todo"]:
            self.failed.remove(key)
            self.retries.forget(key)
            self.summary.failed.pop(self.jobs[key].id)
            self.outlook.take_up(key)
            self._make_ready(key)
            self._unblock(key)

    def _submit(self) -> None:
        """Submit ready jobs while there is room; one that must be alone when nothing else can be done."""
        if self.disk.is_full():
            return
        while self.ready and not self._runs_alone() and len(self.running) < self.executor.capacity:
            key = heapq.heappop(self.ready)[1]
            if self._is_free(key) and not self._try_to_start(key):
                return
        if self.alone and not self.running and not self.ready:
            key = self.alone.popleft()
            if self._is_free(key):
                self._try_to_start(key)

    def _runs_alone(self) -> bool:
        return any(self.retries.must_be_alone(key) for key in self.running)

    def _is_free(self, key: str) -> bool:
        """Whether a job is to be run here: nobody has done it, holds it, or called it off, meanwhile."""
        status = self.store.inspect(key)
        if status.state == "done":
            self.summary.cached += 1
            self._finish(key)
            return False
        if status.cause is Cause.CANCELLED and status.written >= self.began:
            self._give_up(key, status)
            return False
        if Lease.state(self.store.directory(key)) is LeaseState.HELD:
            self.elsewhere.add(key)
            return False
        return True

    def _try_to_start(self, key: str) -> bool:
        """Submit a job; pause where not even its folder can be written."""
        job = self.jobs[key]
        try:
            directory = self._prepare(key, job)
        except (OSError, StoreError) as error:
            if cause_of(error) is not Cause.DISK:
                raise
            self._make_ready(key)
            self.disk.found_full()
            return False
        self.running[key] = job
        self.outlook.started(key)
        self.watcher.started(job)
        self.executor.submit(key, directory)
        return True

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
        """Take a job that came back: done, in other hands, to be tried again, or failed."""
        key = completed.key
        job = self.running.pop(key)
        self.outlook.ended(key)
        verdict = self.vigil.ended(key)
        status = self.store.status(key)
        if status.state == "done" and not completed.elsewhere:
            self.summary.executed[job.kind] += 1
            self.outlook.learn(key)
            self._finish(key)
            self.watcher.ended(job, status)
            return
        if completed.elsewhere or status.state == "running":  # taken over: to be found done, or waited for
            self.elsewhere.add(key)
            return
        if verdict is not None and status.state != "failed":
            status = JobStatus("interrupted", verdict.reason, cause=verdict.cause)
        elif self._was_cancelled(completed, status) or not self._says_why(status):
            reason = completed.error or "its process ended without a word; see its log.txt"
            status = JobStatus("interrupted", reason, cause=completed.cause)
        if not (status.cause is Cause.DAMAGED and self._make_again(key)):
            self._try_again(key, status)

    @staticmethod
    def _was_cancelled(completed: Completed, status: JobStatus) -> bool:
        """Whether a person ended it where it ran: the job itself saw a signal, and no person."""
        return completed.cause is Cause.CANCELLED and status.state == "interrupted"

    @staticmethod
    def _says_why(status: JobStatus) -> bool:
        """Whether the job itself has said why it ended, and was not found dead."""
        return status.state == "failed" or (
            status.state == "interrupted" and status.cause not in (None, Cause.INFRASTRUCTURE)
        )

    def _try_again(self, key: str, status: JobStatus) -> None:
        """Queue a job that failed for another attempt, if there is one."""
        job = self.jobs[key]
        again = self.retries.next(key, status.cause)
        if again is None:
            self._give_up(key, status)
            return
        self.summary.retries += 1
        if status.cause is Cause.DISK:
            self.disk.found_full()
        if again.alone:
            self.alone.append(key)
        else:
            heapq.heappush(self.resting, (time.monotonic() + again.wait_s, key))
        self.watcher.retrying(job, status, again.wait_s)

    def _finish(self, key: str) -> None:
        """Make ready what waited for nothing but this job."""
        self.outlook.drop(key)
        for other in self.graph.waiting_for(key):
            unmet = self.unmet.get(other)
            if unmet is not None:
                unmet.discard(key)
                if not unmet:
                    self._make_ready(other)

    def _give_up(self, key: str, status: JobStatus) -> None:
        """Let a job fail, and set aside, to the last descendant, what needs it."""
        tries = self.retries.failures(key)
        if status.cause is not Cause.CANCELLED:
            tried = f" ({tries} attempts)" if tries > 1 else ""
            status = replace(status, state="failed", reason=f"{status.reason}{tried}")
        if not self._record(key, status):
            self.elsewhere.add(key)
            return
        self.failed.add(key)
        self.outlook.drop(key)
        self.summary.failed[self.jobs[key].id] = status.said or status.state
        for other in self.graph.descendants(key):
            if other not in self.blocked:
                self.blocked.add(other)
                self.outlook.drop(other)
                self.summary.blocked.append(self.jobs[other].id)
        self.watcher.ended(self.jobs[key], status)

    def _unblock(self, key: str) -> None:
        """Take up again what needs a job, and no other one that failed."""
        for other in self.graph.descendants(key):
            if not self.failed.intersection(self.graph.ancestors(other)):
                self.blocked.discard(other)
                self.outlook.take_up(other)
                self.summary.blocked.remove(self.jobs[other].id)

    def _record(self, key: str, status: JobStatus) -> bool:
        """Write the status of a job that could not do so itself; on a full disk the summary alone has it.

        Returns:
            False where another process has the job, or has done it, by now.
        """
        try:
            self.store.make_directory(key)
            return self.store.note_failure(key, status)
        except (OSError, StoreError) as error:
            if cause_of(error) is not Cause.DISK:
                raise
            self.disk.found_full()
            return True

    def _make_again(self, key: str) -> bool:
        """Have what a job needs run again where it is not done any more; whether the job waits for that."""
        lost = [need for need in Graph(self.jobs).ancestors(key) if not self._is_done(need)]
        new = {(key, need) for need in lost} - self.again
        if not new:
            return False
        self.again |= new
        first = min(self.rank.values(), default=0) - 1  # others wait for it
        for need in lost:
            if need not in self.todo:
                self.todo[need] = self.jobs[need]
                self.graph.add(need)
                self.rank[need] = first
        queued = {*self.running, *self.unmet, *self.elsewhere, *self.alone}
        queued |= {other for _, other in (*self.ready, *self.resting)}
        for each in [need for need in lost if need not in queued] + [key]:
            self.outlook.take_up(each)
            self.unmet[each] = set(self.jobs[each].needs).intersection(lost)
            if not self.unmet[each]:
                self._make_ready(each)
        return True


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
