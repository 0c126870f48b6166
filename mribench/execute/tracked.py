"""What trackers are told of a job: its labels from the plan, its rows and its end from its folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mribench.interfaces.tracker import JobOutcome, Logged, TrackedJob
from mribench.plan import Job
from mribench.results import Store
from mribench.results.cell import EmbedCell
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, read_tables
from mribench.results.store import JobStatus
from mribench.statistics.scores import estimates

_OF_METHOD = ("benchmark", "profile", "method", "views", "objective", "encoder", "seed")
_OF_ADAPTED = (
    *_OF_METHOD, "arm", "task", "dataset", "train_site", "train_sequence", "fraction", "n_train_subjects",
    "subset_seed",
)  # fmt: skip
_LABELS = {"pretrain": _OF_METHOD, "adapt": _OF_ADAPTED}
"""What of the cells of the jobs behind it a job without a cell is about."""


def tracked_jobs(jobs: Mapping[str, Job], store: Store) -> dict[str, TrackedJob]:
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
        key: TrackedJob(key, job.id, job.kind, store.directory(key), _labels(job, cells[key]))
        for key, job in jobs.items()
    }


def _labels(job: Job, cells: Sequence[EmbedCell]) -> dict[str, Any]:
    labels: dict[str, Any] = {"profile": job.spec.profile, "seed": job.spec.seed}
    if job.cell:
        labels |= dict(job.cell)
    elif cells:
        labels |= _in_common(cells, _LABELS.get(job.kind, ()))
    return {name: value for name, value in labels.items() if value is not None}


def _in_common(cells: Sequence[EmbedCell], names: Sequence[str]) -> dict[str, Any]:
    """Return those of some fields that all cells agree in."""
    values = {name: {getattr(cell, name, None) for cell in cells} for name in names}
    return {name: known.pop() for name, known in values.items() if len(known) == 1}


def logged(rows: Sequence[Mapping[str, float | None]]) -> list[Logged]:
    """Return rows of a history without the terms that a row lacks."""
    return [
        Logged(int(row["step"] or 0), {k: v for k, v in row.items() if k != "step" and v is not None})
        for row in rows
    ]


def history(directory: Path) -> list[Logged]:
    """Return all rows of a job that is done; none for a job that does not train."""
    path = directory / "history.parquet"
    return logged(pq.read_table(path).to_pylist()) if path.exists() else []


def outcome(job: TrackedJob, status: JobStatus, wall_s: float = 0.0) -> JobOutcome:
    """Return how a job ended.

    Args:
        job: whose folder is read when it is done.
        status: as the store has it.
        wall_s: seconds as the run saw them, for a job that could not write its own.
    """
    if status.state != "done":
        reason = status.reason or status.state
        return JobOutcome("failed" if status.state == "failed" else "interrupted", reason, wall_s)
    row = read_tables([job.directory / "job.parquet"], JOB_SCHEMA)
    return JobOutcome("done", "", float(row["wall_s"][0]), _scores(job.directory / "records.parquet"))


def _scores(path: Path) -> dict[str, float]:
    """Return the mean of each metric over subjects, as the tables count it by default."""
    rows = read_tables([path], SCORE_FILE_SCHEMA) if path.exists() else None
    if rows is None or rows.empty:
        return {}
    of_one_seed = rows.assign(seed=0)
    means = estimates(of_one_seed, ["metric"]).dropna(subset="mean")
    return {str(name): float(mean) for name, mean in zip(means["metric"], means["mean"], strict=True)}
