"""The log of a run: ``logs/run-<when>-<pid>.log`` in the folder of results, a line for all that happens."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path

from mribench.execute.watcher import Watcher
from mribench.plan import Job
from mribench.results.status import JobStatus
from mribench.wording import duration, one_line


class RunLog:
    """A ``Watcher`` that writes down what happens, and passes it on to another one.

    A line that cannot be written is left out, as on a full disk: no job fails for want of it. A run that has
    nothing to do writes nothing.

    Args:
        folder: of the logs.
        watcher: who is told too.
    """

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self._watcher = watcher
        self._on = False
        now = datetime.datetime.now(datetime.UTC)
        self.path = folder / f"run-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.log"

    def planned(self, todo: int, done: int) -> None:
        """Write how much there is to do."""
        self._on = todo > 0
        self.write(f"{todo} jobs to do, {done} done before")
        self._watcher.planned(todo, done)

    def started(self, job: Job) -> None:
        """Write which job began, and where its own log is."""
        self.write(f"started: {job.id} (jobs/{job.key})")
        self._watcher.started(job)

    def ended(self, job: Job, status: JobStatus) -> None:
        """Write how a job ended."""
        self.write(f"{status.state}: {job.id}{_why(status)}")
        self._watcher.ended(job, status)

    def retrying(self, job: Job, status: JobStatus, wait_s: float) -> None:
        """Write that a job is tried again."""
        self.write(f"again in {duration(wait_s)}: {job.id}{_why(status)}")
        self._watcher.retrying(job, status, wait_s)

    def noted(self, sentence: str) -> None:
        """Write a sentence about the run."""
        self.write(one_line(sentence))
        self._watcher.noted(sentence)

    def waiting(self, running: Mapping[str, Job], left_s: float | None) -> None:
        """Pass it on: that nothing has happened is no line."""
        self._watcher.waiting(running, left_s)

    def write(self, line: str) -> None:
        """Write a line, with the time."""
        if not self._on:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        try:
            self.path.parent.mkdir(exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{now} {line}\n")
        except OSError:
            return  # the disk is full: the run itself says so, and the terminal has the line


def _why(status: JobStatus) -> str:
    cause = f" ({status.cause})" if status.cause else ""
    return f": {one_line(status.reason)}{cause}" if status.reason else cause
