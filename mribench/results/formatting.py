"""The text of a cell."""

from __future__ import annotations

import math

from mribench.interfaces.table import Cell, Row
from mribench.wording import NOTHING


def cell_text(cell: Cell | None) -> str:
    """Return what a cell says, without its mark: ``82.3 ± 0.9 [63/65]``, ``+1.2 [0.4, 2.0]``, ``missing``."""
    if cell is None:
        return NOTHING
    if cell.text is not None:
        return cell.text
    if cell.status in ("failed", "missing"):
        return cell.status
    notes = []
    if cell.n_subjects < cell.n_subjects_total:
        notes.append(f"[{cell.n_subjects}/{cell.n_subjects_total}]")
    if cell.status == "partial":
        notes.append(f"(partial {cell.jobs_done}/{cell.jobs_expected})")
    return " ".join([_value_text(cell), *notes])


def row_header(row: Row) -> tuple[str, ...]:
    """Return the headers of a row, the signs of its footnotes after the first."""
    return (f"{row.header[0]}{row.flags}", *row.header[1:])


_ROUNDING = 1e-12
"""A spread of less than this share of the mean is what floating point leaves of none."""


_MOST_MORE = 2
"""How many decimals more than usual a small spread gets: six after a mean of 357 would help nobody."""


def digits_for(se: float, digits: int, mean: float = 0.0) -> int:
    """Return the decimals that show ``se``: ``digits``, or up to two more where it would print as 0.0."""
    if not math.isfinite(se) or se <= _ROUNDING * abs(mean):
        return digits
    more = (digits + extra for extra in range(_MOST_MORE + 1) if round(se, digits + extra) > 0)
    return next(more, digits)


def spread_text(se: float, digits: int, mean: float = 0.0) -> str:
    """Return ``± 0.03``, or ``± <0.01`` for what is too small for the decimals of its mean; empty for NaN."""
    if math.isnan(se):
        return ""
    small = round(se, digits) == 0 and se > _ROUNDING * abs(mean)
    return f" ± <{10.0**-digits:.{digits}f}" if small else f" ± {se:.{digits}f}"


def _value_text(cell: Cell) -> str:
    if math.isnan(cell.mean):
        return "n/a"
    if not math.isnan(cell.low):
        return _interval_text(cell)
    if cell.signed and cell.seeds:
        return _seeds_text(cell)
    se = cell.se * cell.scale
    digits = digits_for(se, cell.digits, cell.mean * cell.scale)
    # + 0.0, so that what rounds to zero has no minus
    mean = f"{round(cell.mean * cell.scale, digits) + 0.0:.{digits}f}"
    return f"{mean}{spread_text(se, digits, cell.mean * cell.scale)}"


def _seeds_text(cell: Cell) -> str:
    mean, first, second = (
        f"{round(value * cell.scale, cell.digits) + 0.0:+.{cell.digits}f}"
        for value in (cell.mean, *(cell.seeds or ()))
    )
    return f"{mean} (seeds: {first}, {second})"


def _interval_text(cell: Cell) -> str:
    digits = digits_for((cell.high - cell.low) / 2 * cell.scale, cell.digits, cell.mean * cell.scale)
    mean, low, high = (round(value * cell.scale, digits) + 0.0 for value in (cell.mean, cell.low, cell.high))
    return f"{mean:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
