"""Which cells of a table are marked best and second, and what the marks claim."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Literal, get_args

import pandas as pd

from mribench.statistics import mark
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.ties import ALPHA, compare_family

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
    found = pd.DataFrame({"mark": "none", "mark_style": ""}, index=frame.index, dtype=object)
    if marking == "none":
        return found
    place = [*keys, "metric"]
    ranked = frame[(frame["arm"] != "identity") & (frame["status"] == "ok")]
    enough = marking == "ties" and bool(ranked["n_seeds"].ge(ENOUGH_SEEDS).any())
    rows = _by_cell(means, place) if enough else {}
    for where, family in ranked.groupby(place, dropna=False, sort=False):
        higher = bool(family["higher_is_better"].iloc[0])
        style, named = PLAIN, mark(family["mean"].tolist(), higher_is_better=higher)
        if enough:
            known = {row: rows[_key(where), row] for row in family["row"] if (_key(where), row) in rows}
            compared = compare_family(known, higher_is_better=higher)
            if compared.style == TESTED:
                marked = compared.methods.set_index("row")["mark"].to_dict()
                style, named = TESTED, [marked.get(row, "none") for row in family["row"]]
        found.loc[family.index, "mark"] = named
        found.loc[family.index, "mark_style"] = style
    return found


def marks_sentence(styles: Collection[str]) -> str:
    """Return what the marks of a table mean, by the styles in it."""
    if TESTED in styles:
        return f"{_TESTED}{f' {_FEWER}' if PLAIN in styles else ''}"
    return _PLAIN if PLAIN in styles else ""


def _by_cell(means: pd.DataFrame, place: Sequence[str]) -> dict[tuple[Hashable, str], pd.DataFrame]:
    groups = means.groupby([*place, "row"], dropna=False, sort=False)
    return {(_key(where[:-1]), str(where[-1])): rows for where, rows in groups}


def _key(where: Hashable) -> Hashable:
    """Return the place of a family such that nulls, which equal nothing, equal each other."""
    parts = where if isinstance(where, tuple) else (where,)
    return tuple(None if pd.isna(part) else part for part in parts)
