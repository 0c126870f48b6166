"""MLflow: one run per job, found again by the tag ``mribench.key``."""

from __future__ import annotations

import importlib
import logging
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pydantic import Field

from mribench.interfaces import JobOutcome, Logged, Options, TrackedJob, TrackedRun, Tracker
from mribench_tracking.lock import alone
from mribench_tracking.packages import need

KEY = "mribench.key"
_STATES = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_SQLITE = "sqlite:///"
_BATCH = 1000
"""Metrics that MLflow takes at once."""


class MlflowOptions(Options):
    """Options of the tracker."""

    uri: str = Field(
        "",
        description="of the tracking store; MLFLOW_TRACKING_URI where that is set, else mlflow.db (SQLite), "
        "in the folder of the benchmark's results",
    )
    experiment: str = Field("", description="experiment of the runs; the benchmark's name by default")


class MlflowTracker(Tracker):
    """Writes labels as parameters, losses as metrics by step, and scores as metrics at step 0.

    A job that is run again goes on in its run; steps that are there already are not logged twice.

    Raises:
        PluginError: when the package is not there.
    """

    def __init__(self, options: MlflowOptions) -> None:
        need("mlflow", "mlflow", *(() if "://" in options.uri else ("sqlalchemy", "alembic")))
        self._options = options
        self._client: Any = None
        self._experiment = ""
        self._runs: dict[str, str] = {}
        self._there: dict[str, dict[str, set[int]]] = {}

    def run_started(self, run: TrackedRun) -> None:
        """Open the store; an experiment of the name is gone on with."""
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # not its tables one by one
        local = f"{_SQLITE}{run.directory.absolute() / 'mlflow.db'}"
        uri = self._options.uri or os.environ.get("MLFLOW_TRACKING_URI") or local
        name = self._options.experiment or run.benchmark
        with alone(Path(f"{uri.removeprefix(_SQLITE)}.lock")) if uri.startswith(_SQLITE) else nullcontext():
            self._client = importlib.import_module("mlflow").MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name)

    def job_started(self, job: TrackedJob) -> None:
        """Find the job's run, or make it."""
        for found in self._search(f"tags.`{KEY}` = '{job.key}'"):
            self._runs[job.key] = found.info.run_id
            self._there[job.key] = {}
            self._client.update_run(found.info.run_id, status="RUNNING")
            return
        tags = {KEY: job.key, "mribench.kind": job.kind, "mribench.directory": str(job.directory)}
        made = self._client.create_run(self._experiment, tags=tags, run_name=job.id)
        self._runs[job.key] = made.info.run_id
        for name, value in job.labels.items():
            self._client.log_param(self._runs[job.key], name, value)

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        """Log losses."""
        self._log(job, ((name, value, row.step) for row in rows for name, value in row.values.items()))

    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        """Log the scores and end the run."""
        last = {**outcome.scores, **({"wall_s": outcome.wall_s} if outcome.state == "done" else {})}
        self._log(job, ((name, value, 0) for name, value in last.items()))
        run = self._runs.pop(job.key)
        self._client.set_tag(run, "mribench.reason", outcome.reason)
        self._client.set_terminated(run, status=_STATES[outcome.state])
        self._there.pop(job.key, None)

    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        """Return the jobs without a finished run."""
        finished = {run.data.tags.get(KEY) for run in self._search("attributes.status = 'FINISHED'")}
        return {job.key for job in jobs} - finished

    def _search(self, condition: str) -> Iterator[Any]:
        page = self._client.search_runs([self._experiment], condition)
        yield from page
        while page.token:
            page = self._client.search_runs([self._experiment], condition, page_token=page.token)
            yield from page

    def _log(self, job: TrackedJob, metrics: Iterable[tuple[str, float, int]]) -> None:
        now_ms = int(1000 * time.time())
        entity = importlib.import_module("mlflow.entities").Metric
        named = ((re.sub(r"[^\w\-./: ]", "_", name), value, step) for name, value, step in metrics)
        new = [entity(n, value, now_ms, step) for n, value, step in named if step not in self._steps(job, n)]
        for start in range(0, len(new), _BATCH):
            self._client.log_batch(self._runs[job.key], metrics=new[start : start + _BATCH])

    def _steps(self, job: TrackedJob, name: str) -> set[int]:
        """Return the steps of a metric that an earlier attempt has logged."""
        known = self._there.get(job.key)
        if known is not None and name not in known:
            history = self._client.get_metric_history(self._runs[job.key], name)
            known[name] = {metric.step for metric in history}
        return known[name] if known else set()
