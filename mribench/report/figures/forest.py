"""Differences to one method, with intervals: a forest plot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import CUT, MUTED, PAPER, cut_ends, focus, name_rows, panels, short, tag
from mribench.report.material import Material, Panel
from mribench.statistics.difference import ENOUGH_SEEDS, Difference, estimate_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ACROSS = 3
_FIRSTS = "the first of its profile"
_WHICH = ", the file's first method"
Differences = dict[str, Difference]


def forest(material: Material) -> list[Drawing]:
    """Return the differences of every row to the first one, per task and metric, with 95 % intervals."""
    rows = material.rows
    if len(rows) < 2:
        return []
    bases = _bases(material)
    base = rows[0] if len(set(bases.values())) == 1 else _FIRSTS
    shown = [(panel, found) for panel in material.panels if (found := _differences(material, panel, bases))]
    if not shown:
        return []
    drawing = Drawing(
        "forest",
        f"Differences to {short(base)}",
        f"Forest plots, one per task and metric: each method minus {base}, with 95 % intervals and a line at "
        f"no difference. {' '.join(_sentence(*each) for each in shown)}",
        (
            (
                f"Each method minus {base}{_WHICH if base != _FIRSTS else ''}, over the seeds and subjects "
                "that both have; 95 % intervals of the crossed mean, not corrected for their number."
            ),
            f"Hollow: the interval holds 0. {CUT}",
            "A row that needs no training stands at every seed of the other.",
            _claim(shown, material),
        ),
        lambda: _draw(material, shown, base),
    )
    return [drawing]


def _bases(material: Material) -> dict[str, str]:
    """Return what each row is compared with: the first row of its profile."""
    first: dict[str, str] = {}
    for row in material.rows:
        first.setdefault(material.profiles[row], row)
    return {row: first[material.profiles[row]] for row in material.rows}


def _differences(material: Material, panel: Panel, bases: dict[str, str]) -> Differences:
    groups = dict(iter(material.of_panel(panel).groupby("row", sort=False)))
    compared = {
        row: estimate_difference(groups[row], groups[base])
        for row, base in bases.items()
        if row in groups and base in groups and row != base
    }
    return {row: each for row, each in compared.items() if math.isfinite(each.difference)}


def _claim(shown: list[tuple[Panel, Differences]], material: Material) -> str:
    seeds = max(each.n_seeds for _, compared in shown for each in compared.values())
    return "" if seeds >= ENOUGH_SEEDS else material.claim.text


def _sentence(panel: Panel, compared: Differences) -> str:
    texts = []
    for row, each in compared.items():
        low, mean, high = (panel.scale * value for value in (each.low, each.difference, each.high))
        ends = f" ({low:.{panel.digits}f} to {high:.{panel.digits}f})" if math.isfinite(low) else ""
        texts.append(f"{row} {mean:+.{panel.digits}f}{ends}")
    return f"{panel.title}, {panel.label}: {', '.join(texts)}."


def _draw(material: Material, shown: list[tuple[Panel, Differences]], base: str) -> Figure:
    rows = material.in_order(row for _, compared in shown for row in compared)
    figure, axes = panels(len(shown), _MOST_ACROSS, 3.1, 1.2 + 0.34 * len(rows))
    for ax, (panel, compared) in zip(axes, shown, strict=True):
        ax.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
        ends = [value * panel.scale for each in compared.values() for value in (each.low, each.high)]
        ax.set_xlim(focus([0.0, *(each.difference * panel.scale for each in compared.values())], ends))
        for row, each in compared.items():
            place, look = rows.index(row), material.looks[row]
            half = (each.high - each.difference) * panel.scale
            clear = each.low > 0 or each.high < 0
            drawn = ax.errorbar(
                each.difference * panel.scale, place, xerr=half if math.isfinite(half) else None,
                fmt=look.marker, markersize=6.5, color=look.colour, elinewidth=1.8, capsize=0,
                markerfacecolor=look.colour if clear else PAPER, markeredgewidth=1.5, zorder=3,
            )  # fmt: skip
            tag(row, *drawn.get_children())
            both = (each.low * panel.scale, each.high * panel.scale)
            cut_ends(ax, row, both, place, look.colour, upright=False)
        name_rows(ax, rows)
        ax.set_title(panel.title)
        better = "right" if panel.higher_is_better else "left"
        named = base if base == _FIRSTS else short(base, 16)
        ax.set_xlabel(f"{panel.label[:-2]}: difference to {named}\n({better} is better)")
    return figure
