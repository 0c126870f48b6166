"""Grids: tables of nothing but the run's cells, those that a benchmark file declares among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.table import Header, Sentence, Table, said, table_of
from mribench.interfaces.table_source import GridSpec, LayoutSpec, Question
from mribench.report.material import Material
from mribench.report.tables.captions import caption
from mribench.report.tables.power import power_sentence
from mribench.results.cells import LEADERBOARD, metric_label, shown_metric
from mribench.results.manifest import PlannedTask
from mribench.results.shown import cell_of
from mribench.wording import list_some

TRANSFER = Question(own_sequence=False)
_COLUMN = {
    "method": "row",
    "task": "task",
    "metric": "metric",
    "fraction": "fraction",
    "site": "test_site",
    "sequence": "test_sequence",
    "trained-on": "train_sequence",
}
"""What a layout calls a thing, and the column of the cells that has it."""
_MOST_NAMES = 6
_CHOICES = {"tasks": "task", "metrics": "metric", "fractions": "fraction", "sites": "test_site"}


def grid_frame(material: Material, grid: GridSpec) -> pd.DataFrame:
    """Return the cells that a grid shows.

    Raises:
        MRIBenchError: when several of them would stand in one place.
    """
    layout = grid.layout
    frame = _places(material, layout)
    if layout.methods:
        frame = frame[frame["method"].isin(layout.methods)]
    used = [_COLUMN[dimension] for dimension in (*layout.rows, *layout.columns)]
    if frame.duplicated(used).any():
        several = [
            name
            for name, column in _COLUMN.items()
            if column not in used and frame.groupby(used, dropna=False)[column].nunique().gt(1).any()
        ]
        raise MRIBenchError(
            f"layout '{grid.name}': several cells in one place, of different {' and '.join(several)}",
            f"name {several[0]} in its rows or columns, or choose one",
        )
    return frame


def _check(tasks: Mapping[str, PlannedTask], layout: LayoutSpec) -> None:
    known: dict[str, list[Any]] = {
        "metrics": [metric.id for task in tasks.values() for metric in task.metrics],
        "fractions": [fraction for task in tasks.values() for fraction in task.fractions],
        "sites": [site for task in tasks.values() for site in task.sites],
    }
    for field, names in known.items():
        for name in getattr(layout, field) or ():
            if name not in names:
                place = f"report.layouts: {field}: the benchmark has no {field.removesuffix('s')} '{name}'"
                raise MRIBenchError(place, did_you_mean(str(name), list(dict.fromkeys(map(str, names)))))


def _places(material: Material, layout: LayoutSpec) -> pd.DataFrame:
    """Return the cells in the places that a layout shows, of all methods.

    Raises:
        MRIBenchError: for a choice that the results do not have.
    """
    _check(material.run.manifest.tasks, layout)
    frame = material.cells(layout.question)
    for choice, column in _CHOICES.items():
        chosen = getattr(layout, choice)
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    return frame


def _with_hidden_rows(
    sentences: tuple[Sentence, ...], material: Material, layout: LayoutSpec, frame: pd.DataFrame
) -> tuple[Sentence, ...]:
    """Return the sentences of a layout, which say that rows it leaves out have been compared too.

    Marks are not made anew for the rows shown: leaving out the best would make another the best, and leaving
    out any would make the family of tests, and so the correction, smaller.
    """
    places = _places(material, layout)
    compared = list(places.loc[places["mark_style"].ne(""), "row"].unique())
    hidden = [row for row in compared if row not in set(frame["row"])]
    kinds = [sentence.kind for sentence in sentences]
    if "marks" not in kinds or not hidden:
        return sentences
    names = list_some(hidden, _MOST_NAMES)
    compared_with = (
        f"Marks are those among all {len(compared)} rows, {len(hidden)} of them not shown ({names}):"
        " where only those are best, nothing is bold."
    )
    after = kinds.index("marks") + 1
    return (*sentences[:after], Sentence(compared_with, "limit"), *sentences[after:])


def leaderboard(material: Material) -> Table:
    """Methods as rows, task × fraction × metric as columns; in-domain, sequences averaged."""
    layout = LayoutSpec(
        rows=["method"], columns=["task", "fraction", "metric"], in_domain=True, sequences="averaged"
    )
    grid = GridSpec("leaderboard", layout)
    frame = material.cells(LEADERBOARD)
    table = _lay_out(material, grid, frame, frame.sort_values("row_order", kind="stable"), frame)
    return dataclasses.replace(table, sentences=said(*table.sentences, power_sentence(material)))


def transfer(material: Material) -> list[Table]:
    """For each task and metric, at the largest fraction: (method, trained on) × (site, tested on)."""
    tables = []
    for (task, metric), cells in material.cells(TRANSFER).groupby(["task", "metric"], sort=False):
        largest = cells[cells["fraction"] == cells["fraction"].max()]
        fraction = _write_fraction(material, str(task), largest["fraction"].iloc[0])
        layout = LayoutSpec(
            title=f"{task} {fraction}: {metric}, transfer",
            rows=["method", "trained-on"],
            columns=["site", "sequence", "metric"],
            sequences="all",
        )
        grid = GridSpec(f"transfer-{task}-{metric}", layout)
        table = _lay_out(material, grid, largest, largest.sort_values("row_order", kind="stable"), largest)
        tables.append(dataclasses.replace(table, row_names=("method", "trained on")))
    return tables


def grid_table(material: Material, grid: GridSpec) -> Table:
    """Return a grid as a table.

    Raises:
        MRIBenchError: when several cells would stand in one place.
    """
    frame = grid_frame(material, grid)
    layout = grid.layout
    table = _lay_out(material, grid, frame, _sort(frame, layout.rows), _sort(frame, layout.columns))
    return dataclasses.replace(table, sentences=_with_hidden_rows(table.sentences, material, layout, frame))


def _lay_out(
    material: Material, grid: GridSpec, frame: pd.DataFrame, in_rows: pd.DataFrame, in_columns: pd.DataFrame
) -> Table:
    """Return the table of some cells of a grid, which are given in the order of its rows and columns too."""
    layout = grid.layout

    def head_row(cell: Any) -> Header:
        outermost = _make_header(material, cell, layout.rows[:1], signed=False)  # the table adds the signs
        return (*outermost, *_make_header(material, cell, layout.rows[1:]))

    def head_column(cell: Any) -> Header:
        return _make_header(material, cell, layout.columns)

    cells: list[Any] = list(frame.itertuples(index=False))
    return table_of(
        grid.name,
        layout.title or f"{material.benchmark}: {grid.name}",
        tuple(layout.rows),
        [(head_row(cell), head_column(cell), cell_of(cell, shown_metric(cell))) for cell in cells],
        caption(material.run, frame, layout.question, material.flags.footnotes),
        rows=dict.fromkeys(map(head_row, in_rows.itertuples(index=False))),
        columns=dict.fromkeys(map(head_column, in_columns.itertuples(index=False))),
        flags=material.flags.of if layout.rows[0] == "method" else None,
    )


def _make_header(material: Material, cell: Any, dimensions: Sequence[str], *, signed: bool = True) -> Header:
    """Return the headers of a cell.

    Args:
        material: the results.
        cell: a row of the frame.
        dimensions: what the headers say, outermost first.
        signed: whether the signs of a method's footnotes stand behind its name.
    """
    texts = []
    for dimension in dimensions:
        text = str(getattr(cell, _COLUMN[dimension]))
        if dimension == "metric":
            text = metric_label(cell)
        elif dimension == "fraction":
            text = _write_fraction(material, cell.task, cell.fraction)
        elif dimension == "method" and signed:
            text += material.flags.of(text)
        texts.append(text)
    return tuple(texts)


def _sort(frame: pd.DataFrame, dimensions: Sequence[str]) -> pd.DataFrame:
    """Sort cells by the benchmark file's order of each dimension, the first dimension slowest."""
    ranks = pd.DataFrame(index=frame.index)
    for dimension in dimensions:
        column = _COLUMN[dimension]
        ordered = frame.sort_values("row_order", kind="stable") if dimension == "method" else frame
        places = {name: place for place, name in enumerate(ordered[column].unique())}
        ranks[dimension] = frame[column] if dimension == "fraction" else frame[column].map(places)
    return frame.loc[ranks.sort_values(list(dimensions), kind="stable").index]


def _write_fraction(material: Material, task: str, fraction: float) -> str:
    """``10 % (n=23)``, with the number of training subjects, or its range over sequences."""
    counts = material.train_subjects.get((task, fraction), [])
    text = f"{100 * fraction:g} %"
    if not counts:
        return text
    return f"{text} (n={counts[0]})" if len(counts) == 1 else f"{text} (n={counts[0]}–{counts[-1]})"
