"""Which of several learning rates a training takes: the one that did best on the validation subjects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mribench.config import AdaptOptions
from mribench.errors import JobError
from mribench.interfaces.task import Task
from mribench.results.reading import read_rows
from mribench.results.records import LEARNING_RATE_SCHEMA, LEARNING_RATES, SCORE_FILE_SCHEMA
from mribench.results.specification import AdaptSpec


@dataclass(frozen=True)
class TriedRate:
    """How a training at one learning rate did.

    Attributes:
        factor: multiple of the benchmark's learning rates.
        score: mean of the task's first metric over the validation scans and labels, with the penalties of
            empty masks; NaN where nothing has a value, or a scan failed.
        n_rows: scores behind it.
        n_failed: of these, without a value.
    """

    factor: float
    score: float
    n_rows: int
    n_failed: int


@dataclass(frozen=True)
class ChosenRate:
    """The learning rate of a training, and what it was chosen from.

    Attributes:
        factor: multiple of the benchmark's learning rates.
        tried: one for each multiple; empty where there was no choice.
    """

    factor: float
    tried: tuple[TriedRate, ...] = ()


def choose_rate(spec: AdaptSpec, options: AdaptOptions, task: Task, jobs: Path) -> ChosenRate:
    """Return the learning rate that did best on the validation subjects; of equals, the smallest.

    Args:
        spec: of the training.
        options: with the multiples to choose from.
        task: its first metric decides.
        jobs: folder of the jobs.

    Raises:
        JobError: when none has a score.
        UnreadableRows: when the scores of a trial cannot be read.
    """
    if not spec.trial_keys:
        return ChosenRate(options.lr_factors[0])
    metric = task.metrics[0]
    tried = tuple(
        _read_trial(jobs, key, factor, metric.id)
        for key, factor in zip(spec.trial_keys, options.lr_factors, strict=True)
    )
    scored = [trial for trial in tried if not math.isnan(trial.score)]
    if not scored:
        raise JobError(
            f"none of the learning rates {_list_rates(options)} has a {metric.id} on the validation subjects",
            "lower lr or lr_factors, or look at the logs of the trials",
        )
    sign = 1 if metric.higher_is_better else -1
    return ChosenRate(max(scored, key=lambda trial: sign * trial.score).factor, tried)


def _read_trial(jobs: Path, key: str, factor: float, metric: str) -> TriedRate:
    rows = read_rows(jobs, [key], "records.parquet", SCORE_FILE_SCHEMA)
    scores = rows[rows["metric"].eq(metric)]
    n_failed = int(scores["status"].eq("failed").sum())
    score = float(scores["penalty"].mean()) if not n_failed else math.nan
    return TriedRate(factor, score, len(scores), n_failed)


def _list_rates(options: AdaptOptions) -> str:
    return ", ".join(f"{factor * options.lr:g}" for factor in options.lr_factors)


def list_tables(
    chosen: ChosenRate, options: AdaptOptions, task: Task, key: str
) -> dict[str, tuple[Sequence[Mapping[str, object]], pa.Schema]]:
    """Return what a job keeps of its choice, as tables of an ``Outcome``; nothing where there was none.

    Args:
        chosen: with what was tried.
        options: with the multiples to choose from.
        task: its first metric decided.
        key: of the job.
    """
    if not chosen.tried:
        return {}
    rows = [
        {
            "job_key": key,
            "lr": trial.factor * options.lr,
            "lr_factor": trial.factor,
            "metric": task.metrics[0].id,
            "score": trial.score,
            "n_rows": trial.n_rows,
            "n_failed": trial.n_failed,
            "chosen": trial.factor == chosen.factor,
        }
        for trial in chosen.tried
    ]
    return {LEARNING_RATES: (rows, LEARNING_RATE_SCHEMA)}
