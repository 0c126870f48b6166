"""Layouts that a benchmark file declares: which cells, and what stands in rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.report.tables.flags import Flags
from mribench.results.cells import Question, cell_frame, metric_label
from mribench.results.load import RunData
from mribench.results.manifest import Layout, PlannedTask
from mribench.statistics.marking import marks_sentence

Fraction = Callable[[str, float], str]
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


def layouts(run: RunData) -> Mapping[str, Layout]:
    """Return the layouts that the benchmark files of a run declare, by name."""
    return run.manifest.report.layouts


def question_of(layout: Layout) -> Question:
    """Return what a layout asks of the results."""
    sequences = layout.sequences
    return Question(
        in_domain=layout.in_domain,
        own_sequence=sequences != "all",
        average_sequences=sequences == "averaged",
    )


def layout_frame(run: RunData, name: str) -> pd.DataFrame:
    """Return the cells that a layout shows.

    Raises:
        MRIBenchError: when several of them would stand in one place.
    """
    layout = layouts(run)[name]
    frame = _places(run, layout)
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
            f"layout '{name}': several cells in one place, of different {' and '.join(several)}",
            f"name {several[0]} in its rows or columns, or choose one",
        )
    return frame


def _check(tasks: Mapping[str, PlannedTask], layout: Layout) -> None:
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


def _places(run: RunData, layout: Layout) -> pd.DataFrame:
    """Return the cells in the places that a layout shows, of all methods.

    Raises:
        MRIBenchError: for a choice that the results do not have.
    """
    _check(run.manifest.tasks, layout)
    frame = cell_frame(run, question_of(layout))
    for choice, column in _CHOICES.items():
        if chosen := getattr(layout, choice):
            frame = frame[frame[column].isin(chosen)]
    return frame


def with_hidden_rows(
    caption: tuple[str, ...], run: RunData, name: str, frame: pd.DataFrame
) -> tuple[str, ...]:
    """Return the caption of a layout, which says that rows it leaves out have been compared too.

    Marks are not made anew for the rows shown: leaving out the best would make another the best, and leaving
    out any would make the family of tests, and so the correction, smaller.

    Args:
        caption: of the cells shown.
        run: the results.
        name: of the layout.
        frame: its cells, from ``layout_frame``.
    """
    sentence = marks_sentence(set(frame["mark_style"]))
    places = _places(run, layouts(run)[name])
    compared = list(places.loc[places["mark_style"].ne(""), "row"].unique())
    hidden = [row for row in compared if row not in set(frame["row"])]
    if not sentence or not hidden:
        return caption
    names = ", ".join(hidden[:_MOST_NAMES])
    more = f" and {len(hidden) - _MOST_NAMES} more" if len(hidden) > _MOST_NAMES else ""
    said = (
        f"Marks are those among all {len(compared)} rows, {len(hidden)} of them not shown ({names}{more}):"
        " where only those are best, nothing is bold."
    )
    after = caption.index(sentence) + 1
    return (*caption[:after], said, *caption[after:])


def header_of(
    dimensions: Sequence[str], found: Flags, fraction: Fraction, *, signed_by_table: int
) -> Callable[[Any], tuple[str, ...]]:
    """Return the function that makes the headers of a cell.

    Args:
        dimensions: what they say, outermost first.
        found: signs of rows.
        fraction: text of a task's fraction.
        signed_by_table: the place at which the table itself adds the signs of a method.
    """

    def text(place: int, dimension: str, cell: Any) -> str:
        if dimension == "metric":
            return metric_label(cell)
        if dimension == "fraction":
            return fraction(cell.task, cell.fraction)
        value = str(getattr(cell, _COLUMN[dimension]))
        return value + found.of(value) if dimension == "method" and place != signed_by_table else value

    return lambda cell: tuple(text(place, dimension, cell) for place, dimension in enumerate(dimensions))


def in_order(
    frame: pd.DataFrame, dimensions: Sequence[str], header: Callable[[Any], tuple[str, ...]]
) -> list[tuple[str, ...]]:
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
