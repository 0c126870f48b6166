"""The cells of a report as tidy rows: CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mribench.report.budget import NAME as BUDGET_TABLE
from mribench.report.budget import budget_frame
from mribench.report.cells import PLACE, cell_frame
from mribench.report.defect_effects import defects_frame
from mribench.report.defects import NAME as DEFECTS
from mribench.report.flags import BUDGET, CHANGED, COLLAPSED, FEW_VIEWS, flags
from mribench.report.invariance import NAME as INVARIANCE
from mribench.report.invariance import invariance_frame
from mribench.report.layouts import LEADERBOARD, PAPER, TRANSFER
from mribench.report.load import RunData
from mribench.report.manifest import profiles_shown
from mribench.statistics.scores import ESTIMATE_COLUMNS

SCHEMA = 1
"""Version of the JSON."""
COLUMNS = (
    "table", "row", "method", "arm", "dataset", *PLACE, "metric", "unit", "higher_is_better", "chance",
    *ESTIMATE_COLUMNS,
    "jobs_expected", "jobs_done", "jobs_failed", "jobs_waiting", "status", "mark", "collapsed",
    "unequal_budget", "few_distinct_views", "encoder_changed",
)  # fmt: skip


DEFECT_COLUMNS = (
    "without", "with_defect", "low", "high", "verdict", "how", "replaced_by", "n_arms", "n_subjects_with",
    "gap_first", "gap_second", "gap_without", "gap_with_defect", "n_significant", "n_tests",
)  # fmt: skip
"""Columns that the table of defects has beside ``COLUMNS``; its ``mean`` is the difference."""


def tidy(run: RunData, tables: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell of the named tables, unscaled and unrounded.

    The columns are ``COLUMNS``, with the table of defects among the tables ``DEFECT_COLUMNS`` too.
    """
    signs = flags(run)
    parts = []
    columns = [*COLUMNS, *(DEFECT_COLUMNS if DEFECTS in tables else ())]
    for name in tables:
        cells = _WHOLE[name](run) if name in _WHOLE else _cells(run, name)
        cells = cells.assign(table=name)
        found = cells["row"].map(signs.of).astype(str)
        cells["collapsed"] = found.str.contains(COLLAPSED)
        cells["unequal_budget"] = found.str.contains(BUDGET)
        cells["few_distinct_views"] = found.str.contains(FEW_VIEWS)
        cells["encoder_changed"] = found.str.contains(CHANGED)
        parts.append(cells.reindex(columns=columns))
    return pd.concat(parts, ignore_index=True)


def _effects(run: RunData) -> pd.DataFrame:
    return defects_frame(run).rename(columns={"difference": "mean"})


_WHOLE = {INVARIANCE: invariance_frame, DEFECTS: _effects, BUDGET_TABLE: budget_frame}


def _cells(run: RunData, name: str) -> pd.DataFrame:
    question = {"leaderboard": LEADERBOARD, "transfer": TRANSFER}.get(name, PAPER)
    cells = cell_frame(run, question)
    if question is PAPER:
        cells = cells[cells["task"] == list(run.manifest["tasks"])[int(name.removeprefix("paper-")) - 1]]
    cohorts = {task: found.get("dataset") for task, found in run.manifest["tasks"].items()}
    return cells.assign(dataset=cells["task"].map(cohorts))


def to_csv(run: RunData, tables: Sequence[str]) -> str:
    """Return the cells as CSV; what is not there is empty."""
    return tidy(run, tables).to_csv(index=False, lineterminator="\n")


def to_json(run: RunData, tables: Sequence[str]) -> str:
    """Return the cells and what they come from as JSON; what is not there is null."""
    records: list[dict[str, Any]] = json.loads(
        tidy(run, tables).to_json(orient="records", double_precision=15)
    )
    content = {
        "schema": SCHEMA,
        "benchmark": run.manifest["benchmark"],
        "profiles": run.manifest["profiles"],
        "defects": profiles_shown(run.manifest),
        "seeds": run.manifest["seeds"],
        "superseded": run.superseded,
        "mixed": list(run.mixed),
        "notes": list(flags(run).notes),
        "cells": records,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
