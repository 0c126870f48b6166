"""The neutral table model: layouts fill it, renderers print it, neither knows the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from mribench.statistics.marks import Mark

CellStatus = Literal["ok", "partial", "failed", "missing"]
"""``partial``: some of the jobs behind the cell are not done; ``missing``: none is."""


@dataclass(frozen=True)
class Cell:
    """One estimate, in the units of its metric.

    Attributes:
        mean: unscaled and unrounded; NaN where there is none.
        se: standard error, NaN where there is none.
        n_subjects: subjects behind the mean.
        n_subjects_total: subjects that were scored or should have been.
        jobs_done: evaluate jobs done.
        jobs_expected: evaluate jobs that the benchmark plans for this cell.
        status: whether all of it is there.
        mark: best or second of those it competes with.
        scale: factor to what is shown, 100 for shares.
        digits: decimals shown.
        low: lower end of the 95 % interval of a difference; NaN where there is none.
        high: its upper end.
        text: what is shown in place of all that, None to show the numbers.
        interval: 95 % interval of a mean or a ratio, unscaled; None where there is none. Pages show it below
            the number and downloads have it; in other formats it is not printed.
        seeds: the means of two seeds, unscaled, which leave no interval; shown in its place.
        signed: whether it is a difference, shown with its sign.
    """

    mean: float = math.nan
    se: float = math.nan
    n_subjects: int = 0
    n_subjects_total: int = 0
    jobs_done: int = 0
    jobs_expected: int = 0
    status: CellStatus = "missing"
    mark: Mark = "none"
    scale: float = 1.0
    digits: int = 1
    low: float = math.nan
    high: float = math.nan
    text: str | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[float, float] | None = None
    signed: bool = False


NO_INTERVAL = "Two seeds: no interval; the two seeds' own means stand in its place."


def seeds_of(estimate: Any) -> tuple[float, float] | None:
    """Return the means of the two seeds of an estimate without an interval; None where it has other seeds."""
    if getattr(estimate, "n_seeds", 0) != 2 or interval_of(estimate):
        return None
    low, high = getattr(estimate, "seed_low", math.nan), getattr(estimate, "seed_high", math.nan)
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None


def interval_of(estimate: Any) -> tuple[float, float] | None:
    """Return the ends ``low`` and ``high`` of an estimate or a row of estimates; None without finite ones."""
    low, high = getattr(estimate, "low", math.nan), getattr(estimate, "high", math.nan)
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None


@dataclass(frozen=True)
class Row:
    """A row: its headers, and the signs of the footnotes that belong to it."""

    header: tuple[str, ...]
    flags: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its headers from the outermost to the innermost."""

    header: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: as ``--table`` and file names have it.
        title: one line.
        row_names: what each row header is.
        rows: from top to bottom.
        columns: from left to right.
        cells: by row, then column; None where the benchmark plans nothing.
        caption: sentences below the table.
    """

    name: str
    title: str
    row_names: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    caption: tuple[str, ...]
