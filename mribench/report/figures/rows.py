"""Plots with a row per method: differences to one of them (a forest plot), and what is behind a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import (
    CUT,
    LINE,
    MUTED,
    PAPER,
    cut_ends,
    focus,
    name_rows,
    panels,
    short,
    tag,
)
from mribench.report.looks import Look
from mribench.report.material import Material, Panel
from mribench.statistics.difference import ENOUGH_SEEDS, Difference, estimate_difference
from mribench.statistics.ranges import SetRange

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ACROSS = 3
_FIRSTS = "the first of its profile"
_WHICH = ", the file's first method"
Differences = dict[str, Difference]


def forest(material: Material) -> list[Drawing]:
    """Return the differences of every row to the first one, per task and metric, with 95 % intervals."""
    bases = _choose_bases(material)
    compared = ((panel, _compare(material, panel, bases)) for panel in material.panels)
    shown = [(panel, differences) for panel, differences in compared if differences]
    if not shown:
        return []
    seeds = max(each.n_seeds for _, differences in shown for each in differences.values())
    base = material.rows[0] if len(set(bases.values())) == 1 else _FIRSTS
    drawing = Drawing(
        "forest",
        f"Differences to {short(base)}",
        f"Forest plots, one per task and metric: each method minus {base}, with 95 % intervals and a line at "
        f"no difference. {' '.join(_describe_differences(*each) for each in shown)}",
        (
            (
                f"Each method minus {base}{_WHICH if base != _FIRSTS else ''}, over the seeds and subjects "
                "that both have; 95 % intervals of the crossed mean, not corrected for their number."
            ),
            f"Hollow: the interval holds 0. {CUT}",
            "A row that needs no training stands at every seed of the other.",
            material.claim.text if seeds < ENOUGH_SEEDS else "",
        ),
        lambda: _draw_forest(material, shown, base),
    )
    return [drawing]


def _choose_bases(material: Material) -> dict[str, str]:
    """Return what each row is compared with: the first row of its profile."""
    first: dict[str, str] = {}
    for row in material.rows:
        first.setdefault(material.profiles[row], row)
    return {row: first[material.profiles[row]] for row in material.rows}


def _compare(material: Material, panel: Panel, bases: dict[str, str]) -> Differences:
    groups = dict(iter(material.of_panel(panel).groupby("row", sort=False)))
    compared = {
        row: estimate_difference(groups[row], groups[base])
        for row, base in bases.items()
        if row in groups and base in groups and row != base
    }
    return {row: each for row, each in compared.items() if math.isfinite(each.difference)}


def _describe_differences(panel: Panel, compared: Differences) -> str:
    texts = []
    for row, each in compared.items():
        low, mean, high = (panel.scale * value for value in (each.low, each.difference, each.high))
        ends = f" ({low:.{panel.digits}f} to {high:.{panel.digits}f})" if math.isfinite(low) else ""
        texts.append(f"{row} {mean:+.{panel.digits}f}{ends}")
    return f"{panel.title}, {panel.label}: {', '.join(texts)}."


def _draw_forest(material: Material, shown: list[tuple[Panel, Differences]], base: str) -> Figure:
    rows = material.in_order(row for _, compared in shown for row in compared)
    figure, axes = panels(len(shown), _MOST_ACROSS, 3.1, 1.2 + 0.34 * len(rows))
    for ax, (panel, compared) in zip(axes, shown, strict=True):
        ax.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
        ends = [value * panel.scale for each in compared.values() for value in (each.low, each.high)]
        ax.set_xlim(focus([0.0, *(each.difference * panel.scale for each in compared.values())], ends))
        for row, each in compared.items():
            place, look = rows.index(row), material.looks[row]
            mean, low, high = (panel.scale * value for value in (each.difference, each.low, each.high))
            clear = each.low > 0 or each.high < 0
            _draw_interval(
                ax, row, mean, (low, high), place, look, markersize=6.5, elinewidth=1.8,
                markerfacecolor=look.colour if clear else PAPER, markeredgewidth=1.5,
            )  # fmt: skip
        name_rows(ax, rows)
        ax.set_title(panel.title)
        better = "right" if panel.higher_is_better else "left"
        named = base if base == _FIRSTS else short(base, 16)
        ax.set_xlabel(f"{panel.label[:-2]}: difference to {named}\n({better} is better)")
    return figure


def subject_dots(material: Material) -> list[Drawing]:
    """Return a panel per task and metric: a dot per subject and row, mean and 95 % interval over them.

    Metrics of whole sets have none: a subject's component of one is no score of the subject.
    """
    of_people = [panel for panel in material.panels if not isinstance(panel.value_range, SetRange)]
    shown = [(panel, _average_seeds(material, panel)) for panel in of_people]
    shown = [(panel, table) for panel, table in shown if table.notna().to_numpy().any()]
    if not shown:
        return []
    means = [_describe_means(material, panel) for panel, _ in shown]
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
        lambda: _draw_dots(material, shown),
    )
    return [drawing]


def _average_seeds(material: Material, panel: Panel) -> pd.DataFrame:
    """Return rows × subjects, in shown units; NaN where a seed has no score of the subject."""
    mine = material.of_panel(panel)
    means = mine.groupby(["row", "subject"])["value"].agg(lambda values: values.mean(skipna=False))
    present = [row for row in material.rows if row in set(mine["row"])]
    return means.unstack("subject").reindex(present) * panel.scale


def _describe_means(material: Material, panel: Panel) -> str:
    intervals = {row: material.interval(row, panel) for row in material.rows}
    texts = [
        f"{row} {interval.mean * panel.scale:.{panel.digits}f}"
        for row, interval in intervals.items()
        if math.isfinite(interval.mean)
    ]
    return f"{panel.title}, {panel.label}: {', '.join(texts)}."


def _draw_dots(material: Material, shown: list[tuple[Panel, pd.DataFrame]]) -> Figure:
    rows = material.in_order(str(row) for _, table in shown for row in table.index)
    figure, axes = panels(len(shown), _MOST_ACROSS, 3.1, 0.8 + 0.36 * len(rows))
    for ax, (panel, table) in zip(axes, shown, strict=True):
        places = [rows.index(row) for row in table.index]
        ax.plot(table.to_numpy(), places, color=LINE, linewidth=0.8, zorder=1)
        intervals = {str(row): material.interval(str(row), panel) for row in table.index}
        ends = [panel.scale * end for each in intervals.values() for end in (each.low, each.high)]
        ax.set_xlim(focus(table.to_numpy().ravel(), ends))
        for place, row in zip(places, table.index, strict=True):
            look = material.looks[row]
            values = table.loc[row].dropna()
            dots = ax.scatter(
                values, [place] * len(values), s=13, color=look.colour, alpha=0.6, linewidths=0, zorder=2
            )
            tag(row, dots)
            each = intervals[row]
            if math.isfinite(each.mean):
                mean, low, high = (panel.scale * value for value in (each.mean, each.low, each.high))
                _draw_interval(
                    ax, row, mean, (low, high), place, look, markersize=7, markeredgecolor=PAPER,
                    markeredgewidth=1.0, elinewidth=2.2,
                )  # fmt: skip
        name_rows(ax, rows)
        ax.set_title(panel.title)
        ax.set_xlabel(panel.label)
    return figure


def _draw_interval(
    ax: Axes, row: str, mean: float, ends: tuple[float, float], place: float, look: Look, **options: Any
) -> None:
    """Draw a mean and its interval, with options of ``Axes.errorbar``, as far as the axis goes."""
    halves = [[mean - ends[0]], [ends[1] - mean]] if math.isfinite(ends[0]) else None
    options = {"fmt": look.marker, "color": look.colour, "capsize": 0, "zorder": 3, **options}
    tag(row, *ax.errorbar(mean, place, xerr=halves, **options).get_children())
    cut_ends(ax, row, ends, place, look.colour, upright=False)
