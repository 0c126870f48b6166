"""Which cells of a table are marked best and second, and what the marks claim."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.marks import Mark, mark
from mribench.statistics.scores import keys as keys_of
from mribench.statistics.scores import numbered
from mribench.statistics.tables import SeedSubjectTable, split_tables
from mribench.statistics.ties import ALPHA, judged

Marking = Literal["ties", "paper", "none"]
"""``ties``: from five seeds on the best and all not separated from it, with fewer plain marks; ``paper``:
always plain best and second by means; ``none``."""
MARKINGS = get_args(Marking)
PLAIN, TESTED = "paper", "tested"
_PLAIN = (
    "Bold: best; underlined: second; of all rows but identity, by unrounded means, without incomplete cells."
)
_TESTED = (
    "Bold: the best and all not separated from it; underlined: the next, if separated from the rest; of all "
    "rows but identity, without incomplete cells; all pairs on shared seeds and subjects, crossed, Holm, "
    f"familywise error {100 * ALPHA:g} % in each place and metric."
)
ONE_PROFILE = "Marks are among the rows of one profile."
_FEWER = f"Where they share fewer than {ENOUGH_SEEDS} seeds: plain best and second, which claim nothing."


def marks(frame: pd.DataFrame, keys: Sequence[str], means: pd.DataFrame, marking: Marking) -> pd.DataFrame:
    """Mark each cell among the trained rows of the same place and metric.

    Args:
        frame: cells.
        keys: columns in which the cells of one family agree, beside the metric.
        means: rows of ``subject_means`` by ``row``, ``keys`` and ``metric``; asked only for ``ties``.
        marking: what is marked.

    Returns:
        ``mark``, and ``mark_style``: ``paper`` or ``tested``; empty where nothing is compared.
    """
    named = np.full(len(frame), "none", dtype=object)
    styles = np.full(len(frame), "", dtype=object)
    ranked = np.flatnonzero((frame["arm"] != "identity") & (frame["status"] == "ok"))
    if marking != "none" and len(ranked):
        cells = frame.iloc[ranked]
        enough = marking == "ties" and bool(cells["n_seeds"].ge(ENOUGH_SEEDS).any())
        place = [*keys, "metric"]
        heads, number = numbered(cells, place)
        tables = _by_cell(means, place) if enough else {}
        higher, mean, rows = (cells[name].to_numpy() for name in ("higher_is_better", "mean", "row"))
        for family, where in enumerate(keys_of(heads, place)):
            at = np.flatnonzero(number == family)
            known = {row: table for row in rows[at] if (table := tables.get((where, row))) is not None}
            style, found = _family(mean[at], rows[at], known, higher_is_better=bool(higher[at[0]]))
            named[ranked[at]], styles[ranked[at]] = found, style
    return pd.DataFrame({"mark": named, "mark_style": styles}, index=frame.index)


def _family(
    means: np.ndarray, rows: np.ndarray, tables: dict[str, SeedSubjectTable], *, higher_is_better: bool
) -> tuple[str, list[Mark]]:
    """Return the style and the marks of the rows of one family; tested where its tables have the seeds."""
    if tables:
        compared = judged(tables, higher_is_better=higher_is_better)
        if compared.style == TESTED:
            marked = dict(zip(compared.names, compared.marks, strict=True))
            return TESTED, [marked.get(row, "none") for row in rows]
    return PLAIN, mark(means.tolist(), higher_is_better=higher_is_better)


def marks_sentence(styles: Collection[str]) -> str:
    """Return what the marks of a table mean, by the styles in it."""
    if TESTED in styles:
        return f"{_TESTED}{f' {_FEWER}' if PLAIN in styles else ''}"
    return _PLAIN if PLAIN in styles else ""


def _by_cell(means: pd.DataFrame, place: Sequence[str]) -> dict[tuple[Hashable, str], SeedSubjectTable]:
    heads, number = numbered(means, [*place, "row"])
    cells = zip(keys_of(heads, place), heads["row"], strict=True)
    return dict(zip(cells, split_tables(means, number, len(heads)), strict=True))
