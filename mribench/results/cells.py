"""The cells of tables as one tidy frame: estimates joined to what the benchmark planned."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mribench.arms import NO_IMAGE, label_row
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.interfaces.table_source import PLACE, Question, ShownMetric
from mribench.results.load import RunData
from mribench.results.manifest import Manifest, PlannedTask
from mribench.results.merged import policy_of
from mribench.statistics import average_subjects
from mribench.statistics.marking import compare_rows
from mribench.statistics.ranges import UNBOUNDED, RangeOf
from mribench.statistics.scores import ESTIMATE_COLUMNS, estimate_means, number_groups

_TRAINING = ("fraction", "train_sequence")
_FAILURES = ["failure_share", "failure_low", "failure_high"]
ANY = "any"
"""The training sequence of a row that was not trained."""


LEADERBOARD = Question(in_domain=True, own_sequence=True, average_sequences=True)


def is_share(unit: object, value_range: object) -> bool:
    """Return whether a metric is a share of 1, shown in per cent as the field does.

    A manifest without ranges: every metric without a unit.
    """
    if unit:
        return False
    return list(value_range) == [0, 1] if isinstance(value_range, Sequence) else True


def ranges(manifest: Manifest) -> RangeOf:
    """Return what gives the value range of a group of scores, by its ``task`` and ``metric``."""
    bounds = {place: metric.bounds for place, metric in manifest.metrics().items()}
    return lambda head: bounds.get((head["task"], head["metric"]), UNBOUNDED)


def scale_of(cell: Any) -> tuple[float, int]:
    """Return what a metric is multiplied by where it is shown, and its decimals."""
    return (100.0, 1) if is_share(cell.unit, cell.value_range) else (1.0, 2)


def metric_label(cell: Any) -> str:
    """Return a metric with its unit and direction, as headers have it: ``dice % ↑``."""
    unit = "%" if is_share(cell.unit, cell.value_range) else cell.unit
    arrow = "↑" if cell.higher_is_better else "↓"
    return " ".join(part for part in (cell.metric, unit, arrow) if part)


def shown_metric(cell: Any) -> ShownMetric:
    """Return how the metric of a cell is shown."""
    scale, digits = scale_of(cell)
    unit = "%" if is_share(cell.unit, cell.value_range) else str(cell.unit or "")
    return ShownMetric(metric_label(cell), unit, scale, digits)


def row_labels(frame: pd.DataFrame, manifest: Manifest) -> pd.Series:
    """Return the label of each row: the method, its arm unless frozen, its profile where several are."""
    each, number = number_groups(frame, ["method", "arm", "profile"])
    labels = [_label(*names, several=len(manifest.profiles) > 1) for names in each.itertuples(index=False)]
    return pd.Series(pd.Series(labels, dtype="str").to_numpy(dtype=object)[number], frame.index, dtype="str")


def _label(method: str, arm: str, profile: str, *, several: bool) -> str:
    label = label_row(method, arm)
    return f"{label} [{profile}]" if several else label


def cell_frame(run: RunData, question: Question) -> pd.DataFrame:
    """Return one row per cell.

    Columns: ``row``, ``method``, ``arm``, ``profile``, ``PLACE``, ``metric``, ``unit``,
    ``higher_is_better``, ``of_set``, the fields of ``Estimate``, ``jobs_expected``, ``jobs_done``,
    ``jobs_failed``, ``jobs_waiting`` (for data), ``blame`` (ids of the jobs that failed), ``status``, ``out``
    (why it is not compared though it is done), ``mark``, ``mark_style``, ``row_order``.
    Where sequences are averaged their columns hold null. ``identity`` rows, which have no training, stand
    in every fraction and training sequence of their task.
    """
    planned = selected(run.cells, run.manifest, question)
    scores = selected(run.scores, run.manifest, question)
    parts = []
    of_trained = pd.DataFrame()
    for trained in (True, False):
        keys = [name for name in question.keys if trained or name not in _TRAINING]
        mine, scored = (frame[frame["seed"].notna() == trained] for frame in (planned, scores))
        part, means = _part(mine, scored, keys, run, question)
        parts.append(part if trained else _everywhere(part, run.manifest, question))
        of_trained = means if trained else of_trained
    parts = [part for part in parts if not part.empty]
    if not parts:
        columns = ["row", "method", "arm", "profile", *PLACE, "metric", *ESTIMATE_COLUMNS]
        return pd.DataFrame(columns=[*columns, "status", "out", "mark", "mark_style", "row_order"])
    frame = _drop_undefined(fill_counts(pd.concat(parts, ignore_index=True)))
    frame["status"] = cell_statuses(frame)
    keys = ["profile", *question.keys]
    frame = compare_rows(frame, keys, of_trained, run.marking, ranges(run.manifest))
    # a score of an image, or of a whole set, has no mask that could be empty
    images = [name for name, task in run.manifest.tasks.items() if task.label is None]
    frame.loc[frame["task"].isin(images) | frame["of_set"], _FAILURES] = math.nan
    return _ordered(frame, run)


def selected(frame: pd.DataFrame, manifest: Manifest, question: Question) -> pd.DataFrame:
    """Return the cells or scores that a question is about, with their labels in the column ``row``."""
    keep = np.ones(len(frame), dtype=bool)
    tasks = manifest.tasks
    if question.in_domain:
        keep &= _any(
            frame["task"].eq(name) & frame["test_site"].eq(task.sites[0])
            for name, task in tasks.items()
            if task.sites
        )
    if question.own_sequence:
        untrained = frame["train_sequence"].isna() & _any(
            frame["task"].eq(name) & frame["test_sequence"].isin(task.train_sequences)
            for name, task in tasks.items()
        )
        own = _any(
            frame["train_sequence"].eq(name) & frame["test_sequence"].eq(name)
            for name in frame["train_sequence"].dropna().unique()
        )
        keep &= own | untrained.to_numpy()
    kept = frame[keep]
    return kept.assign(row=row_labels(kept, manifest))


def _any(masks: Iterable[pd.Series]) -> Any:
    """Return where one of several masks is true, as an array; a scalar false without any."""
    return functools.reduce(operator.or_, (mask.to_numpy(dtype=bool) for mask in masks), np.False_)


def _part(
    planned: pd.DataFrame, scores: pd.DataFrame, keys: Sequence[str], run: RunData, question: Question
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimates of the planned cells that share their keys, all trained or all others; subjects' means."""
    by = ["row", "method", "arm", "profile", *keys]
    cells = count_progress(planned, by).merge(metric_frame(run.manifest.tasks), on="task")
    by += ["metric"]
    means = values_of(run, scores, by, question)
    return cells.merge(estimate_means(means, by, ranges(run.manifest)), on=by, how="left"), means


def count_progress(planned: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return how far the planned jobs of each group are.

    Args:
        planned: one row per job: ``state``, ``key`` (null while it waits for data), ``blame``.
        by: columns that make up a group; nulls are a value of their own.

    Returns:
        Columns ``by``, ``jobs_expected``, ``jobs_done``, ``jobs_failed``, ``jobs_waiting``, and ``blame``:
        ids of the jobs that failed, each once.
    """
    jobs = planned.assign(
        done=planned["state"].eq("done"),
        failed=planned["state"].eq("failed"),
        waiting=planned["key"].isna(),
    )
    return (
        jobs.groupby(list(by), dropna=False, sort=False)
        .agg(
            jobs_expected=("state", "size"),
            jobs_done=("done", "sum"),
            jobs_failed=("failed", "sum"),
            jobs_waiting=("waiting", "sum"),
            blame=("blame", list_blamed),
        )
        .reset_index()
    )


def list_blamed(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the jobs to blame, each once; jobs that did not fail have an empty one."""
    return tuple(dict.fromkeys(name for name in names if name))


def values_of(
    run: RunData, scores: pd.DataFrame, by: Sequence[str], question: Question, across: Sequence[str] = ()
) -> pd.DataFrame:
    """Return ``subject_means`` of scores of a run, each row under its profile's policy on empty masks.

    Args:
        run: whose scores these are.
        scores: rows of ``selected``.
        by: columns that make up a group, the label of the row among them.
        question: what is averaged within a subject.
        across: as for ``subject_means``.
    """
    parts = [
        average_subjects(rows, by, question.within, policy, across) for policy, rows in by_policy(run, scores)
    ]
    return pd.concat(parts, ignore_index=True)


def by_policy(run: RunData, scores: pd.DataFrame) -> Iterator[tuple[EmptyMaskPolicy | None, pd.DataFrame]]:
    """Yield the rows of each policy on empty masks; nothing of the first policy where there are no rows.

    Labels of rows carry the profile where there are several: no group is of two policies.
    """
    profiles: dict[EmptyMaskPolicy | None, list[str]] = {}
    for profile in scores["profile"].unique():
        profiles.setdefault(policy_of(run.manifest, profile), []).append(profile)
    for policy, names in profiles.items():
        yield policy, scores if len(profiles) == 1 else scores[scores["profile"].isin(names)]
    if not profiles:
        yield None, scores


def metric_frame(tasks: Mapping[str, PlannedTask]) -> pd.DataFrame:
    """Return a row per task and metric: ``unit``, ``higher_is_better``, ``value_range``, ``of_set``."""
    rows = [
        (name, metric.id, metric.unit, metric.higher_is_better, metric.value_range, metric.of_set)
        for name, task in tasks.items()
        for metric in task.metrics
    ]
    columns = ["task", "metric", "unit", "higher_is_better", "value_range", "of_set"]
    return pd.DataFrame(rows, columns=columns)


def _everywhere(cells: pd.DataFrame, manifest: Manifest, question: Question) -> pd.DataFrame:
    """Repeat the cells of untrained rows for every fraction, and give them a training sequence."""
    fractions = pd.DataFrame(
        [(name, fraction) for name, task in manifest.tasks.items() for fraction in task.fractions],
        columns=["task", "fraction"],
    )
    cells = cells.merge(fractions, on="task")
    if not question.average_sequences:
        cells["train_sequence"] = cells["test_sequence"] if question.own_sequence else ANY
    return cells


def fill_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return cells with the counts of their estimates as whole numbers, 0 where there is no estimate."""
    counts = [name for name in ESTIMATE_COLUMNS if name.startswith("n_")]
    return frame.assign(**frame[counts].fillna(0).astype("int64"))


def _drop_undefined(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out what one prediction for everybody has no value of, as a correlation."""
    without_rows = frame["jobs_done"].eq(frame["jobs_expected"]) & frame["n_rows"].eq(0)
    return frame[~(frame["arm"].eq(NO_IMAGE) & without_rows)].reset_index(drop=True)


def cell_statuses(frame: pd.DataFrame) -> pd.Series:
    """Return ``ok``, ``partial``, ``missing`` or ``failed`` for each cell, by its counts of jobs and rows."""
    status = pd.Series("ok", index=frame.index, dtype=object)
    status[frame["jobs_done"] < frame["jobs_expected"]] = "partial"
    status[frame["n_rows"] == 0] = "missing"
    nothing = (frame["n_subjects"] == 0) & ((frame["n_failed"] > 0) | (frame["jobs_failed"] > 0))
    status[nothing] = "failed"
    return status


def _ordered(frame: pd.DataFrame, run: RunData) -> pd.DataFrame:
    """Sort as the benchmark file has it: methods, arms, references; tasks, fractions, sites, sequences."""
    manifest = run.manifest
    tasks = manifest.tasks
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, *PLACE])))
    places = {
        "task": list(tasks),
        "test_site": [site for task in tasks.values() for site in task.sites],
        "train_sequence": [*(s for task in tasks.values() for s in task.train_sequences), ANY],
        "test_sequence": [s for task in tasks.values() for s in task.test_sequences],
        "metric": [metric.id for task in tasks.values() for metric in task.metrics],
    }
    ranks = pd.DataFrame({name: _ranks(frame[name], known) for name, known in places.items()})
    ranks["fraction"] = frame["fraction"]
    frame["row_order"] = ranks["row_order"] = row_order(frame, manifest)
    by = ("task", "metric", "fraction", "test_site", "train_sequence", "test_sequence", "row_order")
    order = ranks.sort_values(list(by), kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def row_order(frame: pd.DataFrame, manifest: Manifest) -> pd.Series:
    """Return the place of each row by method, then arm, as the benchmark file has them."""
    methods = [*(method.name for method in manifest.methods), *manifest.reference_arms]
    arm = _ranks(frame["arm"], [*manifest.arms, *manifest.reference_arms])
    return _ranks(frame["method"], methods) * (arm.max() + 1) + arm


def _ranks(column: pd.Series, known: Sequence[str]) -> pd.Series:
    """Return the place of each name in ``known``; names that are not in it come after, nulls last."""
    names = dict.fromkeys([*known, *column.dropna()])
    places = {name: place for place, name in enumerate(names)}
    return column.map(places).fillna(len(places)).astype("int64")
