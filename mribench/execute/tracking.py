"""Tells trackers how a run goes: beside the scheduler, so that no job waits for one or fails by it.

Jobs run in processes of their own, perhaps on other machines. They only write what they log into their
folders; the process of the run reads it there and passes it on.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from mribench.errors import MRIBenchError
from mribench.execute import live
from mribench.execute.scheduler import Watcher
from mribench.execute.tracked import history, logged, outcome, tracked_jobs
from mribench.execute.trackers import Named
from mribench.interfaces.tracker import TrackedJob, TrackedRun, Tracker
from mribench.plan import Job
from mribench.results import Store
from mribench.results.store import JobStatus

logger = logging.getLogger("mribench")

EVERY_S = 2.0
"""Seconds between two looks at the losses of the running jobs."""
STUCK_S = 60.0
"""Seconds without any progress after which the end of a run waits no longer for a tracker."""


class _Channel:
    """One tracker's thread: takes what it is told in order; off after the first exception.

    Args:
        named: the tracker.
        say: shows a warning to a person.
    """

    def __init__(self, named: Named, say: Callable[[str], None]) -> None:
        self.name, self._tracker, self._say = named.name, named.tracker, say
        self._waiting: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"tracking {named.name}")
        self._off = False
        self._moved = time.monotonic()
        self.ended = 0
        """Jobs that the tracker was told the end of."""
        self._thread.start()

    def tell(self, call: Callable[[Tracker], None]) -> None:
        """Have the tracker called, soon."""
        self._waiting.put(call)

    def moves(self) -> None:
        """Note that the tracker is not stuck."""
        self._moved = time.monotonic()

    def close(self) -> None:
        """Wait until everything is told, or nothing has moved for ``STUCK_S``."""
        self.moves()
        self._waiting.put(None)
        while self._thread.is_alive() and time.monotonic() - self._moved < STUCK_S:
            self._thread.join(0.2)
        if self._thread.is_alive():
            self._off = True
            self._say(f"tracking with {self.name} is stuck for {STUCK_S:g} s and is left behind")

    def _work(self) -> None:
        while call := self._waiting.get():
            if self._off:
                continue
            try:
                call(self._tracker)
                self.moves()
            except (Exception, SystemExit) as error:  # the boundary: tracking never stops a run
                self._off = True
                said = (
                    error.message if isinstance(error, MRIBenchError) else f"{type(error).__name__}: {error}"
                )
                said = " ".join(said.split())
                hint = f" ({error.hint})" if isinstance(error, MRIBenchError) and error.hint else ""
                self._say(f"tracking with {self.name} stopped: {said}{hint}; the run goes on without it")
                logger.debug("tracking with %s stopped", self.name, exc_info=True)


class _Open:
    """A job that was submitted: what trackers were told of it.

    Args:
        job: as trackers know it.
        run: id of the run.
    """

    def __init__(self, job: TrackedJob, run: str) -> None:
        self.job = job
        self.since = time.monotonic()
        self.reader = live.LiveReader(job.directory, run)
        self.announced = False
        self.rows = 0


class Tracking:
    """A ``Watcher`` that passes everything on to another one, and tells the trackers.

    Args:
        run: the run.
        trackers: who is told.
        plan: all jobs of the benchmark, by key.
        wanted: those of them that are to be run.
        store: the results directory.
        watcher: who is told as without trackers.
        say: shows a warning to a person.
    """

    def __init__(
        self,
        run: TrackedRun,
        trackers: Sequence[Named],
        plan: Mapping[str, Job],
        wanted: Collection[str],
        store: Store,
        watcher: Watcher,
        say: Callable[[str], None],
    ) -> None:
        self._run, self._trackers, self._store, self._watcher, self._say = run, trackers, store, watcher, say
        self._jobs = tracked_jobs(plan, store)
        self._before = [self._jobs[key] for key in wanted if store.is_done(key)]
        self._id = uuid.uuid4().hex
        self._open: dict[str, _Open] = {}
        self._ended = 0
        self._looked = time.monotonic()
        self._channels: list[_Channel] = []

    def __enter__(self) -> Tracking:
        self._outer = os.environ.get(live.RUN)
        os.environ[live.RUN] = self._id
        self._channels = [_Channel(named, self._say) for named in self._trackers]
        self._tell(lambda tracker: tracker.run_started(self._run))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.environ.pop(live.RUN)
        if self._outer is not None:
            os.environ[live.RUN] = self._outer
        self._look()
        for key, opened in list(self._open.items()):
            if opened.announced:
                self._end(opened, self._store.status(key))
        for channel in self._channels:
            if kind is None and self._before:
                channel.tell(functools.partial(self._complete, channel))
            channel.tell(lambda tracker: tracker.run_ended())
        for channel in self._channels:
            channel.close()
            if channel.ended < self._ended:
                missed = self._ended - channel.ended
                self._say(f"tracking with {channel.name} missed the end of {missed} of {self._ended} jobs")

    def planned(self, todo: int, done: int) -> None:
        """Pass it on."""
        self._watcher.planned(todo, done)

    def started(self, job: Job) -> None:
        """Look out for what the job writes; it is announced when it is seen to be this run's."""
        key = str(job.key)
        self._open[key] = _Open(self._jobs[key], self._id)
        self._watcher.started(job)
        self._look_now_and_then()

    def ended(self, job: Job, status: JobStatus) -> None:
        """Tell the rest of a job."""
        self._end(self._open[str(job.key)], status)
        self._watcher.ended(job, status)
        self._look_now_and_then()

    def waiting(self, running: Mapping[str, Job]) -> None:
        """Tell what the running jobs have logged."""
        self._watcher.waiting(running)
        self._look_now_and_then()

    def _look_now_and_then(self) -> None:
        if time.monotonic() - self._looked >= EVERY_S:
            self._look()

    def _look(self) -> None:
        for opened in self._open.values():
            rows = opened.reader.read()
            if rows is not None:
                self._pass_on(opened, rows)
        self._looked = time.monotonic()

    def _pass_on(self, opened: _Open, rows: Sequence[Mapping[str, Any]]) -> None:
        job, new = opened.job, logged(rows)
        if not opened.announced:
            self._tell(lambda tracker: tracker.job_started(job))
            opened.announced = True
        if new:
            self._tell(lambda tracker: tracker.job_logged(job, new))
            opened.rows += len(new)

    def _end(self, opened: _Open, status: JobStatus) -> None:
        job, wall_s, told = opened.job, time.monotonic() - opened.since, opened.rows
        del self._open[job.key]
        self._ended += 1
        if status.state != "done":
            self._pass_on(opened, opened.reader.read() or [])
        for channel in self._channels:
            channel.tell(functools.partial(_finish, channel, job, status, wall_s, told, not opened.announced))

    def _complete(self, channel: _Channel, tracker: Tracker) -> None:
        """Tell all of the jobs that were done before and whose record is not complete."""
        keys = set(tracker.unfinished(self._before))
        for job in self._before:
            if job.key in keys:
                _finish(channel, job, JobStatus("done"), 0.0, 0, True, tracker, count=False)

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for channel in self._channels:
            channel.tell(call)


def _finish(
    channel: _Channel,
    job: TrackedJob,
    status: JobStatus,
    wall_s: float,
    told: int,
    announce: bool,
    tracker: Tracker,
    count: bool = True,
) -> None:
    """Tell what is left of a job that ended; its files are read here, not where the scheduler would wait."""
    if announce:
        tracker.job_started(job)
    rest = history(job.directory)[told:] if status.state == "done" else []
    if rest:
        tracker.job_logged(job, rest)
    tracker.job_ended(job, outcome(job, status, wall_s))
    channel.ended += count
    channel.moves()
