"""Tables per tissue: every label of a task by itself, where the others average them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mribench.interfaces.table import Sentence, Table, said, table_of
from mribench.report.material import Material, Panel
from mribench.results.cells import LEADERBOARD, cell_statuses, selected, values_of
from mribench.results.shown import cell_of
from mribench.statistics.marking import ONE_PROFILE, compare_rows, describe_left_out, describe_marks
from mribench.statistics.ranges import RangeOf
from mribench.statistics.scores import estimate_means

_WHAT = (
    "Mean ± SE of each label at the largest fraction of labelled subjects, in-domain, sequences averaged; "
    "only rows with results."
)
_BY = ["row", "profile", "metric", "label"]
_PLANNED = [
    "row", "method", "arm", "profile", "metric", "unit", "higher_is_better", "jobs_expected", "jobs_done",
    "jobs_failed",
]  # fmt: skip
_COUNTS = ["n_subjects", "n_subjects_total", "n_seeds", "n_rows", "n_failed"]


def label_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows: one per row of a table, task, metric and label."""
    frames = [frame.assign(task=panel.task, fraction=panel.fraction) for panel, frame in _frames(material)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["row"])


def label_tables(material: Material) -> list[Table]:
    """Return a table for each task that is scored by several labels: methods × (metric, label)."""
    return [_table(material, panel, frame) for panel, frame in _frames(material)]


def _frames(material: Material) -> Iterator[tuple[Panel, pd.DataFrame]]:
    """Yield the first panel of each task that is scored by several labels, and the cells of its labels."""
    scores = selected(material.run.scores, material.run.manifest, LEADERBOARD)
    for task in material.run.manifest.tasks:
        panels = [panel for panel in material.panels if panel.task == task]
        mine = scores[scores["task"].eq(task)]
        labels = [str(label) for label in dict.fromkeys(mine["label"]) if label]
        if panels and len(labels) > 1:
            yield panels[0], _frame(material, panels[0], mine, labels)


def _table(material: Material, panel: Panel, frame: pd.DataFrame) -> Table:
    every: list[Any] = list(frame.itertuples(index=False))
    shown = {each.metric: each for each in material.panels if each.task == panel.task}
    signs = describe_marks(set(frame["mark_style"]))
    several = signs and frame["profile"].nunique() > 1
    return table_of(
        f"labels-{panel.task}",
        f"{panel.title}: label by label",
        ("method",),
        [
            ((cell.row,), (shown[cell.metric].label, cell.label), cell_of(cell, shown[cell.metric]))
            for cell in every
        ],
        said(
            Sentence(_WHAT, "what"),
            Sentence(signs, "marks"),
            describe_left_out(frame),
            ONE_PROFILE if several else "",
            material.claim,
        ),
        rows=[(row,) for row in material.in_order(frame.loc[frame["n_rows"].gt(0), "row"])],
        columns=[(metric.label, label) for metric in shown.values() for label in frame["label"].unique()],
    )


def _frame(material: Material, panel: Panel, scores: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return one row per row of the leaderboard, metric and label, with estimates, status and marks."""
    range_of = _range_of_metrics(material, panel.task)
    means = values_of(material.run, _of_labels(scores, panel, labels), _BY, LEADERBOARD)
    planned = material.in_domain
    planned = planned[planned["task"].eq(panel.task) & planned["fraction"].eq(panel.fraction)]
    frame = planned[_PLANNED].merge(pd.DataFrame({"label": labels}), how="cross")
    frame = frame.merge(estimate_means(means, _BY, range_of), on=_BY, how="left")
    frame[_COUNTS] = frame[_COUNTS].fillna(0).astype("int64")
    frame["status"] = cell_statuses(frame)
    keys, marking = ["profile", "label"], material.run.marking
    return compare_rows(frame, keys, means, marking, range_of)


def _range_of_metrics(material: Material, task: str) -> RangeOf:
    """Return what gives the value range of each metric of a task."""
    bounds = {metric.id: metric.bounds for metric in material.run.manifest.tasks[task].metrics}
    return lambda head: bounds[head["metric"]]


def _of_labels(scores: pd.DataFrame, panel: Panel, labels: list[str]) -> pd.DataFrame:
    """Return the scores of some labels; a scan that could not be scored failed for each of them."""
    scores = scores[scores["fraction"].eq(panel.fraction) | scores["fraction"].isna()]
    scores = scores.astype({"label": "object"})
    named = scores["label"].isin(labels)
    whole = scores[~named & scores["status"].eq("failed")].drop(columns="label")
    every = whole.merge(pd.DataFrame({"label": labels}, dtype=object), how="cross")
    return pd.concat([scores[named], every], ignore_index=True) if len(every) else scores[named]
