"""Layouts: which cells a table shows, and where they stand."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.report.model import Cell, Column, Row, Table, interval_of, seeds_of
from mribench.report.tables.budget import NAME as BUDGET, budget_table
from mribench.report.tables.captions import caption
from mribench.report.tables.custom import (
    header_of,
    in_order,
    layout_frame,
    layouts,
    question_of,
    with_hidden_rows,
)
from mribench.report.tables.defects import NAME as DEFECTS, defects_table
from mribench.report.tables.flags import Flags, flags
from mribench.report.tables.invariance import NAME as INVARIANCE, invariance_table
from mribench.report.tables.over_identity import NAME as OVER_IDENTITY, over_identity_table
from mribench.results.cells import LEADERBOARD, Question, cell_frame, metric_label, scale_of
from mribench.results.load import RunData

TRANSFER = Question(own_sequence=False)
PAPER = Question(own_sequence=True)

Header = Callable[[Any], tuple[str, ...]]


def build(run: RunData, name: str) -> list[Table]:
    """Build the tables of a name: one of ``table_names``; ``paper-N`` is about the N-th task.

    Raises:
        MRIBenchError: for an unknown name.
    """
    known = table_names(run)
    if name not in known:
        raise MRIBenchError(f"there is no table '{name}'", did_you_mean(name, known))
    if name == "leaderboard":
        return [leaderboard(run)]
    if name in layouts(run):
        return [declared(run, name)]
    whole = {
        OVER_IDENTITY: over_identity_table,
        INVARIANCE: invariance_table,
        DEFECTS: defects_table,
        BUDGET: budget_table,
    }
    if name in whole:
        return [whole[name](run)]
    return transfer(run) if name == "transfer" else [paper(run, int(name.removeprefix("paper-")))]


def table_names(run: RunData) -> list[str]:
    """Return the names of the tables that these results can make."""
    return names_of_tables(len(run.manifest.tasks), layouts(run))


def names_of_tables(n_tasks: int, declared_layouts: Iterable[str]) -> list[str]:
    """Return the names of the tables of a benchmark with so many tasks and these layouts of its own."""
    papers = (f"paper-{i + 1}" for i in range(n_tasks))
    return ["leaderboard", OVER_IDENTITY, "transfer", INVARIANCE, DEFECTS, BUDGET, *papers, *declared_layouts]


def leaderboard(run: RunData) -> Table:
    """Methods as rows, task × fraction × metric as columns; in-domain, sequences averaged."""
    frame = cell_frame(run, LEADERBOARD)
    return _grid(
        run, frame, LEADERBOARD, "leaderboard", f"{run.manifest.benchmark}: leaderboard",
        ("method",), lambda cell: (cell.row,),
        lambda cell: (cell.task, _fraction(run, cell.task, cell.fraction), metric_label(cell)),
    )  # fmt: skip


def transfer(run: RunData) -> list[Table]:
    """For each task and metric, at the largest fraction: (method, trained on) × (site, tested on)."""
    frame = cell_frame(run, TRANSFER)
    tables = []
    for (task, metric), cells in frame.groupby(["task", "metric"], sort=False):
        largest = cells[cells["fraction"] == cells["fraction"].max()]
        fraction = _fraction(run, str(task), largest["fraction"].iloc[0])
        tables.append(
            _grid(
                run, largest, TRANSFER, f"transfer-{task}-{metric}", f"{task} {fraction}: {metric}, transfer",
                ("method", "trained on"), lambda cell: (cell.row, cell.train_sequence),
                lambda cell: (cell.test_site, cell.test_sequence, metric_label(cell)),
            )
        )  # fmt: skip
    return tables


def paper(run: RunData, number: int) -> Table:
    """Site × sequence as rows, metric × fraction × method as columns, for the task of that number."""
    task = list(run.manifest.tasks)[number - 1]
    frame = cell_frame(run, PAPER)
    return _grid(
        run, frame[frame["task"] == task], PAPER, f"paper-{number}", f"{task}: site and sequence",
        ("site", "sequence"), lambda cell: (cell.test_site, cell.test_sequence),
        lambda cell: (metric_label(cell), _fraction(run, cell.task, cell.fraction), cell.row),
    )  # fmt: skip


def declared(run: RunData, name: str) -> Table:
    """What ``report: layouts:`` of the benchmark file says.

    Raises:
        MRIBenchError: when several cells would stand in one place.
    """
    layout = layouts(run)[name]
    frame = layout_frame(run, name)
    found = flags(run)
    fraction = functools.partial(_fraction, run)
    rows, columns = layout.rows, layout.columns
    row_of = header_of(rows, found, fraction, signed_by_table=0)
    column_of = header_of(columns, found, fraction, signed_by_table=len(columns) - 1)
    table = _grid(
        run, frame, question_of(layout), name, layout.title or f"{run.manifest.benchmark}: {name}",
        tuple(rows), row_of, column_of,
        order=(in_order(frame, rows, row_of), in_order(frame, columns, column_of)),
    )  # fmt: skip
    return dataclasses.replace(table, caption=with_hidden_rows(table.caption, run, name, frame))


def _grid(
    run: RunData,
    frame: pd.DataFrame,
    question: Question,
    name: str,
    title: str,
    row_names: tuple[str, ...],
    row_of: Header,
    column_of: Header,
    order: tuple[list[tuple[str, ...]], list[tuple[str, ...]]] | None = None,
) -> Table:
    found = flags(run)
    at = {(row_of(cell), column_of(cell)): cell for cell in frame.itertuples(index=False)}
    columns = list(dict.fromkeys(column for _, column in at))
    by_method = row_names[0] == "method"
    ordered = frame.sort_values("row_order", kind="stable") if by_method else frame
    rows = list(dict.fromkeys(row_of(cell) for cell in ordered.itertuples(index=False)))
    rows, columns = order or (rows, columns)
    return Table(
        name=name,
        title=title,
        row_names=row_names,
        rows=tuple(Row(row, found.of(row[0]) if by_method else "") for row in rows),
        columns=tuple(Column(column if by_method else _signed(column, found)) for column in columns),
        cells=tuple(tuple(_cell(at.get((row, column))) for column in columns) for row in rows),
        caption=caption(run, frame, question, found.notes) if len(frame) else ("Nothing is planned.",),
    )


def _signed(column: tuple[str, ...], found: Flags) -> tuple[str, ...]:
    return (*column[:-1], f"{column[-1]}{found.of(column[-1])}")


def _cell(cell: Any) -> Cell | None:
    if cell is None:
        return None
    scale, digits = scale_of(cell)
    return Cell(
        cell.mean, cell.se, cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected,
        cell.status, cell.mark, scale, digits, interval=interval_of(cell), seeds=seeds_of(cell),
    )  # fmt: skip


def _fraction(run: RunData, task: str, fraction: float) -> str:
    """``10 % (n=23)``, with the number of training subjects, or its range over sequences."""
    counts = run.once("n_train_subjects", lambda: _train_subjects(run)).get((task, fraction), [])
    text = f"{100 * fraction:g} %"
    if not counts:
        return text
    return f"{text} (n={counts[0]})" if len(counts) == 1 else f"{text} (n={counts[0]}–{counts[-1]})"


def _train_subjects(run: RunData) -> dict[tuple[str, float], list[int]]:
    known = run.cells.dropna(subset=["fraction", "n_train_subjects"])
    numbers = known.groupby(["task", "fraction"])["n_train_subjects"].unique()
    places: list[Any] = list(numbers.index)
    return {place: sorted(map(int, found)) for place, found in zip(places, numbers, strict=True)}
