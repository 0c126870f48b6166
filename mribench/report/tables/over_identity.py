"""The table ``over-identity``: what each method gains over the unchanged input, subject by subject."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mribench.arms import IDENTITY
from mribench.interfaces.table import Cell, Sentence, Table, said, table_of
from mribench.report.material import Material
from mribench.report.tables.captions import state, whose
from mribench.results.cells import LEADERBOARD, by_policy, metric_label, selected, shown_metric
from mribench.results.load import RunData
from mribench.results.shown import NO_INTERVAL, difference_cell
from mribench.statistics import average_subjects
from mribench.statistics.difference import estimate_table_difference
from mribench.statistics.scores import count_values
from mribench.statistics.tables import make_table, take_complete

COLUMNS = ("low", "high", "p", "d_z", "p_above", "scope", "seed_low", "seed_high")
"""What its rows have beside those of other tables; ``mean`` and ``se`` are those of the difference."""
_CELL = ["task", "fraction", "metric"]
_SCAN = ["profile", "task", "dataset", "test_site", "test_sequence", "subject", "session", "label", "metric"]
_WHAT = (
    "Score minus that of identity, the input as it is, on the same subjects, {whose}. Mean of the paired "
    "differences over seeds × subjects with its 95 % interval (with one seed over subjects), not corrected "
    "for the number of rows."
)


def over_identity_frame(material: Material) -> pd.DataFrame:
    """Return the cells of the leaderboard that have an identity row beside them, as differences to it.

    Columns: those of ``cell_frame``, with ``mean``, ``se``, ``df``, ``n_subjects``, ``n_seeds`` and
    ``n_missing_pairs`` of the difference, ``metric`` as ``Δ psnr:range``, no marks, and ``COLUMNS``.
    """
    cells = material.cells(LEADERBOARD)
    arm = cells["arm"].eq(IDENTITY)
    cells = cells[cells["task"].isin(cells.loc[arm, "task"]) & ~arm].reset_index(drop=True)
    paired = dict(iter(_paired(material.run, set(cells["task"])).groupby(["row", *_CELL], sort=False)))
    nothing = pd.DataFrame(columns=["seed", "subject", "value"], dtype=float)
    differences = []
    for cell in cells.itertuples(index=False):
        table = make_table(paired.get((cell.row, cell.task, cell.fraction, cell.metric), nothing))
        missing = int(np.isnan(table.values).sum())
        differences.append(estimate_table_difference(take_complete(table.finite()), n_missing_pairs=missing))
    return _replace_means(cells, pd.DataFrame(differences, index=cells.index))


def _paired(run: RunData, tasks: Collection[str]) -> pd.DataFrame:
    """Return ``subject_means`` of score minus that of identity on the same scan, label and profile."""
    scores = selected(run.scores, run.manifest, LEADERBOARD)
    scores = scores[scores["task"].isin(tasks)].astype(dict.fromkeys(_SCAN, object))
    identity = scores["arm"].eq(IDENTITY)
    parts = []
    for policy, rows in by_policy(run, scores):
        own = rows.assign(penalty=count_values(rows, policy))
        theirs = own.loc[identity[own.index], [*_SCAN, "penalty", "status"]]
        ours = own[~identity[own.index]].merge(theirs, on=_SCAN, how="left", suffixes=("", "_identity"))
        failed = ours["status"].eq("failed") | ours["status_identity"].ne("ok")
        ours["penalty"] = (ours["penalty"] - ours["penalty_identity"]).mask(failed)
        ours["status"] = ours["status"].astype(object).mask(failed, "failed")
        parts.append(average_subjects(ours, ["row", *_CELL], LEADERBOARD.within))
    return pd.concat(parts, ignore_index=True)


def _replace_means(cells: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    cells = cells.assign(metric=[f"Δ {name}" for name in cells["metric"]], mark="none", mark_style="")
    if differences.empty:
        return cells.reindex(columns=list(dict.fromkeys([*cells.columns, *COLUMNS])))
    cells["mean"] = differences["difference"]
    same = ["se", "df", "n_seeds", "n_subjects", "n_missing_pairs", *COLUMNS]
    cells[same] = differences[same]
    nothing = cells["status"].isin(["ok", "partial"]) & cells["n_subjects"].eq(0)
    cells.loc[nothing, "status"] = "missing"
    return cells


def over_identity_table(material: Material) -> Table:
    """Methods as rows, task × fraction × metric as columns."""
    frame = over_identity_frame(material)
    cells: list[Any] = list(frame.itertuples(index=False))
    ordered = frame.sort_values("row_order", kind="stable")["row"] if cells else ()
    return table_of(
        "over-identity",
        f"{material.benchmark}: gain over identity",
        ("method",),
        [
            ((cell.row,), (cell.task, f"{100 * cell.fraction:g} %", metric_label(cell)), _cell(cell))
            for cell in cells
        ],
        _caption(material, frame),
        rows=[(row,) for row in dict.fromkeys(ordered)],
        flags=material.flags.of,
    )


def _caption(material: Material, frame: pd.DataFrame) -> tuple[Sentence, ...]:
    if frame.empty:
        return (Sentence("Nothing is planned: no task has the reference arm identity.", "unplanned"),)
    return said(
        Sentence(_WHAT.format(whose=whose(frame, material.run, LEADERBOARD)), "what"),
        NO_INTERVAL if frame["n_seeds"].eq(2).any() else "",
        *state(material.run, frame, material.flags.footnotes),
    )


def _cell(cell: Any) -> Cell:
    gain = difference_cell(cell, cell.mean, cell.n_subjects, shown_metric(cell))
    return replace(
        gain,
        n_subjects_total=cell.n_subjects_total,
        jobs_done=cell.jobs_done,
        jobs_expected=cell.jobs_expected,
        status=cell.status,
    )
