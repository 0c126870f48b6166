"""Tables beside the figures: differences of every two methods, areas under label-efficiency curves."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.report.material import Material, Panel
from mribench.report.sentences import percent, seeds_sentence
from mribench.results.cells import ranges
from mribench.results.shown import NO_INTERVAL, interval_of, seeds_of
from mribench.statistics.checkpoints import compare_checkpoints
from mribench.statistics.difference import differences
from mribench.statistics.efficiency import label_efficiencies

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
_AREAS = (
    "Mean score along the logarithm of the fraction of labels (the normalised area under the curve, by "
    "trapezoids, in the unit of the score) ± crossed SE; rows that need no training have no curve."
)

_Tests = dict[tuple[str, str, str, str], float]
"""p of the test of these checkpoints by first and second row, task and metric."""


def pair_table(material: Material) -> list[Table]:
    """Return the differences of every two rows: pairs × (task and metric, number); none for a single row."""
    panels = {(panel.task, panel.metric): panel for panel in material.panels}
    parts = [material.of_panel(panel) for panel in panels.values()]
    means = pd.concat(parts) if parts else material.values
    means = means.assign(
        place=means["row"].map({row: at for at, row in enumerate(material.rows)}),
        profile=means["row"].map(material.profiles),
    ).sort_values("place", kind="stable")
    found = differences(means, ["profile", "task", "metric"])
    found = found[found["difference"].notna()]
    if found.empty:
        return []
    at = {(cell.first, cell.second, cell.task, cell.metric): cell for cell in _records(found)}
    pairs = list(dict.fromkeys((first, second) for first, second, _, _ in at))
    there = {key[2:] for key in at}
    shown = {key: panel for key, panel in panels.items() if key in there}
    tests = _tests(means, found)
    names = ("A - B [95 %]", "p", "d_z", "P(A>B) %", *([_WILCOXON] if tests else []))
    return [
        Table(
            name="differences",
            title="Every two methods",
            row_names=("A", "B"),
            rows=tuple(Row((str(first), str(second))) for first, second in pairs),
            columns=tuple(
                Column((panel.title, panel.label, name)) for panel in shown.values() for name in names
            ),
            cells=tuple(
                tuple(
                    cell
                    for key, panel in shown.items()
                    for cell in _numbers(at.get((first, second, *key)), panel, tests)[: len(names)]
                )
                for first, second in pairs
            ),
            sentences=said(
                Sentence(_PAIRS, "what"),
                _two_seeds(found),
                _READING,
                Sentence(_about(tests, found), "limit"),
                material.claim,
            ),
        )
    ]


def area_table(material: Material) -> list[Table]:
    """Return the area under each label-efficiency curve: rows × (task, metric); none without curves."""
    by = ["row", "task", "metric"]
    found = label_efficiencies(material.values, by, range_of=ranges(material.run.manifest))
    found = found[found["area"].notna()]
    panels = [panel for panel in material.panels if found["task"].eq(panel.task).any()]
    if not panels:
        return []
    at = {(cell.row, cell.task, cell.metric): cell for cell in _records(found)}
    rows = [row for row in material.rows if row in set(found["row"])]
    return [
        Table(
            name="label-efficiency",
            title="Area under the label-efficiency curve",
            row_names=("method",),
            rows=tuple(Row((row,)) for row in rows),
            columns=tuple(Column((panel.task, panel.label)) for panel in panels),
            cells=tuple(
                tuple(_area(at.get((row, panel.task, panel.metric)), panel) for panel in panels)
                for row in rows
            ),
            sentences=said(
                *(
                    Sentence(_AREAS, "what"),
                    _two_seeds(found),
                    _fractions(found),
                    seeds_sentence(found["n_seeds"]),
                    material.claim,
                ),
            ),
        )
    ]


def why_no_area(material: Material) -> str:
    """Return which tasks have no curve, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    found = label_efficiencies(material.values, ["row", "task", "metric"])
    shown = set(found.loc[found["area"].notna(), "task"])
    single = [task for task, spec in tasks.items() if len(spec.fractions) < 2]
    undone = [task for task in tasks if task not in shown and task not in single]
    texts = [f"{', '.join(single)}: one fraction of labels"] if single else []
    texts += [f"{', '.join(undone)}: not done at two fractions"] if undone else []
    return f"No curve of {'; '.join(texts)}." if texts else ""


def _two_seeds(found: pd.DataFrame) -> str:
    return NO_INTERVAL if found["n_seeds"].eq(2).any() else ""


def _fractions(found: pd.DataFrame) -> str:
    known = {str(cell.task): percent(cell.fractions) for cell in _records(found)}
    return f"Fractions: {'; '.join(f'{task} {text}' for task, text in known.items())}."


def _records(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _tests(means: pd.DataFrame, found: pd.DataFrame) -> _Tests:
    """Return the p of each pair, task and metric whose test of these checkpoints is cheap."""
    few = found[found["n_subjects"].le(_MOST_SUBJECTS)]
    rows = dict(iter(means.groupby(["row", "task", "metric"], sort=False))) if len(few) else {}
    tests = {}
    for cell in _records(few):
        one, other = (rows[row, cell.task, cell.metric] for row in (cell.first, cell.second))
        p = compare_checkpoints(one, other).p
        if math.isfinite(p):
            tests[cell.first, cell.second, cell.task, cell.metric] = p
    return tests


def _about(tests: _Tests, found: pd.DataFrame) -> str:
    """Return what the test of these checkpoints says, and where it was left out."""
    if not tests:
        return ""
    many = found["n_subjects"].gt(_MOST_SUBJECTS).any()
    return f"{_CHECKPOINTS}{f' Left out above {_MOST_SUBJECTS} subjects.' if many else ''}"


def _numbers(cell: Any, panel: Panel, tests: _Tests) -> tuple[Cell | None, ...]:
    if cell is None:
        return (None,) * 5
    checkpoints = tests.get((cell.first, cell.second, cell.task, cell.metric))
    return (
        Cell(
            cell.difference, cell.se, cell.n_subjects, cell.n_subjects, status="ok", scale=panel.scale,
            digits=panel.digits, low=cell.low, high=cell.high, seeds=seeds_of(cell), signed=True,
        ),
        _p_value(cell.p),
        Cell(cell.d_z, status="ok", digits=2),
        Cell(cell.p_above, status="ok", scale=100.0, digits=0),
        None if checkpoints is None else _p_value(checkpoints),
    )  # fmt: skip


def _p_value(p: float) -> Cell:
    if p < _SMALLEST_P:
        return Cell(p, status="ok", text=f"<{_SMALLEST_P:g}")
    return Cell(p, status="ok", digits=3)


def _area(cell: Any, panel: Panel) -> Cell | None:
    if cell is None or math.isnan(cell.area):
        return None
    return Cell(
        cell.area, cell.se, cell.n_subjects, cell.n_subjects, status="ok", scale=panel.scale,
        digits=panel.digits, interval=interval_of(cell), seeds=seeds_of(cell),
    )  # fmt: skip
