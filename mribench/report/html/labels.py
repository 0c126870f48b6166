"""Tables per tissue: every label of a task by itself, where the others average them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mribench.report.cells import LEADERBOARD, selected
from mribench.report.figures.material import Material, Panel
from mribench.report.manifest import policy_of
from mribench.report.model import Cell, Column, Row, Table
from mribench.statistics import estimates, mark
from mribench.statistics.scores import Policy

_WHAT = (
    "Mean ± SE of each label at the largest fraction of labelled subjects, in-domain, sequences averaged; "
    "only results that are there."
)
_MARKS = "Bold: best; underlined: second; of all rows but identity, by unrounded means."


def label_tables(material: Material) -> list[Table]:
    """Return a table for each task that is scored by several labels: methods × (metric, label)."""
    scores = selected(material.run.scores, material.run.manifest, LEADERBOARD)
    tables = []
    for task in material.run.manifest["tasks"]:
        panels = [panel for panel in material.panels if panel.task == task]
        mine = scores[scores["task"].eq(task)]
        labels = [str(label) for label in dict.fromkeys(mine["label"]) if label]
        if panels and len(labels) > 1:
            tables.append(_table(material, panels, mine, labels))
    return tables


def _column(material: Material, panel: Panel, cells: Sequence[Any]) -> list[Cell | None]:
    """Return a column of the table, with its marks."""
    means = [math.nan if cell is None or cell.row in _untrained(material) else cell.mean for cell in cells]
    marks = mark(means, higher_is_better=panel.higher_is_better)
    return [
        None
        if cell is None
        else Cell(
            cell.mean, cell.se, cell.n_subjects, cell.n_subjects_total, status="ok", mark=sign,
            scale=panel.scale, digits=panel.digits,
        )
        for cell, sign in zip(cells, marks, strict=True)
    ]  # fmt: skip


def _untrained(material: Material) -> set[str]:
    """Return the rows that no seed was trained for."""
    values = material.values
    return set(values.loc[values["seed"].lt(0), "row"].astype(str))


def _table(material: Material, panels: list[Panel], scores: pd.DataFrame, labels: list[str]) -> Table:
    at_largest = scores["fraction"].eq(panels[0].fraction) | scores["fraction"].isna()
    scores = scores[at_largest & (scores["label"].isin(labels) | scores["status"].eq("failed"))]
    found = _estimates(material, scores)
    at: dict[tuple[Any, ...], Any] = {
        (cell.row, cell.metric, cell.label): cell for cell in found.itertuples(index=False)
    }
    rows = [row for row in material.rows if row in set(found["row"])]
    columns = [(panel, label) for panel in panels for label in labels]
    grid = [
        _column(material, panel, [at.get((row, panel.metric, label)) for row in rows])
        for panel, label in columns
    ]
    task = panels[0].task
    return Table(
        name=f"labels-{task}",
        title=f"{panels[0].title}: label by label",
        row_names=("method",),
        rows=tuple(Row((row,)) for row in rows),
        columns=tuple(Column((panel.label, label)) for panel, label in columns),
        cells=tuple(tuple(column[place] for column in grid) for place in range(len(rows))),
        caption=tuple(filter(None, (_WHAT, _MARKS, material.claim()))),
    )


def _estimates(material: Material, scores: pd.DataFrame) -> pd.DataFrame:
    policies = scores["profile"].map(lambda profile: policy_of(material.run.manifest, profile))
    used: list[Policy] = list(policies.unique()) or ["penalty"]
    by = ["row", "metric", "label"]
    parts = [estimates(scores[policies.eq(policy)], by, LEADERBOARD.within, policy) for policy in used]
    return pd.concat(parts, ignore_index=True)
