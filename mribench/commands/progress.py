"""Progress of a run: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mribench.plan import Job
from mribench.results import Store
from mribench.results.lease import read_lease
from mribench.results.status import JobStatus
from mribench.wording import duration, list_some

PLAIN_EVERY_S = 15.0
_SHOWN = 4
"""Jobs that are named in a line; a cluster runs many at a time."""


class RunProgress:
    """Tells a person how a run goes; also shows the preparation before it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}", style="dim"),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._bars: dict[str, TaskID] = {}
        self._total = 0
        self._ended = 0
        self._left = ""
        self._said = time.monotonic()
        self.store: Store | None = None

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far preparing data has come."""
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, now="")
        self._progress.update(self._bars[what], completed=done, total=total)
        if done == total:
            self._progress.remove_task(self._bars.pop(what))
            if what.startswith("making"):
                self._console.print(f"{what}: {total} subjects", highlight=False)

    def planned(self, todo: int, done: int) -> None:
        """Say how much there is to do."""
        self._total = todo
        self._console.print(f"{todo} jobs to do, {done} done before", highlight=False)
        if todo:
            self._bars["jobs"] = self._progress.add_task("jobs", total=todo, now="")

    def started(self, job: Job) -> None:
        """Show the job that starts."""
        if "jobs" in self._bars:
            self._progress.update(self._bars["jobs"], now=job.id)

    def ended(self, job: Job, status: JobStatus) -> None:
        """Count a job that ended; say why one failed."""
        self._ended += 1
        if "jobs" in self._bars:
            self._progress.update(self._bars["jobs"], completed=self._ended)
        if status.state != "done":
            self._print(f"{status.state}: {job.id}: {status.said}", "red")
        elif job.kind == "pretrain":
            self._say(f"pretrained {job.id}")
        elif time.monotonic() - self._said > PLAIN_EVERY_S:
            self._say(f"{self._ended}/{self._total} jobs{self._left}; last: {job.id}")

    def retrying(self, job: Job, status: JobStatus, wait_s: float) -> None:
        """Say why a job is tried again."""
        when = f"in {duration(wait_s)}" if wait_s else "now"
        self._print(f"again {when}: {job.id}: {status.reason}", "yellow")

    def noted(self, sentence: str) -> None:
        """Say a sentence about the run as a whole."""
        self._print(sentence, "yellow")

    def waiting(self, running: Mapping[str, Job], left_s: float | None) -> None:
        """Show the steps of what runs, and the time that is left; in a pipe a line every now and then."""
        self._left = "" if left_s is None else f", about {duration(left_s)} left"
        if not self._live and running and time.monotonic() - self._said > PLAIN_EVERY_S:
            self._say(f"{self._ended}/{self._total} jobs{self._left}; now: {self._describe(running)}")
        if not self._live or self.store is None or "jobs" not in self._bars:
            return
        said = self._describe(running) or "waiting for another process"
        self._progress.update(self._bars["jobs"], now=f"{self._left.removeprefix(', ')} {said}".lstrip())

    def _describe(self, submitted: Mapping[str, Job]) -> str:
        """Return the names of jobs with the steps that they have done, and how many wait for their turn."""
        begun = []
        for key, job in submitted.items():
            holder = read_lease(self.store.directory(key)) if self.store else None
            if holder is not None:
                begun.append(f"{job.id} {holder.done}/{holder.total}" if holder.total else job.id)
        waiting = len(submitted) - len(begun)
        return ", ".join(filter(None, [list_some(begun, _SHOWN), f"{waiting} to begin" if waiting else ""]))

    def _print(self, text: str, style: str) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def _say(self, text: str) -> None:
        if not self._live:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
            self._said = time.monotonic()
