"""Mean ranks of the methods: how stable they are, and which of them are not separated."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import INK, MUTED, PAPER, hide_frame, name_rows, panels, short, tag
from mribench.report.material import Material, Panel
from mribench.statistics.blocks import (
    ALPHA,
    LEAST_BLOCKS,
    Blocks,
    CriticalDifference,
    compute_critical_difference,
    form_independent_blocks,
    group_not_separated,
)
from mribench.statistics.ranks import RESAMPLES, Ranks, compute_mean_ranks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ACROSS = 3
_SMALLEST_P = 0.001
_LONGEST = 18
_MARGIN = 0.75
"""Room for names on either side, as a share of the axis."""
_ABOVE_IN, _FIRST_IN, _BAR_IN, _LINE_IN = 0.75, 0.16, 0.13, 0.21
"""Inches above the axis, from its bars to the first name, between two bars, and between two names."""
_SEEDS = (
    "Block: a train seed with test subjects of its own, at the largest fraction of labels; no two blocks "
    "share a model or a subject, so that the ranks speak of methods, on these datasets and label subsets. "
    "Few blocks find large differences only; the crossed test of the tables uses all scores."
)
_SUBJECTS = (
    "Block: a test subject, seeds averaged, at the largest fraction of labels, in-domain. All blocks share "
    "the same trained models: this speaks of these checkpoints on other subjects, not of methods, which with "
    "other seeds may rank otherwise. For methods each block needs a seed of its own, and "
    f"{LEAST_BLOCKS} of them."
)
_BLOCK = (
    "A block is a test subject; from five seeds on, a seed with subjects of its own: ranks over blocks that "
    "share models or subjects, as tasks do, would count the same luck several times."
)
_TESTS = (
    "Mean ranks over blocks, 1 is best; a bar joins methods that are not separated: less than the critical "
    f"difference (CD, Nemenyi, level {ALPHA:g}) apart, or all where Friedman's test finds nothing. Joined is "
    "not equal; diagrams are not corrected for their number, and tasks that share models or subjects are not "
    "pooled. Rows that need no training are not ranked (Demšar 2006, JMLR 7:1-30)."
)


@dataclass(frozen=True)
class Diagram:
    """A panel with its blocks and tests."""

    panel: Panel
    blocks: Blocks
    ranked: CriticalDifference


def rank_stability(material: Material) -> list[Drawing]:
    """Return mean ranks with bootstrap intervals, of each task and metric and over all of them.

    Rows that nothing was trained for are not ranked.
    """
    shown = _list_ranks(material)
    if not shown:
        return []
    drawing = Drawing(
        "ranks",
        "Stability of ranks",
        "Interval plots, one per task and metric and one over all: methods as rows, mean rank to the right, "
        f"1 is best. {' '.join(_describe_ranks(*each) for each in shown.items())}",
        (
            (
                "Ranks of the means at the largest fraction of labels; bars: 95 % percentiles of "
                f"{RESAMPLES} bootstrap resamples of subjects and seeds; in per cent: how often a method is "
                "first. Rows that need no training are not ranked."
            ),
            *_describe_agreement(shown),
            material.claim.text,
        ),
        lambda: _draw_ranks(material, shown),
    )
    return [drawing]


def _list_ranks(material: Material) -> dict[str, Ranks]:
    """Return the ranks by what they are about."""
    parts = {panel: material.of_panel(panel) for panel in material.panels}
    parts = {panel: rows[rows["seed"].ge(0)] for panel, rows in parts.items()}
    by_panel = {panel.name: _compute_ranks(material, rows) for panel, rows in parts.items()}
    kept = {name: ranks for name, ranks in by_panel.items() if ranks is not None}
    if len(kept) > 1:  # at the largest fraction of each task
        every = _compute_ranks(material, pd.concat(parts.values()))
        kept |= {"all together": every} if every is not None else {}
    return kept


def _compute_ranks(material: Material, rows: pd.DataFrame) -> Ranks | None:
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


def _describe_agreement(shown: dict[str, Ranks]) -> tuple[str, ...]:
    texts = [
        f"{name} {ranks.tau_mean:.2f} [{ranks.tau_low:.2f}, {ranks.tau_high:.2f}]"
        for name, ranks in shown.items()
        if math.isfinite(ranks.tau_mean)
    ]
    return (f"Kendall's τ of the resampled orders with the actual one: {'; '.join(texts)}.",) if texts else ()


def _describe_ranks(name: str, ranks: Ranks) -> str:
    texts = [
        f"{cell.row} {cell.mean_rank:.2g} ({cell.low:.2g} to {cell.high:.2g})"
        for cell in ranks.methods.itertuples(index=False)
    ]
    return f"{name}: {', '.join(texts)}."


def _draw_ranks(material: Material, shown: dict[str, Ranks]) -> Figure:
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


def critical_differences(material: Material) -> list[Drawing]:
    """Return a diagram per task and metric with enough independent blocks."""
    shown = [each for each in _diagrams(material) if not each.ranked.reason]
    if not shown:
        return []
    scopes = {each.blocks.scope for each in shown}
    kinds = [("methods", _SEEDS), ("these checkpoints", _SUBJECTS)]
    drawing = Drawing(
        "critical-difference",
        "Critical differences of ranks",
        "Critical-difference diagrams, one per task and metric: mean ranks on an axis, 1 is best, bars join "
        f"methods that are not separated. {' '.join(map(_describe_diagram, shown))}",
        (
            _TESTS,
            *(
                text if len(scopes) == 1 else f"{_names(shown, scope)}: {text}"
                for scope, text in kinds if scope in scopes
            ),
            why_no_diagram(material),
            material.claim.text,
        ),
        lambda: _draw_diagrams(material, shown),
    )  # fmt: skip
    return [drawing]


def why_no_diagram(material: Material) -> str:
    """Return which tasks and metrics have no diagram, and why; or an empty string."""
    texts = [f"{each.panel.name}: {each.ranked.reason}" for each in _diagrams(material) if each.ranked.reason]
    return f"No critical differences of {'; '.join(texts)}. {_BLOCK}" if texts else ""


def _names(shown: list[Diagram], scope: str) -> str:
    return ", ".join(each.panel.name for each in shown if each.blocks.scope == scope)


@functools.lru_cache(maxsize=1)  # the figure and the notes of the page ask for the same ones
def _diagrams(material: Material) -> tuple[Diagram, ...]:
    return tuple(_diagram(material, panel) for panel in material.panels)


def _diagram(material: Material, panel: Panel) -> Diagram:
    means = material.of_panel(panel)
    groups = dict(iter(means[means["seed"].ge(0)].groupby("row", sort=False)))
    blocks = form_independent_blocks({row: groups[row] for row in material.rows if row in groups})
    difference = compute_critical_difference(
        blocks.scores, blocks.rests_on, higher_is_better=panel.higher_is_better, alpha=ALPHA
    )
    return Diagram(panel, blocks, difference)


def _describe_diagram(each: Diagram) -> str:
    ranks = ", ".join(f"{row} {rank:.2f}" for row, rank in each.ranked.mean_ranks.items())
    sets = "; ".join(", ".join(names) for names in group_not_separated(each.ranked)) or "none"
    return (
        f"{each.panel.name}, {each.ranked.n_blocks} blocks: mean ranks {ranks}; critical difference "
        f"{each.ranked.critical_difference:.2f}; Friedman p {_p(each.ranked.p)}; not separated: {sets}."
    )


def _p(p: float) -> str:
    return f"<{_SMALLEST_P:g}" if p < _SMALLEST_P else f"{p:.3f}"


def _draw_diagrams(material: Material, shown: list[Diagram]) -> Figure:
    lines = max(math.ceil(len(each.ranked.mean_ranks) / 2) for each in shown)
    bars = max(len(group_not_separated(each.ranked)) for each in shown)
    depth = _FIRST_IN + _BAR_IN * bars + _LINE_IN * lines
    figure, axes = panels(len(shown), 2, 4.4, _ABOVE_IN + depth + 0.45)
    for ax, each in zip(axes, shown, strict=True):
        ranks = each.ranked.mean_ranks
        span = max(1, len(ranks) - 1)
        ax.set_xlim(1 - _MARGIN * span, len(ranks) + _MARGIN * span)
        ax.set_ylim(-depth, _ABOVE_IN)
        hide_frame(ax)
        _draw_axis(ax, len(ranks), each.ranked.critical_difference)
        for number, names in enumerate(group_not_separated(each.ranked)):
            at = -_BAR_IN * (number + 1)
            ends = [ranks[names[0]] - 0.012 * span, ranks[names[-1]] + 0.012 * span]
            ax.plot(ends, [at, at], color=INK, linewidth=4, solid_capstyle="butt", zorder=3)
        _draw_names(ax, material, each, _FIRST_IN + _BAR_IN * bars)
        ax.set_title(short(each.panel.name, 40))
        what = "seeds, each with its own subjects" if each.blocks.scope == "methods" else "subjects"
        ax.set_xlabel(f"{each.ranked.n_blocks} blocks: {what}; Friedman p {_p(each.ranked.p)}")
    return figure


def _draw_axis(ax: Axes, count: int, limit: float) -> None:
    """Draw the axis of ranks, and the critical difference as a ruler above it."""
    ax.plot([1, count], [0, 0], color=MUTED, linewidth=1.0, zorder=2)
    for rank in range(1, count + 1):
        ax.plot([rank, rank], [0, 0.07], color=MUTED, linewidth=1.0, zorder=2)
        ax.text(rank, 0.1, str(rank), ha="center", va="bottom", fontsize=8, color=MUTED)
    end = min(1 + limit, count + _MARGIN * (count - 1))
    ax.plot([1, end], [0.42, 0.42], color=INK, linewidth=1.2, zorder=2)
    for place in (1, end):
        ax.plot([place, place], [0.37, 0.47], color=INK, linewidth=1.2, zorder=2)
    ax.text((1 + end) / 2, 0.5, f"CD {limit:.2f}", ha="center", va="bottom", fontsize=8)


def _draw_names(ax: Axes, material: Material, each: Diagram, first: float) -> None:
    """Lead from each mean rank to a name beside the axis: the better half on the left, the best on top."""
    ranks = each.ranked.mean_ranks
    half = math.ceil(len(ranks) / 2)
    edges = (1 - 0.06 * (len(ranks) - 1), len(ranks) + 0.06 * (len(ranks) - 1))
    for place, (row, rank) in enumerate(ranks.items()):
        left = place < half
        at = -first - _LINE_IN * (place if left else len(ranks) - 1 - place)
        edge, look = edges[0 if left else 1], material.looks[str(row)]
        lead = ax.plot([rank, rank, edge], [0, at, at], color=look.colour, linewidth=1.1, zorder=1)
        point = ax.plot(
            rank, 0, marker=look.marker, markersize=6, color=look.colour, markeredgecolor=PAPER, zorder=4
        )
        name = ax.annotate(
            f"{short(str(row), _LONGEST)} ({rank:.2f})", (edge, at), xytext=(-3 if left else 3, 0),
            textcoords="offset points", ha="right" if left else "left", va="center", fontsize=8,
        )  # fmt: skip
        tag(str(row), *lead, *point, name)
