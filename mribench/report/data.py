"""The cells of a report as tidy rows: CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mribench.report.cells import PLACE, cell_frame
from mribench.report.flags import BUDGET, COLLAPSED, flags
from mribench.report.layouts import LEADERBOARD, PAPER, TRANSFER
from mribench.report.load import RunData
from mribench.statistics.scores import ESTIMATE_COLUMNS

SCHEMA = 1
"""Version of the JSON."""
COLUMNS = (
    "table", "row", "method", "arm", *PLACE, "metric", "unit", "higher_is_better", *ESTIMATE_COLUMNS,
    "jobs_expected", "jobs_done", "jobs_failed", "jobs_waiting", "status", "mark", "collapsed",
    "unequal_budget",
)  # fmt: skip


def tidy(run: RunData, tables: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell of the named tables, unscaled and unrounded, with the columns ``COLUMNS``."""
    signs = flags(run)
    parts = []
    for name in tables:
        question = {"leaderboard": LEADERBOARD, "transfer": TRANSFER}.get(name, PAPER)
        cells = cell_frame(run, question).assign(table=name)
        if question is PAPER:
            cells = cells[cells["task"] == list(run.manifest["tasks"])[int(name.removeprefix("paper-")) - 1]]
        found = cells["row"].map(signs.of).astype(str)
        cells["collapsed"] = found.str.contains(COLLAPSED)
        cells["unequal_budget"] = found.str.contains(BUDGET)
        parts.append(cells.reindex(columns=list(COLUMNS)))
    return pd.concat(parts, ignore_index=True)


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
        "seeds": run.manifest["seeds"],
        "superseded": run.superseded,
        "notes": list(flags(run).notes),
        "cells": records,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
