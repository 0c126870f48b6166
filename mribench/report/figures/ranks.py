"""Ranks of the methods, and how stable they are when seeds and subjects are drawn again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import PAPER, name_rows, panels, short, tag
from mribench.report.material import Material
from mribench.statistics.ranks import RESAMPLES, Ranks, compute_mean_ranks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ACROSS = 3


def rank_stability(material: Material) -> list[Drawing]:
    """Return mean ranks with bootstrap intervals, of each task and metric and over all of them.

    Rows that nothing was trained for are not ranked.
    """
    shown = _ranks(material)
    if not shown:
        return []
    drawing = Drawing(
        "ranks",
        "Stability of ranks",
        "Interval plots, one per task and metric and one over all: methods as rows, mean rank to the right, "
        f"1 is best. {' '.join(_sentence(*each) for each in shown.items())}",
        (
            (
                "Ranks of the means at the largest fraction of labels; bars: 95 % percentiles of "
                f"{RESAMPLES} bootstrap resamples of subjects and seeds; in per cent: how often a method is "
                "first. Rows that need no training are not ranked."
            ),
            *_agreements(shown),
            material.claim.text,
        ),
        lambda: _draw(material, shown),
    )
    return [drawing]


def _ranks(material: Material) -> dict[str, Ranks]:
    """Return the ranks by what they are about."""
    parts = {panel: material.of_panel(panel) for panel in material.panels}
    parts = {panel: rows[rows["seed"].ge(0)] for panel, rows in parts.items()}
    by_panel = {f"{panel.task} · {panel.metric}": _of(material, rows) for panel, rows in parts.items()}
    kept = {name: ranks for name, ranks in by_panel.items() if ranks is not None}
    if len(kept) > 1:  # at the largest fraction of each task
        every = _of(material, pd.concat(parts.values()))
        kept |= {"all together": every} if every is not None else {}
    return kept


def _of(material: Material, rows: pd.DataFrame) -> Ranks | None:
    rows = rows[rows["row"].isin(rows.loc[rows["value"].notna(), "row"])]
    if rows["row"].nunique() < 2:
        return None
    cohorts = {task: spec.dataset for task, spec in material.run.manifest.tasks.items()}
    ranks = compute_mean_ranks(
        rows.assign(cohort=rows["task"].map(cohorts).astype(str)), ["task", "metric"],
        higher_is_better={panel.metric: panel.higher_is_better for panel in material.panels},
        rng=np.random.Generator(np.random.PCG64(0)), cohort="cohort",
    )  # fmt: skip
    return ranks if ranks.n_cells else None


def _agreements(shown: dict[str, Ranks]) -> tuple[str, ...]:
    texts = [
        f"{name} {ranks.tau_mean:.2f} [{ranks.tau_low:.2f}, {ranks.tau_high:.2f}]"
        for name, ranks in shown.items()
        if math.isfinite(ranks.tau_mean)
    ]
    return (f"Kendall's τ of the resampled orders with the actual one: {'; '.join(texts)}.",) if texts else ()


def _sentence(name: str, ranks: Ranks) -> str:
    texts = [
        f"{cell.row} {cell.mean_rank:.2g} ({cell.low:.2g} to {cell.high:.2g})"
        for cell in ranks.methods.itertuples(index=False)
    ]
    return f"{name}: {', '.join(texts)}."


def _draw(material: Material, shown: dict[str, Ranks]) -> Figure:
    rows = material.in_order(row for ranks in shown.values() for row in ranks.methods["row"])
    figure, axes = panels(len(shown), _MOST_ACROSS, 3.1, 1.0 + 0.34 * len(rows))
    for ax, (name, ranks) in zip(axes, shown.items(), strict=True):
        methods = ranks.methods.set_index("row")
        for place, row in enumerate(rows):
            if row not in methods.index:
                continue
            look, cell = material.looks[row], methods.loc[row]
            bar = ax.plot(
                [cell["low"], cell["high"]], [place, place], color=look.colour, linewidth=2.2, zorder=2
            )
            point = ax.plot(
                cell["mean_rank"], place, marker=look.marker, markersize=7, color=look.colour,
                markeredgecolor=PAPER, markeredgewidth=1.0, zorder=3,
            )  # fmt: skip
            text = ax.annotate(
                f"{100 * cell['p_first']:.0f} %", (1.0, place), xycoords=("axes fraction", "data"),
                fontsize=7.5, xytext=(2, 0), textcoords="offset points", va="center",
            )  # fmt: skip
            tag(row, *bar, *point, text)
        name_rows(ax, rows)
        ax.set_xlim(0.7, len(rows) + 0.3)
        ax.set_xticks(range(1, len(rows) + 1))
        ax.set_title(short(name, 30))
        ax.set_xlabel("mean rank (1 is best)")
    return figure
