"""The table ``differences``: every two methods, from the crossed model and from these checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, PlacedCell, Sentence, Table, said, table_of
from mribench.report.material import Material, Panel
from mribench.results.shown import NO_INTERVAL, difference_cell
from mribench.statistics.checkpoints import compare_checkpoints
from mribench.statistics.difference import estimate_differences

_SMALLEST_P = 0.001
_PAIRS = (
    "The first minus the second at the largest fraction of labels, in-domain, over the seeds and subjects "
    "that both have, with its 95 % interval; rows of one profile only."
)
_READING = (
    "p: two-sided, of the crossed test about methods, not corrected for the number of pairs; d_z: effect "
    "size of a new seed and subject; P(A>B): share of (seed, subject) pairs in which the first scores "
    "higher, ties half."
)
_MOST_SUBJECTS = 300
"""Subjects above which the test of these checkpoints is left out: its exact distribution takes N³ steps."""
_WILCOXON = "p of these checkpoints"
_CHECKPOINTS = (
    f"{_WILCOXON}: about these checkpoints only, Wilcoxon's signed-rank test over subjects with seeds "
    "averaged, two-sided, exact, not corrected. It says nothing about methods: of two equal ones, lucky "
    "seeds make it find a difference about half of the time."
)


def pair_frame(material: Material) -> pd.DataFrame:
    """Return one row per pair of rows of one profile, task and metric that have something in common.

    Columns: ``row``, ``second``, ``profile``, ``task``, ``metric``, ``fraction``, ``mean`` (the difference),
    the other fields of ``Difference``, and ``p_checkpoints`` of ``checkpoints``.
    """
    parts = [material.of_panel(panel) for panel in material.panels]
    means = pd.concat(parts) if parts else material.values
    order = {row: place for place, row in enumerate(material.rows)}
    means = means.assign(place=means["row"].map(order), profile=means["row"].map(material.profiles))
    pairs = estimate_differences(means.sort_values("place", kind="stable"), ["profile", "task", "metric"])
    pairs = pairs[pairs["difference"].notna()]
    fractions = {(panel.task, panel.metric): panel.fraction for panel in material.panels}
    places = zip(pairs["task"], pairs["metric"], strict=True)
    pairs = pairs.assign(
        fraction=[fractions[place] for place in places], p_checkpoints=_checkpoints(means, pairs)
    )
    return pairs.rename(columns={"first": "row", "difference": "mean"})


def pair_table(material: Material) -> list[Table]:
    """Return the differences of every two rows: pairs × (task and metric, number); none for a single row."""
    frame = pair_frame(material)
    if frame.empty:
        return []
    tested = bool(frame["p_checkpoints"].notna().any())
    pairs: list[Any] = list(frame.itertuples(index=False))
    placed = [
        cell
        for panel in material.panels
        for pair in pairs
        if (pair.task, pair.metric) == (panel.task, panel.metric)
        for cell in _placed(pair, panel, tested=tested)
    ]
    return [
        table_of(
            "differences", "Every two methods", ("A", "B"), placed,
            said(
                Sentence(_PAIRS, "what"),
                NO_INTERVAL if frame["n_seeds"].eq(2).any() else "",
                _READING,
                Sentence(_about_checkpoints(frame) if tested else "", "limit"),
                material.claim,
            ),
            rows=dict.fromkeys((pair.row, pair.second) for pair in pairs),
        )
    ]  # fmt: skip


def _placed(pair: Any, panel: Panel, *, tested: bool) -> Iterator[PlacedCell]:
    """Yield the numbers of a pair in one place."""
    cells: dict[str, Cell | None] = {
        "A - B [95 %]": difference_cell(pair, pair.mean, pair.n_subjects, panel),
        "p": _p_value(pair.p),
        "d_z": Cell(pair.d_z, status="ok", digits=2),
        "P(A>B) %": Cell(pair.p_above, status="ok", scale=100.0, digits=0),
    }
    if tested:
        cells[_WILCOXON] = None if math.isnan(pair.p_checkpoints) else _p_value(pair.p_checkpoints)
    for name, cell in cells.items():
        yield (pair.row, pair.second), panel.header(name), cell


def _p_value(p: float) -> Cell:
    if p < _SMALLEST_P:
        return Cell(p, status="ok", text=f"<{_SMALLEST_P:g}")
    return Cell(p, status="ok", digits=3)


def _checkpoints(means: pd.DataFrame, pairs: pd.DataFrame) -> list[float]:
    """Return the p of the test of these checkpoints for each pair; NaN where it is not cheap."""
    rows = dict(iter(means.groupby(["row", "task", "metric"], sort=False))) if len(pairs) else {}
    records: list[Any] = list(pairs.itertuples(index=False))
    tests = []
    for pair in records:
        first, second = (rows[row, pair.task, pair.metric] for row in (pair.first, pair.second))
        few = pair.n_subjects <= _MOST_SUBJECTS
        tests.append(compare_checkpoints(first, second).p if few else math.nan)
    return tests


def _about_checkpoints(frame: pd.DataFrame) -> str:
    """Return what the test of these checkpoints says, and where it was left out."""
    many = frame["n_subjects"].gt(_MOST_SUBJECTS).any()
    return f"{_CHECKPOINTS} Left out above {_MOST_SUBJECTS} subjects." if many else _CHECKPOINTS
