"""Grids: tables of nothing but the run's cells, those that a benchmark file declares among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.table import NOTHING_PLANNED, Header, Sentence, Table, table_of
from mribench.interfaces.table_source import GridSpec, Question
from mribench.report.material import Material
from mribench.report.tables.captions import caption
from mribench.results.cells import LEADERBOARD, metric_label, shown_metric
from mribench.results.load import RunData
from mribench.results.manifest import Layout, PlannedTask
from mribench.results.shown import cell_of
from mribench.wording import list_some

TRANSFER = Question(own_sequence=False)
HeaderOf = Callable[[Any], Header]
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


def declared_grids(run: RunData) -> list[GridSpec]:
    """Return the layouts that the benchmark files of a run declare."""
    layouts = run.manifest.report.layouts
    return [_declared(run.manifest.benchmark, name, layout) for name, layout in layouts.items()]


def _declared(benchmark: str, name: str, layout: Layout) -> GridSpec:
    question = Question(
        in_domain=layout.in_domain,
        own_sequence=layout.sequences != "all",
        average_sequences=layout.sequences == "averaged",
    )
    return GridSpec(
        name,
        layout.title or f"{benchmark}: {name}",
        layout.rows,
        layout.columns,
        question,
        layout.section,
        methods=layout.methods or (),
        tasks=layout.tasks or (),
        metrics=layout.metrics or (),
        fractions=layout.fractions or (),
        sites=layout.sites or (),
    )


def grid_frame(material: Material, grid: GridSpec) -> pd.DataFrame:
    """Return the cells that a grid shows.

    Raises:
        MRIBenchError: when several of them would stand in one place.
    """
    frame = _places(material, grid)
    if grid.methods:
        frame = frame[frame["method"].isin(grid.methods)]
    used = [_COLUMN[dimension] for dimension in (*grid.rows, *grid.columns)]
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


def _check(tasks: Mapping[str, PlannedTask], grid: GridSpec) -> None:
    known: dict[str, list[Any]] = {
        "metrics": [metric.id for task in tasks.values() for metric in task.metrics],
        "fractions": [fraction for task in tasks.values() for fraction in task.fractions],
        "sites": [site for task in tasks.values() for site in task.sites],
    }
    for field, names in known.items():
        for name in getattr(grid, field):
            if name not in names:
                place = f"report.layouts: {field}: the benchmark has no {field.removesuffix('s')} '{name}'"
                raise MRIBenchError(place, did_you_mean(str(name), list(dict.fromkeys(map(str, names)))))


def _places(material: Material, grid: GridSpec) -> pd.DataFrame:
    """Return the cells in the places that a grid shows, of all methods.

    Raises:
        MRIBenchError: for a choice that the results do not have.
    """
    _check(material.run.manifest.tasks, grid)
    frame = material.cells(grid.question)
    for choice, column in _CHOICES.items():
        chosen = getattr(grid, choice)
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    return frame


def _with_hidden_rows(
    sentences: tuple[Sentence, ...], material: Material, grid: GridSpec, frame: pd.DataFrame
) -> tuple[Sentence, ...]:
    """Return the sentences of a grid, which say that rows it leaves out have been compared too.

    Marks are not made anew for the rows shown: leaving out the best would make another the best, and leaving
    out any would make the family of tests, and so the correction, smaller.
    """
    places = _places(material, grid)
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


def _header_of(material: Material, dimensions: Sequence[str], *, signed: bool = True) -> HeaderOf:
    """Return the function that makes the headers of a cell.

    Args:
        material: the results.
        dimensions: what the headers say, outermost first.
        signed: whether the signs of a method's footnotes stand behind its name.
    """

    def text(dimension: str, cell: Any) -> str:
        if dimension == "metric":
            return metric_label(cell)
        if dimension == "fraction":
            return _fraction(material, cell.task, cell.fraction)
        value = str(getattr(cell, _COLUMN[dimension]))
        return f"{value}{material.flags.of(value)}" if signed and dimension == "method" else value

    return lambda cell: tuple(text(dimension, cell) for dimension in dimensions)


def _in_order(frame: pd.DataFrame, dimensions: Sequence[str], header: HeaderOf) -> list[Header]:
    """Return the headers in the benchmark file's order of each dimension, the first dimension slowest."""
    ranks = pd.DataFrame(index=frame.index)
    for dimension in dimensions:
        column = _COLUMN[dimension]
        ordered = frame.sort_values("row_order", kind="stable") if dimension == "method" else frame
        if dimension == "fraction":
            ranks[dimension] = frame[column]
        else:
            names = {name: rank for rank, name in enumerate(dict.fromkeys(ordered[column]))}
            ranks[dimension] = frame[column].map(names)
    places = ranks.sort_values(list(dimensions), kind="stable").index
    return list(dict.fromkeys(header(cell) for cell in frame.loc[places].itertuples(index=False)))


def leaderboard(material: Material) -> Table:
    """Methods as rows, task × fraction × metric as columns; in-domain, sequences averaged."""
    return _grid(
        material, material.cells(LEADERBOARD), LEADERBOARD, "leaderboard",
        f"{material.benchmark}: leaderboard", ("method",), lambda cell: (cell.row,),
        lambda cell: (cell.task, _fraction(material, cell.task, cell.fraction), metric_label(cell)),
    )  # fmt: skip


def transfer(material: Material) -> list[Table]:
    """For each task and metric, at the largest fraction: (method, trained on) × (site, tested on)."""
    frame = material.cells(TRANSFER)
    tables = []
    for (task, metric), cells in frame.groupby(["task", "metric"], sort=False):
        largest = cells[cells["fraction"] == cells["fraction"].max()]
        fraction = _fraction(material, str(task), largest["fraction"].iloc[0])
        tables.append(
            _grid(
                material, largest, TRANSFER, f"transfer-{task}-{metric}",
                f"{task} {fraction}: {metric}, transfer", ("method", "trained on"),
                lambda cell: (cell.row, cell.train_sequence),
                lambda cell: (cell.test_site, cell.test_sequence, metric_label(cell)),
            )
        )  # fmt: skip
    return tables


def grid_table(material: Material, grid: GridSpec) -> Table:
    """Return a grid as a table.

    Raises:
        MRIBenchError: when several cells would stand in one place.
    """
    frame = grid_frame(material, grid)
    by_method = grid.rows[0] == "method"
    row_of = _header_of(material, grid.rows[:1], signed=not by_method), _header_of(material, grid.rows[1:])
    column_of = _header_of(material, grid.columns)

    def header_of_row(cell: Any) -> Header:
        return (*row_of[0](cell), *row_of[1](cell))

    table = _grid(
        material, frame, grid.question, grid.name, grid.title, grid.rows, header_of_row, column_of,
        rows=_in_order(frame, grid.rows, header_of_row), columns=_in_order(frame, grid.columns, column_of),
    )  # fmt: skip
    return dataclasses.replace(table, sentences=_with_hidden_rows(table.sentences, material, grid, frame))


def _grid(
    material: Material,
    frame: pd.DataFrame,
    question: Question,
    name: str,
    title: str,
    row_names: tuple[str, ...],
    row_of: HeaderOf,
    column_of: HeaderOf,
    rows: Iterable[Header] | None = None,
    columns: Iterable[Header] | None = None,
) -> Table:
    """Return the table of a frame; rows of methods in the benchmark file's order where none is given."""
    cells: list[Any] = list(frame.itertuples(index=False))
    footnotes = material.flags.footnotes
    if rows is None and cells:
        ordered = frame.sort_values("row_order", kind="stable")
        rows = dict.fromkeys(map(row_of, ordered.itertuples(index=False)))
    return table_of(
        name,
        title,
        row_names,
        [(row_of(cell), column_of(cell), cell_of(cell, shown_metric(cell))) for cell in cells],
        caption(material.run, frame, question, footnotes) if cells else (NOTHING_PLANNED,),
        rows=rows,
        columns=columns,
        flags=material.flags.of if row_names[0] == "method" else None,
    )


def _fraction(material: Material, task: str, fraction: float) -> str:
    """``10 % (n=23)``, with the number of training subjects, or its range over sequences."""
    counts = material.train_subjects.get((task, fraction), [])
    text = f"{100 * fraction:g} %"
    if not counts:
        return text
    return f"{text} (n={counts[0]})" if len(counts) == 1 else f"{text} (n={counts[0]}–{counts[-1]})"
