"""Tables per tissue: every label of a task by itself, where the others average them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.report.material import Material, Panel
from mribench.results.cells import LEADERBOARD, cell_statuses, selected, values_of
from mribench.results.shown import interval_of, seeds_of
from mribench.statistics.marking import ONE_PROFILE, compared, marks_sentence, out_sentence
from mribench.statistics.scores import estimates_of

_WHAT = (
    "Mean ± SE of each label at the largest fraction of labelled subjects, in-domain, sequences averaged; "
    "only rows with results."
)
_BY = ["row", "profile", "metric", "label"]
_PLANNED = [
    "row",
    "arm",
    "profile",
    "metric",
    "higher_is_better",
    "jobs_expected",
    "jobs_done",
    "jobs_failed",
]
_COUNTS = ["n_subjects", "n_subjects_total", "n_seeds", "n_rows", "n_failed"]


def label_tables(material: Material) -> list[Table]:
    """Return a table for each task that is scored by several labels: methods × (metric, label)."""
    scores = selected(material.run.scores, material.run.manifest, LEADERBOARD)
    tables = []
    for task in material.run.manifest.tasks:
        panels = [panel for panel in material.panels if panel.task == task]
        mine = scores[scores["task"].eq(task)]
        labels = [str(label) for label in dict.fromkeys(mine["label"]) if label]
        if panels and len(labels) > 1:
            tables.append(_table(material, panels, mine, labels))
    return tables


def _table(material: Material, panels: list[Panel], scores: pd.DataFrame, labels: list[str]) -> Table:
    frame = _frame(material, panels[0], scores, labels)
    at: dict[tuple[Any, ...], Any] = {
        (cell.row, cell.metric, cell.label): cell for cell in frame.itertuples(index=False)
    }
    with_results = set(frame.loc[frame["n_rows"].gt(0), "row"])
    rows = [row for row in material.rows if row in with_results]
    columns = [(panel, label) for panel in panels for label in labels]
    task = panels[0].task
    signs = marks_sentence(set(frame["mark_style"]))
    several = signs and frame["profile"].nunique() > 1
    sentences = (
        Sentence(_WHAT, "what"),
        Sentence(signs, "marks"),
        out_sentence(frame),
        ONE_PROFILE if several else "",
        material.claim,
    )
    return Table(
        name=f"labels-{task}",
        title=f"{panels[0].title}: label by label",
        row_names=("method",),
        rows=tuple(Row((row,)) for row in rows),
        columns=tuple(Column((panel.label, label)) for panel, label in columns),
        cells=tuple(
            tuple(_cell(at.get((row, panel.metric, label)), panel) for panel, label in columns)
            for row in rows
        ),
        sentences=said(*sentences),
    )


def _frame(material: Material, panel: Panel, scores: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return one row per row of the leaderboard, metric and label, with estimates, status and marks."""
    means = values_of(material.run, _of_labels(scores, panel, labels), _BY, LEADERBOARD)
    planned = material.in_domain
    planned = planned[planned["task"].eq(panel.task) & planned["fraction"].eq(panel.fraction)]
    frame = planned[_PLANNED].merge(pd.DataFrame({"label": labels}), how="cross")
    frame = frame.merge(estimates_of(means, _BY, lambda _: panel.value_range), on=_BY, how="left")
    frame[_COUNTS] = frame[_COUNTS].fillna(0).astype("int64")
    frame["status"] = cell_statuses(frame)
    keys, marking = ["profile", "label"], material.run.marking
    return compared(frame, keys, means, marking, lambda _: panel.value_range)


def _of_labels(scores: pd.DataFrame, panel: Panel, labels: list[str]) -> pd.DataFrame:
    """Return the scores of some labels; a scan that could not be scored failed for each of them."""
    scores = scores[scores["fraction"].eq(panel.fraction) | scores["fraction"].isna()]
    scores = scores.astype({"label": "object"})
    named = scores["label"].isin(labels)
    whole = scores[~named & scores["status"].eq("failed")].drop(columns="label")
    every = whole.merge(pd.DataFrame({"label": labels}, dtype=object), how="cross")
    return pd.concat([scores[named], every], ignore_index=True) if len(every) else scores[named]


def _cell(cell: Any, panel: Panel) -> Cell | None:
    if cell is None:
        return None
    return Cell(
        cell.mean, cell.se, cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected,
        cell.status, cell.mark, panel.scale, panel.digits, interval=interval_of(cell), seeds=seeds_of(cell),
    )  # fmt: skip
