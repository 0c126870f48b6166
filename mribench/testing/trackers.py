"""Checks of trackers."""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mribench.interfaces import JobOutcome, Logged, TrackedJob, TrackedRun, Tracker
from mribench.testing.problems import ConformanceError, require

_NAMES = ("total", "odd (name), 50 %", "größe/β", "a.b-c:d", "'quoted' \"twice\"", "1st", "long " * 20)
_ODD = (float("nan"), float("inf"), -float("inf"), -0.0, 1e300, 1e-300, 3)
_LABELS: dict[str, str | int | float] = {
    "method": "mine",
    "arm": "frozen",
    "seed": 0,
    "fraction": 0.1,
    "task": "größe: 50 % [x]",
}
_SCORES = {"distance:largest": 3.5, "overlap": 0.5, "odd (name), 50 %": -1.0}


def check_tracker(make: Callable[[], Tracker]) -> None:
    """Check that a tracker takes all that a run may tell it: odd names and values, kills, jobs side by side.

    As in a run, it is built in one thread and told everything in another. It is told of an imaginary
    benchmark ``mribench-conformance`` in a temporary folder; what it writes elsewhere (a server that its
    options or its environment name) stays there.

    Args:
        make: builds the tracker, anew for each run.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the packages behind trackers deprecate is not the tracker's
        run = TrackedRun("mribench-conformance", "corrected", "conformance.yaml", Path(folder))
        for scenario in (_do_nothing, _run_side_by_side, _kill, _find_untold):
            scenario(make, run)


def _do_nothing(make: Callable[[], Tracker], run: TrackedRun) -> None:
    with _Told(make, run, "a run without jobs"):
        pass


def _run_side_by_side(make: Callable[[], Tracker], run: TrackedRun) -> None:
    """Two jobs of one id at a time, one that does not train, and one that does not end."""
    with _Told(make, run, "jobs side by side") as told:
        first, second, scored, left = (_make_job(run, name) for name in ("a", "b", "c", "d"))
        told.job_started(first)
        told.job_started(second)
        told.job_logged(first, _make_rows(0, 4))
        told.job_logged(second, _make_rows(0, 2))
        told.job_started(left)
        told.job_ended(second, JobOutcome("failed", "no memory:\n  50 % of größe (x)", 2.0))
        told.job_logged(first, [*_make_rows(4, 5), *_check_rows()])
        told.job_ended(first, JobOutcome("done", "", 3.0))
        told.job_started(scored)
        told.job_ended(scored, JobOutcome("done", "", 1.0, _SCORES))
        told.job_logged(left, _make_rows(0, 1))


def _kill(make: Callable[[], Tracker], run: TrackedRun) -> None:
    """A run that was killed, one that was interrupted, and one that finishes the job: all from step 0."""
    job = _make_job(run, "e")
    with _Told(make, run, "a run that is killed", ends=False) as told:
        told.job_started(job)
        told.job_logged(job, _make_rows(0, 3))
    with _Told(make, run, "a job that is told again after a kill") as told:
        told.job_started(job)
        told.job_logged(job, _make_rows(0, 5))
        told.job_ended(job, JobOutcome("interrupted", "stopped; it goes on from its checkpoint", 1.0))
    with _Told(make, run, "a job that is told again after an interrupt") as told:
        told.job_started(job)
        told.job_logged(job, [*_make_rows(0, 8), *_check_rows()])
        told.job_ended(job, JobOutcome("done", "", 2.0))
    with _Told(make, run, "a run after all is done") as told:
        require(
            job.key not in told.unfinished([job]),
            "tracker: unfinished() names a job that was told to its end; every run would tell it anew",
        )


def _find_untold(make: Callable[[], Tracker], run: TrackedRun) -> None:
    """Jobs that were done before: those that the tracker names are told whole, at the end."""
    with _Told(make, run, "jobs that were done before") as told:
        jobs = [_make_job(run, name) for name in ("f", "g")]
        keys = told.unfinished(jobs)
        unknown = sorted(set(keys) - {job.key for job in jobs})
        require(not unknown, f"tracker: unfinished() names keys that it was not given: {unknown}")
        for job in jobs:
            if job.key in keys:
                told.job_started(job)
                told.job_logged(job, _make_rows(0, 2))
                told.job_ended(job, JobOutcome("done"))
        left = sorted({job.key for job in jobs} & set(told.unfinished(jobs)))
        require(not left, "tracker: unfinished() names a job that it was told whole; it would be told anew")


class _Told:
    """A run as a tracker is told of it: from a thread of its own; whatever it says to people is noticed.

    Args:
        make: builds the tracker.
        run: that it is told of.
        what: the situation, for messages.
        ends: whether the run ends, or is killed.
    """

    def __init__(self, make: Callable[[], Tracker], run: TrackedRun, what: str, *, ends: bool = True) -> None:
        self._what, self._ends = what, ends
        with self._listening("its constructor"):
            self._tracker = make()
        class_name = type(self._tracker).__name__
        require(isinstance(self._tracker, Tracker), f"tracker: expected a Tracker, got {class_name}")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._run = run

    def __enter__(self) -> _Told:
        self._call("run_started", self._run)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._ends:
            self._call("run_ended")
        self._thread.shutdown()

    def job_started(self, job: TrackedJob) -> None:
        """Announce a job."""
        self._call("job_started", job)

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        """Tell rows."""
        self._call("job_logged", job, rows)

    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        """Tell an end."""
        self._call("job_ended", job, outcome)

    def unfinished(self, jobs: Sequence[TrackedJob]) -> set[str]:
        """Ask for the keys of jobs whose record is not complete."""
        keys = self._call("unfinished", jobs)
        try:
            return set(keys)
        except TypeError:
            raise ConformanceError(f"tracker: unfinished() returns no keys, got {keys!r}") from None

    def _call(self, method: str, *arguments: Any) -> Any:
        before = copy.deepcopy(arguments)
        with self._listening(f"{method}()"):
            done: Future[Any] = self._thread.submit(getattr(self._tracker, method), *arguments)
            result = done.result()
        # as text, since NaN is not equal to itself
        unchanged = repr(arguments) == repr(before)
        require(unchanged, f"tracker: {method}() changes what it is given, which other trackers get too")
        return result

    @contextlib.contextmanager
    def _listening(self, call: str) -> Iterator[None]:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                yield
        except (Exception, SystemExit) as error:
            said_why = " ".join(str(error).split())
            raise ConformanceError(
                f"tracker: {call} raised {type(error).__name__} ({self._what}): {said_why}"
            ) from error
        printed = said.getvalue().strip().splitlines()
        require(not printed, f"tracker: {call} prints to the standard output: {printed[:1]}")


def _make_job(run: TrackedRun, letter: str) -> TrackedJob:
    """Return a job; all have one id, as jobs of several keys may."""
    key = letter * 32
    directory = run.directory / "jobs" / key
    return TrackedJob(key, "mine/frozen/größe/sequence/10%/seed0", "adapt", directory, dict(_LABELS))


def _make_rows(first: int, stop: int) -> list[Logged]:
    """Return rows with odd names; each value is odd somewhere."""
    return [Logged(step, _values_at(step)) for step in range(first, stop)]


def _values_at(step: int) -> dict[str, float]:
    return {name: _ODD[(step + place) % len(_ODD)] for place, name in enumerate(_NAMES)}


def _check_rows() -> list[Logged]:
    """Return rows of a collapse check: their steps are told already, with other names."""
    return [Logged(step, {"mean_cosine": 0.5, "effective_rank": float("nan")}) for step in (1, 3)]
