"""The cells of a report as tidy rows: CSV, Parquet and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.report.tables.budget import NAME as BUDGET_TABLE, budget_frame
from mribench.report.tables.captions import versions_of
from mribench.report.tables.custom import layout_frame, layouts
from mribench.report.tables.defect_effects import defects_frame
from mribench.report.tables.defects import NAME as DEFECTS
from mribench.report.tables.flags import BUDGET, CHANGED, COLLAPSED, FEW_VIEWS, ODD, flags
from mribench.report.tables.invariance import NAME as INVARIANCE, invariance_frame
from mribench.report.tables.layouts import LEADERBOARD, PAPER, TRANSFER
from mribench.report.tables.over_identity import (
    COLUMNS as DIFFERENCE,
    NAME as OVER_IDENTITY,
    over_identity_frame,
)
from mribench.results.cells import PLACE, cell_frame
from mribench.results.load import RunData
from mribench.statistics.scores import ESTIMATE_COLUMNS

SCHEMA = 1
"""Version of the JSON."""
COLUMNS = (
    "table", "row", "method", "arm", "profile", "dataset", *PLACE,
    "metric", "unit", "higher_is_better", "chance",
    *ESTIMATE_COLUMNS,
    "jobs_expected", "jobs_done", "jobs_failed", "jobs_waiting", "status", "out", "mark", "collapsed",
    "encoder_odd", "unequal_budget", "few_distinct_views", "encoder_changed",
)  # fmt: skip


DEFECT_COLUMNS = (
    "without", "with_defect", "low", "high", "verdict", "how", "replaced_by", "n_arms", "n_subjects_with",
    "gap_first", "gap_second", "gap_without", "gap_with_defect", "n_significant", "n_tests",
)  # fmt: skip
"""Columns that the table of defects has beside ``COLUMNS``; its ``mean`` is the difference."""


_NUMBERS = {
    "fraction", "chance", "mean", "se", "df", "without", "with_defect", "low", "high", "gap_without",
    "gap_with_defect", "gain_largest", "gain_in_domain", "gain_out_of_domain", "published_mean",
    "published_se", "difference", "p", "d_z", "p_above", "seed_low", "seed_high", "failure_share",
    "failure_low", "failure_high", "without_mean", "without_low", "without_high",
}  # fmt: skip
_YES_NO = {
    "higher_is_better",
    "collapsed",
    "encoder_odd",
    "unequal_budget",
    "few_distinct_views",
    "encoder_changed",
    "same_cohort",
}
_COUNTS = {"wins", "ties", "losses"}


def tidy(run: RunData, tables: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell of the named tables, unscaled and unrounded.

    The columns are ``COLUMNS``; the table of defects adds ``DEFECT_COLUMNS``, that of gains over identity
    ``over_identity.COLUMNS``.
    """
    signs = flags(run)
    parts = []
    more = {DEFECTS: DEFECT_COLUMNS, OVER_IDENTITY: DIFFERENCE}
    columns = list(dict.fromkeys([*COLUMNS, *(c for name in tables for c in more.get(name, ()))]))
    for name in tables:
        cells = _WHOLE[name](run) if name in _WHOLE else _cells(run, name)
        cells = cells.assign(table=name)
        found = cells["row"].map(signs.of).astype(str)
        cells["collapsed"] = found.str.contains(COLLAPSED)
        cells["encoder_odd"] = found.str.contains(ODD)
        cells["unequal_budget"] = found.str.contains(BUDGET)
        cells["few_distinct_views"] = found.str.contains(FEW_VIEWS)
        cells["encoder_changed"] = found.str.contains(CHANGED)
        parts.append(cells.reindex(columns=columns))
    return typed(pd.concat(parts, ignore_index=True))


def typed(cells: pd.DataFrame) -> pd.DataFrame:
    """Return tidy rows with one type per column: string, float64, Int64 or boolean; all may be missing."""
    return cells.astype({name: _type(name) for name in cells.columns})


def _type(name: str) -> str:
    if name in _COUNTS or name.startswith(("n_", "jobs_")):
        return "Int64"
    return "boolean" if name in _YES_NO else "float64" if name in _NUMBERS else "string"


def _effects(run: RunData) -> pd.DataFrame:
    return defects_frame(run).rename(columns={"difference": "mean"})


def _over_identity(run: RunData) -> pd.DataFrame:
    return over_identity_frame(run).pipe(_with_cohort, run)


_WHOLE = {
    OVER_IDENTITY: _over_identity,
    INVARIANCE: invariance_frame,
    DEFECTS: _effects,
    BUDGET_TABLE: budget_frame,
}


def _cells(run: RunData, name: str) -> pd.DataFrame:
    question = {"leaderboard": LEADERBOARD, "transfer": TRANSFER}.get(name, PAPER)
    declared = name in layouts(run)
    cells = layout_frame(run, name) if declared else cell_frame(run, question)
    if question is PAPER and not declared:
        cells = cells[cells["task"] == list(run.manifest.tasks)[int(name.removeprefix("paper-")) - 1]]
    return _with_cohort(cells, run)


def _with_cohort(cells: pd.DataFrame, run: RunData) -> pd.DataFrame:
    cohorts = {task: planned.dataset for task, planned in run.manifest.tasks.items()}
    return cells.assign(dataset=cells["task"].map(cohorts))


def about(run: RunData) -> dict[str, Any]:
    """Return what the cells of a run come from."""
    return {
        "schema": SCHEMA,
        "benchmark": run.manifest.benchmark,
        "profiles": run.manifest.profiles,
        "defects": run.manifest.defects_by_profile(),
        "seeds": run.manifest.seeds,
        "superseded": run.superseded,
        "mixed": list(run.mixed),
        "versions": versions_of(run),
        "notes": list(flags(run).notes),
    }


def to_csv(cells: pd.DataFrame) -> str:
    """Return tidy rows as CSV; what is not there is empty."""
    return cells.to_csv(index=False, lineterminator="\n")


def to_json(cells: pd.DataFrame, head: Mapping[str, Any]) -> str:
    """Return tidy rows and what they come from as JSON; what is not there is null."""
    records: list[dict[str, Any]] = json.loads(cells.to_json(orient="records", double_precision=15))
    return json.dumps({**head, "cells": records}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_parquet(cells: pd.DataFrame, head: Mapping[str, Any]) -> bytes:
    """Return tidy rows as Parquet, with their types; metadata ``mribench``: JSON of what they come from."""
    table = pa.Table.from_pandas(cells, preserve_index=False)
    said = json.dumps(head, ensure_ascii=False, allow_nan=False).encode()
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"mribench": said}), stream)
    return stream.getvalue()
