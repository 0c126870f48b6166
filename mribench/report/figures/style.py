"""How figures look: colours for every kind of eyes, sizes, canvases. Matplotlib is imported late."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mribench.report.looks import row_id
from mribench.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER = "#1f2933", "#66707c", "#d9dde3", "#fefefe"
WIDTH = 8.8
"""Inches, of a figure."""
_LONGEST = 28
_WIDER = 2.0
"""How far an axis follows intervals beyond its points, in ranges of the points on either side."""
_MARGIN = 0.06
TAG = "row-"
CUT = "A bar that ends in an arrowhead goes on beyond the axis."
_RC: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # a method may be called $x$
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "ytick.major.pad": 6.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "mribench",
}


def short(text: str, limit: int = _LONGEST) -> str:
    """Return a name for a figure: printable, its middle left out where it is long."""
    return printable(str(text), limit)


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw and save within this: nobody's matplotlibrc has a say, and none is changed."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
        # names may be in any script; the browser has the letters that this font lacks
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        # long names may leave no room for the rest, which is then drawn over: ugly, and no failure
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def panels(count: int, across: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    """Return a figure with ``count`` axes, at most ``across`` in a row.

    Args:
        count: axes.
        across: most columns; fewer where that leaves no line with gaps.
        width: of one of them at least, inches; they fill ``WIDTH`` where they are few.
        height: of one of them, inches.
    """
    from matplotlib.figure import Figure

    down = -(-count // max(1, across))
    across = -(-count // down)
    width = max(width, WIDTH / across) if count > 1 else width
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    return figure, axes[:count]


def tag(row: str, *artists: Any) -> None:
    """Mark what a figure shows of a row, so that a page can fade it."""
    for artist in artists:
        artist.set_gid(f"{TAG}{row_id(row)}")


def legend_of_rows(figure: Figure, axes: Sequence[Any], order: Sequence[str]) -> None:
    """Draw one legend for the labelled rows of all axes, below them, as wide as there is room for.

    Args:
        figure: whose.
        axes: with artists labelled by whole names of rows.
        order: of the rows.
    """
    handles = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    rows = [row for row in order if row in handles]
    names = [short(row, 18) for row in rows]
    inches = max((0.5 + 0.075 * len(name) for name in names), default=1.0)
    legend = figure.legend(
        [handles[row] for row in rows], names, loc="outside lower center",
        ncols=max(1, min(len(rows), int(figure.get_figwidth() / inches))),
    )  # fmt: skip
    for row, handle, text in zip(rows, legend.legend_handles, legend.get_texts(), strict=True):
        tag(row, handle, text)


def hide_frame(axes: Axes) -> None:
    """Leave out ticks, grid and spines."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def focus(points: Iterable[float], ends: Iterable[float]) -> tuple[float, float]:
    """Return limits of an axis that shows all points, and intervals as far as the points stay apart.

    With few seeds an interval can be many times as long as all that was measured; an axis that followed it
    to its end would show nothing else.

    Args:
        points: what must be seen; NaN is left out.
        ends: of the intervals.
    """
    seen = [value for value in points if math.isfinite(value)]
    reach = [value for value in ends if math.isfinite(value)]
    if not seen:
        return 0.0, 1.0
    low, high = min(seen), max(seen)
    span = (high - low) or max((abs(value - low) for value in reach), default=0.0) or abs(low) or 1.0
    low, high = (
        max(low - _WIDER * span, min([low, *reach])),
        min(high + _WIDER * span, max([high, *reach])),
    )
    edge = _MARGIN * (high - low or span)
    return low - edge, high + edge


def cut_ends(
    axes: Any, row: str, ends: tuple[float, float], place: float, colour: str, *, upright: bool
) -> None:
    """Draw an arrowhead at each end of an interval that lies beyond the axis.

    Args:
        axes: with its limits set.
        row: whose interval.
        ends: of it.
        place: on the other axis.
        colour: of it.
        upright: whether the interval is vertical.
    """
    limits = axes.get_ylim() if upright else axes.get_xlim()
    beyond = ((ends[0] < limits[0], limits[0], "v" if upright else "<"),
              (ends[1] > limits[1], limits[1], "^" if upright else ">"))  # fmt: skip
    for cut, edge, marker in beyond:
        if cut:
            at = (place, edge) if upright else (edge, place)
            tag(row, *axes.plot(*at, marker=marker, markersize=5, color=colour, clip_on=False, zorder=4))


def name_rows(axes: Any, rows: Sequence[str]) -> None:
    """Name the rows of a plot that has one at each of y = 0, 1, …, the first on top.

    Plots side by side have the same rows: only the first of them names them.
    """
    first = axes.get_subplotspec().is_first_col()
    axes.set_yticks(range(len(rows)), [short(row) if first else "" for row in rows])
    for row, text in zip(rows, axes.get_yticklabels(), strict=True):
        tag(row, text)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
