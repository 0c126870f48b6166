"""The distributions of what was drawn: a histogram for each parameter and sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from mribench.views.canvas import FONT, Canvas, use_plain_style
from mribench.views.histograms import (
    HistogramCell,
    HistogramColumn,
    HistogramPart,
    make_cell,
    split_distributions,
)
from mribench.views.numbers import cut, number
from mribench.views.samples import MadeSamples
from mribench.views.sources import Source

CELL, TALL, GAP, MARGIN = 1.15, 0.3, 0.14, 0.2
LABEL, TITLE, HEADER, BLOCK, AXIS, FOOT = 1.5, 0.35, 0.22, 0.25, 0.4, 0.2
MOST_COLUMNS = 12
"""More parameters than these are named, and not drawn."""
_PALETTE = ("#4477aa", "#ee6677", "#228833", "#aa8800", "#66aabb", "#aa3377", "#555555")
_SIZES = {"title": 10.0, "header": 7.5, "label": 7.5, "tick": 6.0}


def draw_distributions(drawn: Sequence[tuple[Source, MadeSamples]], note: str) -> Canvas:
    """Draw the distributions of the parameters.

    Args:
        drawn: what was drawn from each source.
        note: where it comes from, for the foot.
    """
    parts = split_distributions(drawn)
    with use_plain_style():
        wide = max((min(MOST_COLUMNS, len(part.columns)) for part in parts), default=0)
        width = max(6.0, 2 * MARGIN + LABEL + wide * (CELL + GAP))
        height = MARGIN + FOOT + MARGIN + sum(map(_compute_height, parts))
        canvas = Canvas(width, height, "white", "#202020")
        colours = _pick_colours(parts)
        top = MARGIN
        for part in parts:
            top = _draw_part(canvas, part, colours, top)
        canvas.text(MARGIN, top, note, _SIZES["label"])
    return canvas


def _pick_colours(parts: Sequence[HistogramPart]) -> dict[str, str]:
    names = sorted({row.sequence for part in parts for row in part.rows} - {""})
    return {name: _PALETTE[place % len(_PALETTE)] for place, name in enumerate(names)}


def _describe_left_out(part: HistogramPart) -> str:
    names = [column.title for column in part.columns[MOST_COLUMNS:]]
    return f"not drawn: {', '.join(names)}" if names else ""


def _compute_height(part: HistogramPart) -> float:
    rows = len(part.rows) * (TALL + 0.04) + len({row.label for row in part.rows}) * BLOCK
    return TITLE + HEADER + rows + AXIS + (HEADER if _describe_left_out(part) else 0)


def _draw_part(canvas: Canvas, part: HistogramPart, colours: dict[str, str], top: float) -> float:
    """Draw a part; return where the next one begins."""
    canvas.text(MARGIN, top, part.title, _SIZES["title"], weight="bold")
    top += TITLE
    columns = part.columns[:MOST_COLUMNS]
    lefts = [MARGIN + LABEL + place * (CELL + GAP) for place in range(len(columns))]
    for left, column in zip(lefts, columns, strict=True):
        canvas.text(left, top, cut(column.title, 20), _SIZES["header"], weight="bold")
    top += HEADER
    lowest: dict[str, Axes] = {}
    before = None
    for row in part.rows:
        if row.label != before:
            canvas.text(MARGIN, top + 0.06, cut(row.label, 120), _SIZES["header"], weight="bold")
            top, before = top + BLOCK, row.label
        if row.sequence:
            label = f"{cut(row.sequence, 16)}  {100 * row.share:.0f} %"
            canvas.text(MARGIN, top + 0.1, label, _SIZES["label"])
        for left, column in zip(lefts, columns, strict=True):
            if column.title in row.values:
                axes = canvas.axes(left, top, CELL, TALL)
                cell = make_cell(row.values[column.title], column)
                _draw_histogram(axes, cell, column, colours.get(row.sequence, "#555555"))
                lowest[column.title] = axes
        top += TALL + 0.04
    for column in columns:
        _scale(lowest[column.title], column)
    left_out = _describe_left_out(part)
    if left_out:
        canvas.text(MARGIN, top + AXIS - 0.1, cut(left_out, 150), _SIZES["label"])
    return top + AXIS + (HEADER if left_out else 0)


def _draw_histogram(axes: Axes, cell: HistogramCell, column: HistogramColumn, colour: str) -> None:
    edges = column.edges
    axes.bar(edges[:-1], cell.counts, np.diff(edges), align="edge", color=colour, linewidth=0)
    if column.log:
        axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(1, cell.counts.max()) * (1.05 if cell.often is None else 1.7))
    if cell.often is not None:
        said = f"{100 * cell.share:.0f} % are {number(cell.often)}"
        axes.text(
            1, 1, said, transform=axes.transAxes, ha="right", va="top", fontsize=_SIZES["tick"], family=FONT
        )
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_linewidth(0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(NullLocator())
        axis.set_minor_locator(NullLocator())


def _scale(axes: Axes, column: HistogramColumn) -> None:
    """Write the scale under the lowest histogram of a column."""
    axes.xaxis.set_major_locator(FixedLocator(list(column.ticks)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([number(tick) for tick in column.ticks], fontsize=_SIZES["tick"], family=FONT)
    axes.tick_params(axis="x", length=2, pad=1.5)
    labels = axes.get_xticklabels()
    if len(labels) > 1:
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
