"""The scheduler: submits a job when what it needs is done, the longest chain of jobs first."""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from mribench.errors import StoreError
from mribench.execute.causes import cause_of
from mribench.execute.disk import DiskWatch
from mribench.execute.failures import Failures
from mribench.execute.graph import Graph
from mribench.execute.launching import Launcher
from mribench.execute.limits import Limits, Vigil
from mribench.execute.needs import MemoryNeeds
from mribench.execute.outlook import Outlook
from mribench.execute.retries import SMALLER, Retries
from mribench.execute.underway import Underway
from mribench.execute.verdicts import explain
from mribench.execute.waiting import Held, ReadyQueue
from mribench.execute.watcher import Summary, Watcher
from mribench.interfaces.executor import Batch, Cause, Completed, Executor
from mribench.plan import Job
from mribench.results import Lease, LeaseState, Store
from mribench.results.specification import Provenance
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
        run.take_ended()
        summary.left = run.count_left()
        summary.wall_s = time.perf_counter() - started


@dataclass
class _Run:
    """The state of a run: each job that is not done is in one of its collections.

    Attributes:
        unmet: of each job that waits for others, the keys of those.
        ready: what can be submitted, the longest chain first.
        held: what could be, but for something that passes.
        underway: what was submitted, by the id of its batch.
        failures: what failed, or needs something that did, and is not tried again.
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
    ready: ReadyQueue = field(default_factory=ReadyQueue)
    held: Held = field(default_factory=Held)
    underway: dict[str, Underway] = field(default_factory=dict)
    again: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._revived = time.monotonic()
        self.disk = DiskWatch(self.store.root, self.watcher)
        needed = {need for job in self.jobs.values() for need in job.needs}
        found = {key: self._inspect(key) for key in self.jobs.keys() | needed}
        done = {key for key, status in found.items() if status.state == "done"}
        todo = self.todo = {key: job for key, job in self.jobs.items() if key not in done}
        self.outlook = Outlook(todo, self.store, self.executor.capacity)
        self.rank = {key: place for place, key in enumerate(self.outlook.order())}
        self.graph = Graph(todo)
        self.needs = MemoryNeeds(self.jobs, self.store)
        self.launcher = Launcher(
            self.jobs, self.store, self.executor, self.provenance, self.examples, self.outlook
        )
        self.failures = Failures(self.jobs, self.graph, self.summary, self.outlook)
        self.unmet = {key: set(job.needs) - done for key, job in todo.items()}
        for key in [key for key, unmet in self.unmet.items() if not unmet]:
            self._make_ready(key)
        self.summary.cached = len(self.jobs.keys() & done)
        self.summary.inspected = {} if todo else found
        self.watcher.planned(len(todo), self.summary.cached)

    def _inspect(self, key: str) -> JobStatus:
        """Return how a job stands; says it where its files are not as they were written."""
        status = self.store.inspect(key)
        if status.state == "damaged":
            name = self.jobs[key].id if key in self.jobs else key
            logger.warning("damaged: %s: %s; it is run again", name, status.reason)
        return status

    def loop(self) -> None:
        while self._goes_on():
            self._wake()
            if time.monotonic() - self._revived > REVIVE_S:
                self._revive()
                self._withdraw()
            self._submit()
            ended = list(self.executor.completed(POLL_S)) if self.underway else []
            for completed in ended:
                self._end(completed)
            self.take_ended()
            running = self._running()
            self.vigil.look(running, self.store.root / "jobs")
            self.watcher.waiting(running, self.outlook.left_s())
            if not self.underway and not ended:
                time.sleep(self._rest_s())

    def _goes_on(self) -> bool:
        """Whether there is anything left to do, after a last look whether a failed job is wanted again."""
        if not self._has_work():
            self._revive()
        return self._has_work()

    def _has_work(self) -> bool:
        return bool(self.ready or self.held or self.underway)

    def _running(self) -> dict[str, Job]:
        """Return the jobs that are run at this moment, one of each batch."""
        return {under.left[0]: self.jobs[under.left[0]] for under in self.underway.values()}

    def count_left(self) -> int:
        """Return how many jobs are neither done nor failed nor given up."""
        submitted = sum(len(under.left) for under in self.underway.values())
        waiting = len(self.unmet) - len(self.failures.blocked)
        return len(self.ready) + len(self.held) + submitted + waiting

    def _rest_s(self) -> float:
        """Return how long there is nothing to do: not at all where a job can be submitted."""
        return 0.0 if self.ready and not self.disk.full else POLL_S

    def _make_ready(self, key: str) -> None:
        self.unmet.pop(key, None)
        self.ready.push(key, self.rank[key], self._group_of(key))

    def _group_of(self, key: str) -> Hashable:
        """Return what the jobs have in common that may share a process; one that failed has its own."""
        job = self.jobs[key]
        if not job.needs or self.retries.failures(key):
            return key
        return job.kind, job.needs

    def _wake(self) -> None:
        """Make ready what has rested, and what another process held: it may be done, or free."""
        for key in self.held.take_rested():
            self._make_ready(key)
        for key in list(self.held.elsewhere):
            if Lease.state(self.store.directory(key)) is not LeaseState.HELD:
                self.held.elsewhere.remove(key)
                self._make_ready(key)

    def _revive(self) -> None:
        """Take up failed jobs, and what needs them, that a person asked for again meanwhile."""
        self._revived = time.monotonic()
        failed = list(self.failures.failed)
        for key in [key for key in failed if self.store.status(key).state == "todo"]:
            self.retries.forget(key)
            self.failures.forget(key)
            self._make_ready(key)

    def _withdraw(self) -> None:
        """Take back what waits in a queue of the executor's, and was called off before it could begin."""
        for key in [key for key in self._running() if self._is_called_off(self.store.status(key))]:
            self.executor.kill(key)

    def _is_called_off(self, status: JobStatus) -> bool:
        return status.cause is Cause.CANCELLED and status.written >= self.began

    def _submit(self) -> None:
        """Submit ready jobs while there is room; one that must be alone when nothing else can be done."""
        if self.disk.is_full():
            return
        while self.ready and not self._runs_alone() and len(self.underway) < self.executor.capacity:
            key = self.ready.pop()
            if self._is_free(key) and not self._try_to_start(key):
                return
        if self.held.alone and not self.underway and not self.ready:
            key = self.held.alone.popleft()
            if self._is_free(key):
                self._try_to_start(key)

    def _runs_alone(self) -> bool:
        return any(self.retries.must_be_alone(key) for key in self._running())

    def _is_free(self, key: str) -> bool:
        """Whether a job is to be run here: nobody has done it, holds it, or called it off, meanwhile."""
        status = self.store.inspect(key)
        if status.state == "done":
            self.summary.cached += 1
            self._finish(key)
            return False
        if self._is_called_off(status):
            self._give_up(key, status)
            return False
        if Lease.state(self.store.directory(key)) is LeaseState.HELD:
            self.held.elsewhere.add(key)
            return False
        return True

    def _try_to_start(self, key: str) -> bool:
        """Submit a job, with others that its process may run; pause where no folder can be written."""
        others = self.ready.of_group(self._group_of(key))
        n_free = self.executor.capacity - len(self.underway)
        chosen = [key]
        for other in self.launcher.choose_beside(key, others, len(self.ready) + 1, n_free):
            self.ready.remove(other)
            if self._is_free(other):
                chosen.append(other)
        try:
            folders = {each: self.launcher.make_folder(each) for each in chosen}
        except (OSError, StoreError) as error:
            if cause_of(error) is not Cause.DISK:
                raise
            for each in chosen:
                self._make_ready(each)
            self.disk.found_full()
            return False
        known = self.executor.recall(folders[key])
        parts = self.retries.window_parts(key)
        needed = self.needs.of(chosen) if self.executor.weighs_memory else None
        batch = Batch(folders, known or uuid.uuid4().hex, window_parts=parts, gpu_bytes=needed)
        if not self.executor.has_room(batch):
            for each in chosen:
                self._make_ready(each)
            return False
        self.underway[batch.id] = Underway(batch)
        self.summary.places = max(self.summary.places, len(self.underway))
        self._note_begun(key)
        self.executor.submit(batch)
        return True

    def _note_begun(self, key: str) -> None:
        """Say that a job is the one that its batch's process runs now."""
        self.outlook.submitted(key)
        self.watcher.started(self.jobs[key])

    def take_ended(self) -> None:
        """Take the jobs that have ended while their batches go on."""
        for under in self.underway.values():
            for key in under.take_ended():
                self._take(under, key, under.came_back(key))
                self._note_begun(under.left[0])

    def _end(self, completed: Completed) -> None:
        """Take the jobs of a batch whose process ended.

        How it ended is put down to the job that it came to last; those after it are ready as before.
        """
        under = self.underway.pop(completed.batch)
        self.summary.busy_s += time.monotonic() - under.since
        begun, others = under.split()
        for place, key in enumerate(begun, start=1):
            if place > 1:
                self._note_begun(key)
            self._take(under, key, completed if place == len(begun) else under.came_back(key))
        for key in others:
            self._make_ready(key)

    def _take(self, under: Underway, key: str, completed: Completed) -> None:
        """Take a job that came back: done, in other hands, to be tried again, or failed."""
        job = self.jobs[key]
        self.outlook.ended(key)
        verdict = self.vigil.ended(key)
        status = self.store.status(key)
        ran = under.said(key) is not None
        if status.state == "done" and ran:
            self.summary.executed[job.kind] += 1
            self.summary.work_s += self.outlook.learn(key)
            if self.executor.weighs_memory:
                self.needs.learn(key)
            self._finish(key)
            self.watcher.ended(job, status)
            return
        others = completed.elsewhere and not ran
        if others or status.state in ("done", "running"):  # taken over: to be found done, or waited for
            self.held.elsewhere.add(key)
            return
        status = explain(status, ran, completed, verdict)
        if not (status.cause is Cause.DAMAGED and self._make_again(key)):
            self._try_again(key, status)

    def _try_again(self, key: str, status: JobStatus) -> None:
        """Queue a job that failed for another attempt, if there is one."""
        job = self.jobs[key]
        again = self.retries.next(key, status.cause, self.store.find_checkpoint_ns(key))
        if again is None:
            self._give_up(key, status)
            return
        self.summary.retries += 1
        if status.cause is Cause.DISK:
            self.disk.found_full()
        if again.alone:
            self.held.alone.append(key)
            status = replace(status, reason=f"{status.reason}; {SMALLER}")
        else:
            self.held.rest(key, again.wait_s)
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
        """Let a job fail, with what needs it."""
        tries = self.retries.failures(key)
        if status.cause is not Cause.CANCELLED:
            tried = f" ({tries} attempts)" if tries > 1 else ""
            status = replace(status, state="failed", reason=f"{status.reason}{tried}")
        if not self._record(key, status):
            self.held.elsewhere.add(key)
            return
        self.failures.add(key, status.said or status.state)
        self.watcher.ended(self.jobs[key], status)

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
        lost = [need for need in Graph(self.jobs).ancestors(key) if self._inspect(need).state != "done"]
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
        queued = {*self.unmet, *self.ready, *self.held}
        queued.update(*(under.left for under in self.underway.values()))
        for each in [need for need in lost if need not in queued] + [key]:
            self.outlook.take_up(each)
            self.unmet[each] = set(self.jobs[each].needs).intersection(lost)
            if not self.unmet[each]:
                self._make_ready(each)
        return True
