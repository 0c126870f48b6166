"""Tells trackers how a run goes, in one thread beside the scheduler: no job waits for one or fails by it.

Jobs run in processes of their own, perhaps on other machines. They only write what they log into their
folders; the process of the run reads it there and passes it on.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mribench.errors import ConfigError, MRIBenchError
from mribench.execute import live
from mribench.execute.asked import split_asked
from mribench.execute.watcher import Watcher
from mribench.interfaces.options import TrackerRef
from mribench.interfaces.tracker import JobOutcome, Logged, TrackedJob, TrackedRun, Tracker
from mribench.plan import Job
from mribench.registry import Registry
from mribench.results import Store
from mribench.results.cell import EmbedCell
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, read_tables
from mribench.results.status import JobStatus
from mribench.statistics.scores import estimate_groups
from mribench.wording import with_hint

logger = logging.getLogger("mribench")

EVERY_S = 2.0
"""Seconds between two looks at the losses of the running jobs."""
STUCK_S = 60.0
"""Seconds without any progress after which the end of a run waits no longer for a tracker."""
_OF_METHOD = ("benchmark", "profile", "method", "views", "objective", "encoder", "seed")
_OF_ADAPTED = (
    *_OF_METHOD, "arm", "task", "dataset", "train_site", "train_sequence", "fraction", "n_train_subjects",
    "subset_seed",
)  # fmt: skip
_LABELS = {"pretrain": _OF_METHOD, "adapt": _OF_ADAPTED}
"""What of the cells of the jobs behind it a job without a cell is about."""


@dataclass
class Named:
    """A tracker that is told of a run.

    Attributes:
        name: as warnings have it: ``name (plugin 'x' of distribution)``.
        tracker: is told.
        on: false after its first exception.
        ended: jobs that it was told the end of.
    """

    name: str
    tracker: Tracker
    on: bool = True
    ended: int = 0


@dataclass
class _Open:
    """A job that was submitted: what trackers were told of it."""

    job: TrackedJob
    reader: live.LiveReader
    since: float = field(default_factory=time.monotonic)
    announced: bool = False
    rows: int = 0


class Tracking:
    """A ``Watcher`` that passes everything on to another one, and tells the trackers.

    Args:
        run: the run.
        trackers: who is told, one after the other, in one thread.
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
        self._jobs = list_tracked_jobs(plan, store)
        self._before = [self._jobs[key] for key in wanted if store.is_done(key)]
        self._id = uuid.uuid4().hex
        self._open: dict[str, _Open] = {}
        self._ended = 0
        self._looked = self._moved = time.monotonic()
        self._calls: queue.SimpleQueue[Callable[[Named], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")
        self._told = trackers[0]

    def __enter__(self) -> Tracking:
        self._outer = os.environ.get(live.RUN)
        os.environ[live.RUN] = self._id
        self._thread.start()
        self._calls.put(lambda named: named.tracker.run_started(self._run))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.environ.pop(live.RUN)
        if self._outer is not None:
            os.environ[live.RUN] = self._outer
        self._look(now=True)
        for key, opened in list(self._open.items()):
            if opened.announced:
                self._end(opened, self._store.status(key))
        if kind is None and self._before:
            self._calls.put(self._complete)
        self._calls.put(lambda named: named.tracker.run_ended())
        self._calls.put(None)
        self._wait()

    def planned(self, todo: int, done: int) -> None:
        """Pass it on."""
        self._watcher.planned(todo, done)

    def started(self, job: Job) -> None:
        """Look out for what the job writes; it is announced when it is seen to be this run's."""
        self._open[str(job.key)] = self._make_open(self._jobs[str(job.key)])
        self._watcher.started(job)
        self._look()

    def ended(self, job: Job, status: JobStatus) -> None:
        """Tell the rest of a job."""
        if str(job.key) in self._open:  # else it was given up before it was begun again
            self._end(self._open[str(job.key)], status)
        self._watcher.ended(job, status)
        self._look()

    def retrying(self, job: Job, status: JobStatus, wait_s: float) -> None:
        """Tell that an attempt ended; the next one is told as a job that goes on."""
        self._end(self._open[str(job.key)], status)
        self._watcher.retrying(job, status, wait_s)
        self._look()

    def noted(self, sentence: str) -> None:
        """Pass it on."""
        self._watcher.noted(sentence)

    def waiting(self, running: Mapping[str, Job], left_s: float | None) -> None:
        """Tell what the running jobs have logged."""
        self._watcher.waiting(running, left_s)
        self._look()

    def _work(self) -> None:
        while call := self._calls.get():
            for named in self._trackers:
                if named.on:
                    self._told = named
                    self._tell(named, call)

    def _tell(self, named: Named, call: Callable[[Named], None]) -> None:
        try:
            call(named)
            self._moved = time.monotonic()
        except (Exception, SystemExit) as error:  # the boundary: tracking never stops a run
            named.on = False
            self._say(f"tracking with {named.name} stopped: {_describe(error)}; the run goes on without it")
            logger.debug("tracking with %s stopped", named.name, exc_info=True)

    def _wait(self) -> None:
        """Wait until everything is told, or nothing has moved for ``STUCK_S``."""
        self._moved = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._moved < STUCK_S:
            self._thread.join(0.2)
        stuck = self._thread.is_alive()
        if stuck:
            self._say(f"tracking with {self._told.name} is stuck for {STUCK_S:g} s and is left behind")
        for named in self._trackers:
            named.on &= not stuck  # the thread, should it wake up, tells nobody any more
            if missed := self._ended - named.ended:
                self._say(f"tracking with {named.name} missed the end of {missed} of {self._ended} jobs")

    def _look(self, *, now: bool = False) -> None:
        """Pass on what running jobs have logged, every now and then."""
        if not now and time.monotonic() - self._looked < EVERY_S:
            return
        for opened in self._open.values():
            rows = opened.reader.read()
            if rows is not None:
                self._pass_on(opened, rows)
        self._looked = time.monotonic()

    def _pass_on(self, opened: _Open, rows: Sequence[Mapping[str, Any]]) -> None:
        job, new = opened.job, log_rows(rows)
        if not opened.announced:
            self._calls.put(lambda named: named.tracker.job_started(job))
            opened.announced = True
        if new:
            self._calls.put(lambda named: named.tracker.job_logged(job, new))
            opened.rows += len(new)

    def _end(self, opened: _Open, status: JobStatus) -> None:
        wall_s = time.monotonic() - opened.since
        del self._open[opened.job.key]
        self._ended += 1
        if status.state != "done":
            self._pass_on(opened, opened.reader.read() or [])

        def finish(named: Named) -> None:
            self._finish(named, opened, status, wall_s)
            named.ended += 1

        self._calls.put(finish)

    def _complete(self, named: Named) -> None:
        """Tell all of the jobs that were done before and whose record is not complete."""
        keys = set(named.tracker.unfinished(self._before))
        for job in self._before:
            if job.key in keys:
                self._finish(named, self._make_open(job), JobStatus("done"), wall_s=0.0)

    def _make_open(self, job: TrackedJob) -> _Open:
        return _Open(job, live.LiveReader(job.directory, self._id))

    def _finish(self, named: Named, opened: _Open, status: JobStatus, wall_s: float) -> None:
        """Tell what is left of a job that ended; its files are read here, where no scheduler waits."""
        job = opened.job
        if not opened.announced:
            named.tracker.job_started(job)
        rest = _read_history(job.directory)[opened.rows :] if status.state == "done" else []
        if rest:
            named.tracker.job_logged(job, rest)
        named.tracker.job_ended(job, _read_outcome(job, status, wall_s))
        self._moved = time.monotonic()


def _describe(error: BaseException) -> str:
    if not isinstance(error, MRIBenchError):
        return " ".join(f"{type(error).__name__}: {error}".split())
    return with_hint(" ".join(error.message.split()), error.hint)


def list_tracked_jobs(jobs: Mapping[str, Job], store: Store) -> dict[str, TrackedJob]:
    """Return what trackers are told of the jobs of a plan, by key.

    Only evaluations and embeddings have a cell. A job before them is labelled by what the cells of all jobs
    that need it have in common.
    """
    cells: dict[str, list[EmbedCell]] = defaultdict(list)
    for job in jobs.values():
        if job.cell:
            for key in job.needs:
                cells[key].append(job.cell)
    return {
        key: TrackedJob(key, job.id, job.kind, store.directory(key), _collect_labels(job, cells[key]))
        for key, job in jobs.items()
    }


def _collect_labels(job: Job, cells: Sequence[EmbedCell]) -> dict[str, Any]:
    labels: dict[str, Any] = {"profile": job.spec.profile, "seed": job.spec.seed}
    if job.cell:
        labels |= dict(job.cell)
    else:
        for name in _LABELS.get(job.kind, ()):
            values = {getattr(cell, name, None) for cell in cells}
            if len(values) == 1:
                labels[name] = values.pop()
    return {name: value for name, value in labels.items() if value is not None}


def log_rows(rows: Sequence[Mapping[str, float | None]]) -> list[Logged]:
    """Return rows of a history without the terms that a row lacks."""
    logged = []
    for row in rows:
        terms = {name: value for name, value in row.items() if name != "step" and value is not None}
        logged.append(Logged(int(row["step"] or 0), terms))
    return logged


def _read_history(directory: Path) -> list[Logged]:
    """Return all rows of a job that is done; none for a job that does not train."""
    path = directory / "history.parquet"
    return log_rows(pq.read_table(path).to_pylist()) if path.exists() else []


def _read_outcome(job: TrackedJob, status: JobStatus, wall_s: float) -> JobOutcome:
    """Return how a job ended; its time as the run saw it where it could not write its own."""
    if status.state != "done":
        reason = status.said or status.state
        return JobOutcome("failed" if status.state == "failed" else "interrupted", reason, wall_s)
    row = read_tables([job.directory / "job.parquet"], JOB_SCHEMA)
    return JobOutcome("done", "", float(row["wall_s"][0]), _read_scores(job.directory / "records.parquet"))


def _read_scores(path: Path) -> dict[str, float]:
    """Return the mean of each metric over subjects, as the tables count it by default."""
    if not path.exists():
        return {}
    of_one_seed = read_tables([path], SCORE_FILE_SCHEMA).assign(seed=0)
    means = estimate_groups(of_one_seed, ["metric"]).dropna(subset="mean")
    return {str(name): float(mean) for name, mean in zip(means["metric"], means["mean"], strict=True)}


def make_trackers(wanted: Sequence[str], registry: Registry) -> list[Named]:
    """Build the trackers of ``--track``.

    Args:
        wanted: ``name`` or ``name:key=value,key=value``.
        registry: all entries.

    Raises:
        ConfigError: for an unknown tracker or option, and for one that is asked for twice.
    """
    trackers = []
    for text in wanted:
        name, options = split_asked("--track", text)
        where = f"--track {name}"
        if wanted.count(text) > 1:
            raise ConfigError(f"--track {text}: given twice", "leave one of them out")
        component = {"name": name, **options}
        resolved = registry.resolve(TrackerRef.model_validate(component), where, "corrected")
        owner = f"{name} (plugin '{resolved.registered.plugin}' of {resolved.registered.distribution})"
        trackers.append(Named(owner, resolved.make()))
    return trackers
