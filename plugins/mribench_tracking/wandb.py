"""Weights & Biases: one run per job, its id the job's key. Offline unless told otherwise."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from mribench.interfaces import JobOutcome, Logged, Options, TrackedJob, TrackedRun, Tracker
from mribench_tracking.packages import need


class WandbOptions(Options):
    """Options of the tracker."""

    project: str = Field("", description="project that the runs are in; the benchmark's name by default")
    mode: Literal["offline", "online"] = Field(
        "offline",
        description="offline writes wandb/ in the folder of the results, for `wandb sync`; online sends",
    )


class WandbTracker(Tracker):
    """Writes labels as configuration, losses by step, and scores into the summary.

    A job that is run again resumes the run of its id. Which records are complete cannot be asked offline.

    Raises:
        PluginError: when the package is not there.
    """

    def __init__(self, options: WandbOptions) -> None:
        need("wandb", "wandb")
        self._options = options
        self._run: TrackedRun | None = None
        self._runs: dict[str, Any] = {}
        self._next: dict[str, int] = {}

    def run_started(self, run: TrackedRun) -> None:
        """Remember where results are kept."""
        self._run = run

    def job_started(self, job: TrackedJob) -> None:
        """Begin the job's run, or resume it."""
        if self._run is None:
            raise RuntimeError("a job was announced before its run")
        self._runs[job.key] = importlib.import_module("wandb").init(
            project=self._options.project or self._run.benchmark,
            id=job.key,
            name=job.id,
            job_type=job.kind,
            config={**job.labels, "directory": str(job.directory)},
            dir=str(self._run.directory),
            mode=self._options.mode,
            resume="allow",
            reinit="create_new",  # several jobs run at a time
        )

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        """Log losses by step; W&B leaves out steps that it has, so rows that come late name theirs."""
        for row in rows:
            if row.step >= self._next.get(job.key, 0):
                self._runs[job.key].log(dict(row.values), step=row.step)
                self._next[job.key] = row.step + 1
            else:
                self._runs[job.key].log({**row.values, "at_step": row.step})

    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        """Write the scores and finish the run."""
        run = self._runs.pop(job.key)
        state = {"state": outcome.state, "reason": outcome.reason, "wall_s": outcome.wall_s}
        run.summary.update({**outcome.scores, **state})
        run.finish(exit_code=0 if outcome.state == "done" else 1)

    def run_ended(self) -> None:
        """Finish what is still open."""
        for run in self._runs.values():
            run.finish(exit_code=1)
