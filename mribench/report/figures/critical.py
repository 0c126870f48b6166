"""Critical-difference diagrams over blocks that share nothing: mean ranks, and what they leave open."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import INK, MUTED, PAPER, panels, short, tag
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    found: CriticalDifference

    @property
    def name(self) -> str:
        """Task and metric."""
        return f"{self.panel.task} · {self.panel.metric}"


def critical_differences(material: Material) -> list[Drawing]:
    """Return a diagram per task and metric with enough independent blocks."""
    shown = [each for each in _diagrams(material) if not each.found.reason]
    if not shown:
        return []
    scopes = {each.blocks.scope for each in shown}
    kinds = [("methods", _SEEDS), ("these checkpoints", _SUBJECTS)]
    drawing = Drawing(
        "critical-difference",
        "Critical differences of ranks",
        "Critical-difference diagrams, one per task and metric: mean ranks on an axis, 1 is best, bars join "
        f"methods that are not separated. {' '.join(map(_sentence, shown))}",
        (
            _TESTS,
            *(
                text if len(scopes) == 1 else f"{_names(shown, scope)}: {text}"
                for scope, text in kinds if scope in scopes
            ),
            why_no_diagram(material),
            material.claim.text,
        ),
        lambda: _draw(material, shown),
    )  # fmt: skip
    return [drawing]


def why_no_diagram(material: Material) -> str:
    """Return which tasks and metrics have no diagram, and why; or an empty string."""
    texts = [f"{each.name}: {each.found.reason}" for each in _diagrams(material) if each.found.reason]
    return f"No critical differences of {'; '.join(texts)}. {_BLOCK}" if texts else ""


def _names(shown: list[Diagram], scope: str) -> str:
    return ", ".join(each.name for each in shown if each.blocks.scope == scope)


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


def _sentence(each: Diagram) -> str:
    ranks = ", ".join(f"{row} {rank:.2f}" for row, rank in each.found.mean_ranks.items())
    sets = "; ".join(", ".join(names) for names in group_not_separated(each.found)) or "none"
    return (
        f"{each.name}, {each.found.n_blocks} blocks: mean ranks {ranks}; critical difference "
        f"{each.found.critical_difference:.2f}; Friedman p {_p(each.found.p)}; not separated: {sets}."
    )


def _p(p: float) -> str:
    return f"<{_SMALLEST_P:g}" if p < _SMALLEST_P else f"{p:.3f}"


def _draw(material: Material, shown: list[Diagram]) -> Figure:
    lines = max(math.ceil(len(each.found.mean_ranks) / 2) for each in shown)
    bars = max(len(group_not_separated(each.found)) for each in shown)
    depth = _FIRST_IN + _BAR_IN * bars + _LINE_IN * lines
    figure, axes = panels(len(shown), 2, 4.4, _ABOVE_IN + depth + 0.45)
    for ax, each in zip(axes, shown, strict=True):
        ranks = each.found.mean_ranks
        span = max(1, len(ranks) - 1)
        ax.set_xlim(1 - _MARGIN * span, len(ranks) + _MARGIN * span)
        ax.set_ylim(-depth, _ABOVE_IN)
        ax.grid(visible=False)
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        _axis(ax, len(ranks), each.found.critical_difference)
        for number, names in enumerate(group_not_separated(each.found)):
            at = -_BAR_IN * (number + 1)
            ends = [ranks[names[0]] - 0.012 * span, ranks[names[-1]] + 0.012 * span]
            ax.plot(ends, [at, at], color=INK, linewidth=4, solid_capstyle="butt", zorder=3)
        _methods(ax, material, each, _FIRST_IN + _BAR_IN * bars)
        ax.set_title(short(each.name, 40))
        what = "seeds, each with its own subjects" if each.blocks.scope == "methods" else "subjects"
        ax.set_xlabel(f"{each.found.n_blocks} blocks: {what}; Friedman p {_p(each.found.p)}")
    return figure


def _axis(ax: Axes, count: int, limit: float) -> None:
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


def _methods(ax: Axes, material: Material, each: Diagram, first: float) -> None:
    """Lead from each mean rank to a name beside the axis: the better half on the left, the best on top."""
    ranks = each.found.mean_ranks
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
