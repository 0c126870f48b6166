"""TensorBoard: event files in ``<folder>/<job id>/<first letters of its key>``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mribench.interfaces import JobOutcome, Logged, Options, TrackedJob, TrackedRun, Tracker
from mribench_tracking.packages import need

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FLUSH_S = 5
_DONE = "done"
"""File beside the event files of a finished job."""


class TensorboardOptions(Options):
    """Options of the tracker."""

    folder: Path | None = Field(
        None,
        description="where event files go; tensorboard/ in the folder of the benchmark's results by default",
    )


class TensorboardTracker(Tracker):
    """Writes losses as ``loss/<name>``, scores as ``score/<metric>``, and how a job ended as text.

    A job that is run again writes its record anew. Values are 32-bit floats, as TensorBoard keeps scalars.

    Raises:
        PluginError: when the package is not there.
    """

    def __init__(self, options: TensorboardOptions) -> None:
        need("tensorboard", "tensorboard")
        self._options = options
        self._folder = options.folder or Path()
        self._writers: dict[str, SummaryWriter] = {}

    def run_started(self, run: TrackedRun) -> None:
        """Choose the folder."""
        self._folder = self._options.folder or run.directory / "tensorboard"

    def job_started(self, job: TrackedJob) -> None:
        """Begin the event file of a job; that of an earlier attempt goes: its curve is told again."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self._place(job)
        (folder / _DONE).unlink(missing_ok=True)
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        writer = SummaryWriter(str(folder), flush_secs=FLUSH_S)
        rows = "".join(f"| {name} | {value} |\n" for name, value in job.labels.items())
        writer.add_text("job", f"| {job.kind} | {job.key} |\n|---|---|\n{rows}")
        self._writers[job.key] = writer

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        """Write scalars."""
        writer = self._writers[job.key]
        for row in rows:
            for name, value in row.values.items():
                writer.add_scalar(f"loss/{name}", value, row.step)

    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        """Write the scores and close the file."""
        writer = self._writers.pop(job.key)
        for metric, mean in outcome.scores.items():
            writer.add_scalar(f"score/{metric}", mean, 0)
        writer.add_scalar("wall_s", outcome.wall_s, 0)
        writer.add_text("state", f"{outcome.state} {outcome.reason}".strip())
        writer.close()
        if outcome.state == "done":
            (self._place(job) / _DONE).touch()

    def run_ended(self) -> None:
        """Close what is still open."""
        for writer in self._writers.values():
            writer.close()

    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        """Return the jobs whose event file was not closed at their end."""
        return [job.key for job in jobs if not (self._place(job) / _DONE).exists()]

    def _place(self, job: TrackedJob) -> Path:
        return self._folder / job.id / job.key[:8]
