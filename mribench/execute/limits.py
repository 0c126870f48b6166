"""Limits of a run: how long a job may take, and how long it may stand still."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from mribench.execute.watcher import Watcher
from mribench.interfaces.executor import Cause, Executor
from mribench.plan import Job
from mribench.results.lease import read_lease
from mribench.results.stopping import ask_to_stop
from mribench.wording import duration

LOOK_S = 2.0
"""Seconds between two looks at the running jobs."""
GRACE_S = 90.0
"""Seconds that a job has to stop when it is asked to; its process is killed then."""


@dataclass(frozen=True)
class Limits:
    """How long jobs may take; infinite where there is no limit.

    Attributes:
        no_progress_s: seconds without a step, after which a job is ended and tried again.
        max_runtime_s: seconds that one attempt may run, after which it is stopped and keeps its checkpoint.
    """

    no_progress_s: float = 7200.0
    max_runtime_s: float = math.inf


@dataclass(frozen=True)
class Verdict:
    """Why a job was asked to stop."""

    cause: Cause
    reason: str


@dataclass
class _Watched:
    """What is known of a running job; its times are of a clock that never jumps."""

    progress: tuple[int, int | None] = (-1, None)
    moved: float = 0.0
    began: float | None = None
    verdict: Verdict | None = None
    asked: float = 0.0
    killed: bool = False


@dataclass
class Vigil:
    """Looks at running jobs, and ends those that are beyond a limit.

    Attributes:
        limits: of the run.
        executor: kills those that do not stop when they are asked to.
        watcher: is told.
    """

    limits: Limits
    executor: Executor
    watcher: Watcher
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _looked: float = field(default_factory=time.monotonic)

    def look(self, running: dict[str, Job], jobs: Path) -> None:
        """Look at all that runs, every now and then."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for key, job in running.items():
            self._look_at(key, job, jobs / key, now)

    def ended(self, key: str) -> Verdict | None:
        """Forget a job that ended; return why it was asked to, if it was."""
        watched = self._watched.pop(key, None)
        return watched.verdict if watched else None

    def _look_at(self, key: str, job: Job, directory: Path, now: float) -> None:
        watched = self._watched.setdefault(key, _Watched())
        holder = read_lease(directory)
        if holder is None:
            return  # it has not begun, or has ended
        if watched.began is None:
            watched.began = now
        if (holder.done, holder.total) != watched.progress:
            watched.progress, watched.moved = (holder.done, holder.total), now
        if watched.verdict is None:
            watched.verdict = self._judge(watched, now)
            if watched.verdict is not None:
                watched.asked = now
                self.watcher.noted(f"{job.id}: {watched.verdict.reason}; it is asked to stop")
                ask_to_stop(directory, watched.verdict.cause, watched.verdict.reason)
        elif now - watched.asked > GRACE_S and not watched.killed:
            watched.killed = True
            self.executor.kill(key)

    def _judge(self, watched: _Watched, now: float) -> Verdict | None:
        limits = self.limits
        if watched.began is not None and now - watched.began > limits.max_runtime_s:
            return Verdict(
                Cause.CANCELLED,
                f"it ran for more than --max-runtime {duration(limits.max_runtime_s)};"
                " the next run goes on from its checkpoint",
            )
        if now - watched.moved > limits.no_progress_s:
            return Verdict(Cause.INFRASTRUCTURE, f"it took no step for {duration(limits.no_progress_s)}")
        return None
