"""Every subject's score under every method, joined: what is behind a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import CUT, LINE, PAPER, cut_ends, focus, halves_of, name_rows, panels, tag
from mribench.report.looks import Look
from mribench.report.material import Material, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ACROSS = 3


def subject_dots(material: Material) -> list[Drawing]:
    """Return a panel per task and metric: a dot per subject and row, mean and 95 % interval over them."""
    shown = [(panel, _per_subject(material, panel)) for panel in material.panels]
    shown = [(panel, table) for panel, table in shown if table.notna().to_numpy().any()]
    if not shown:
        return []
    means = [_sentence(material, panel) for panel, _ in shown]
    drawing = Drawing(
        "subjects",
        "Per-subject scores",
        f"Dot plots, one per task and metric; methods as rows, score to the right. {' '.join(means)}",
        (
            "Each dot is a test subject, labels and seeds averaged; lines join a subject across methods.",
            (
                "Markers: mean with its 95 % interval over seeds and subjects, in-domain; "
                f"a subject without a score under every seed has no dot. {CUT}"
            ),
            material.claim.text,
        ),
        lambda: _draw(material, shown),
    )
    return [drawing]


def _per_subject(material: Material, panel: Panel) -> pd.DataFrame:
    """Return rows × subjects, in shown units; NaN where a seed has no score of the subject."""
    mine = material.of_panel(panel)
    means = mine.groupby(["row", "subject"])["value"].agg(lambda values: values.mean(skipna=False))
    present = [row for row in material.rows if row in set(mine["row"])]
    return means.unstack("subject").reindex(present) * panel.scale


def _sentence(material: Material, panel: Panel) -> str:
    intervals = {row: material.interval(row, panel) for row in material.rows}
    texts = [
        f"{row} {interval.mean * panel.scale:.{panel.digits}f}"
        for row, interval in intervals.items()
        if interval is not None and math.isfinite(interval.mean)
    ]
    return f"{panel.title}, {panel.label}: {', '.join(texts)}."


def _draw(material: Material, shown: list[tuple[Panel, pd.DataFrame]]) -> Figure:
    rows = material.in_order(str(row) for _, table in shown for row in table.index)
    figure, axes = panels(len(shown), _MOST_ACROSS, 3.1, 0.8 + 0.36 * len(rows))
    for ax, (panel, table) in zip(axes, shown, strict=True):
        places = [rows.index(row) for row in table.index]
        ax.plot(table.to_numpy(), places, color=LINE, linewidth=0.8, zorder=1)
        intervals = {str(row): material.interval(str(row), panel) for row in table.index}
        ends = [
            v * panel.scale for each in intervals.values() if each is not None for v in (each.low, each.high)
        ]
        ax.set_xlim(focus(table.to_numpy().ravel(), ends))
        for place, row in zip(places, table.index, strict=True):
            look: Look = material.looks[row]
            values = table.loc[row].dropna()
            dots = ax.scatter(
                values, [place] * len(values), s=13, color=look.colour, alpha=0.6, linewidths=0, zorder=2
            )
            tag(row, dots)
            interval = intervals[row]
            if interval is not None and math.isfinite(interval.mean):
                _mean(ax, row, interval, panel.scale, place, look)
        name_rows(ax, rows)
        ax.set_title(panel.title)
        ax.set_xlabel(panel.label)
    return figure


def _mean(ax: Axes, row: str, interval: Any, scale: float, place: int, look: Look) -> None:
    halves = [[half * scale] for half in halves_of(interval)]
    drawn = ax.errorbar(
        interval.mean * scale, place, xerr=halves if math.isfinite(interval.low) else None, fmt=look.marker,
        markersize=7, color=look.colour, markeredgecolor=PAPER, markeredgewidth=1.0, elinewidth=2.2,
        capsize=0, zorder=3,
    )  # fmt: skip
    tag(row, *drawn.get_children())
    both = (interval.low * scale, interval.high * scale)
    cut_ends(ax, row, both, place, look.colour, upright=False)
