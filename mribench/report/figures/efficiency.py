"""Label efficiency: score against the share of labelled subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import CUT, PAPER, cut_ends, focus, legend_of_rows, panels, tag
from mribench.report.material import Material, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPREAD = 0.012
"""Rows stand side by side, this share of the axis apart, so that their intervals can be told apart."""


def label_efficiency(material: Material) -> list[Drawing]:
    """Return curves over the fractions of each task that has several, with 95 % intervals."""
    frame = material.in_domain
    shown = []
    for panel in material.panels:
        cells = frame[frame["task"].eq(panel.task) & frame["metric"].eq(panel.metric)].dropna(subset=["mean"])
        if cells["fraction"].nunique() > 1:
            shown.append((panel, cells))
    if not shown:
        return []
    drawing = Drawing(
        "label-efficiency",
        "Label efficiency",
        "Line plots, one per task and metric: share of labelled training subjects on a logarithmic axis to "
        f"the right, score upwards, a line per method. {' '.join(_describe(p, cells) for p, cells in shown)}",
        (
            (
                "In-domain, sequences averaged; bars: 95 % intervals over seeds and subjects, side by side "
                f"at one fraction. {CUT} Rows without training are level."
            ),
            material.claim.text,
        ),
        lambda: _draw(material, shown),
    )
    return [drawing]


def _describe(panel: Panel, cells: pd.DataFrame) -> str:
    ends = cells[cells["fraction"].isin([cells["fraction"].min(), cells["fraction"].max()])]
    texts = []
    for row, mine in ends.sort_values("fraction").groupby("row", sort=False):
        means = [f"{mean * panel.scale:.{panel.digits}f}" for mean in mine["mean"]]
        texts.append(f"{row} {' to '.join(means)}")
    return f"{panel.task}, {panel.label}: {', '.join(texts)}."


def _draw(material: Material, shown: list[tuple[Panel, pd.DataFrame]]) -> Figure:
    figure, axes = panels(len(shown), 2, 4.4, 3.2)
    for ax, (panel, cells) in zip(axes, shown, strict=True):
        rows = material.in_order(cells["row"])
        places = zip(cells["row"], cells["fraction"], strict=True)
        every = [material.interval(row, panel, fraction) for row, fraction in places]
        ends = [panel.scale * end for each in every for end in (each.low, each.high)]
        ax.set_ylim(focus(cells["mean"] * panel.scale, ends))
        for place, row in enumerate(rows):
            mine = cells[cells["row"].eq(row)].sort_values("fraction")
            apart = (place - (len(rows) - 1) / 2) * _SPREAD
            span = cells["fraction"].max() / cells["fraction"].min()
            look = material.looks[row]
            at = mine["fraction"].astype(float).to_numpy() * 100 * span**apart
            intervals = [material.interval(row, panel, fraction) for fraction in mine["fraction"]]
            halves = np.array([(each.mean - each.low, each.high - each.mean) for each in intervals]).T
            drawn = ax.errorbar(
                at, mine["mean"] * panel.scale,
                yerr=halves * panel.scale, color=look.colour, marker=look.marker,
                markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.7, linewidth=1.6, elinewidth=1.1,
                label=row,
            )  # fmt: skip
            tag(row, *drawn.get_children())
            for along, each in zip(at, intervals, strict=True):
                both = (each.low * panel.scale, each.high * panel.scale)
                cut_ends(ax, row, both, along, look.colour, upright=True)
        ax.set_xscale("log")
        ticks = sorted(cells["fraction"].unique())
        ax.set_xticks([100 * tick for tick in ticks], [f"{100 * tick:g} %" for tick in ticks])
        ax.minorticks_off()
        ax.set_title(panel.task)
        ax.set_xlabel("labelled training subjects")
        ax.set_ylabel(panel.label)
    legend_of_rows(figure, axes, material.rows)
    return figure
