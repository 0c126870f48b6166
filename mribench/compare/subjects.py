"""The tables ``subjects`` and ``one-out``: which subjects carry a difference, and whether one does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mribench.compare.influence import NO, Influence, influence
from mribench.compare.pairing import Paired, Place
from mribench.compare.text import (
    PLACE_COLUMNS,
    place_record,
    place_text,
    signed_cell,
    table_by_place,
    value_cell,
)
from mribench.interfaces.document import TidyColumns
from mribench.interfaces.table import Cell, Column, Row, Table, said, text_cell
from mribench.results.cells import LEADERBOARD, metric_label
from mribench.results.formatting import cell_text
from mribench.statistics.intervals import Interval, estimate_interval

SUBJECTS, ONE_OUT = "subjects", "one-out"
SUBJECT_COLUMNS: TidyColumns = {
    "subject": "string", "first": "float64", "second": "float64", "difference": "float64",
    "share": "float64", "without": "float64", "n_empty_first": "Int64", "n_empty_second": "Int64",
    **PLACE_COLUMNS,
}  # fmt: skip
ONE_OUT_COLUMNS: TidyColumns = {
    **PLACE_COLUMNS,
    "difference": "float64", "low": "float64", "high": "float64", "n_seeds": "Int64", "n_subjects": "Int64",
    "without_lowest": "float64", "without_highest": "float64", "subject": "string", "without": "float64",
    "without_low": "float64", "without_high": "float64", "effect": "string",
}  # fmt: skip
TOP = 3
"""Subjects shown each way."""
LARGE_SHARE, MANY = 1 / 3, 6
"""From this share of the sum of sizes on, of this many subjects and more, a subject is named."""


@dataclass(frozen=True)
class People:
    """The subjects of one place.

    Attributes:
        place: where.
        rows: one per subject with every seed, by falling difference: ``subject``, ``first``, ``second``
            (means over seeds), ``difference``, ``share`` (of the sum of all differences), ``without`` (mean
            difference of the others), ``n_empty_first``, ``n_empty_second`` (score rows with one empty mask).
        whole: interval of the mean difference.
        influence: of the one that matters most.
    """

    place: Place
    rows: pd.DataFrame
    whole: Interval
    influence: Influence


def people(paired: Paired, fraction: float | None = None) -> list[People]:
    """Return the subjects of each cell of the leaderboard; at the largest fraction where None is named."""
    return [_find_people(place) for place in paired.places_at_one(LEADERBOARD, fraction)]


def frame(people_of_places: Sequence[People]) -> pd.DataFrame:
    """Return a tidy row for every subject."""
    parts = [one.rows.assign(**place_record(one.place)) for one in people_of_places]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def one_out_frame(people_of_places: Sequence[People]) -> pd.DataFrame:
    """Return a tidy row for every place."""
    return pd.DataFrame(
        [
            {
                **place_record(one.place),
                "difference": one.whole.mean,
                "low": one.whole.low,
                "high": one.whole.high,
                "n_seeds": one.whole.n_seeds,
                "n_subjects": one.whole.n_subjects,
                "without_lowest": one.influence.lowest,
                "without_highest": one.influence.highest,
                "subject": one.influence.subject,
                "without": one.influence.without,
                "without_low": one.influence.low,
                "without_high": one.influence.high,
                "effect": one.influence.effect,
            }
            for one in people_of_places
        ]
    )


def extremes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the subjects of the largest differences: up to ``TOP`` above 0, then below, largest first."""
    above, below = rows[rows["difference"] > 0], rows[rows["difference"] < 0]
    return pd.concat([above.head(TOP), below.iloc[::-1].head(TOP)])


def tables(paired: Paired, people_of_places: Sequence[People]) -> list[Table]:
    """Return, for each task and metric, the subjects with the largest differences each way."""
    return [_table(paired, one) for one in people_of_places]


def _table(paired: Paired, one: People) -> Table:
    first, second = paired.pair.names
    shown = extremes(one.rows)
    people_shown = list(shown.itertuples(index=False))
    empty = bool(shown[["n_empty_first", "n_empty_second"]].to_numpy().any())
    columns: list[tuple[str, ...]] = [("difference",), ("better",), ("share",), ("without",)]
    columns += [(first,), (second,)]
    columns += [("empty masks", f"{first} | {second}")] if empty else []
    return Table(
        name=f"{SUBJECTS}-{one.place.where['task']}-{one.place.metric}",
        title=f"{place_text(one.place)}, {metric_label(one.place)}: largest {paired.pair.minus}, each way",
        row_names=("subject",),
        rows=tuple(Row((str(row.subject),)) for row in people_shown),
        columns=tuple(Column(header) for header in columns),
        cells=tuple(_make_cells(paired, one.place, row, empty=empty) for row in people_shown),
        sentences=said(
            (
                "In the domain trained on, sequences averaged, mean over the seeds that both have; at the"
                " largest fraction unless --fraction names one."
            ),
            (
                f"Up to {TOP} subjects each way; --format csv has all. Share: of the sum of all subjects'"
                " differences; more than 100 % or less than 0 where they differ in sign. Without: mean"
                " difference of the other subjects."
            ),
            *(["Empty masks: score rows with one empty mask."] if empty else []),
        ),
    )


def one_out_table(paired: Paired, people_of_places: Sequence[People]) -> Table:
    """Return what leaving out one subject after the other does."""
    columns = (
        ("driven by", "one subject?"), ("the one that", "matters most"), ("without it", "[95 % interval]"),
        ("without", "any one"),
    )  # fmt: skip
    return table_by_place(
        ONE_OUT,
        f"{paired.pair.minus}: does one subject make the difference?",
        columns,
        [(one.place, _make_one_out_cells(one)) for one in people_of_places],
        *_say_driven(people_of_places),
        "Every subject is left out once. 'Rests on it': the 95 % interval (table difference) leaves"
        " out 0, and no longer does without that subject; 'hidden by it': it does only without;"
        " 'turns round': the sign changes. An interval that ends near 0 can rest on one subject by"
        " chance: look at how far it moves.",
    )


def _find_people(place: Place) -> People:
    kept = place.both
    names = [str(name) for name in kept.subjects]
    first, second = kept.cube if len(kept.cube) else np.empty((2, 0, 0))
    table = first - second
    influential = influence(table, names)
    by_subject = table.mean(axis=0) if table.size else np.empty(0)
    total = by_subject.sum()
    rows = pd.DataFrame(
        {
            "subject": names,
            "first": first.mean(axis=0) if table.size else by_subject,
            "second": second.mean(axis=0) if table.size else by_subject,
            "difference": by_subject,
            "share": by_subject / total if total else math.nan,
            "without": influential.means,
            "n_empty_first": _count_empty(place.first, names),
            "n_empty_second": _count_empty(place.second, names),
        }
    )
    rows = rows.sort_values(["difference", "subject"], ascending=[False, True], ignore_index=True)
    return People(place, rows, estimate_interval(table), influential)


def _count_empty(means: pd.DataFrame, subjects: Iterable[str]) -> list[int]:
    counts = means.groupby(means["subject"].astype(str))["n_empty"].sum()
    return [int(counts.get(name, 0)) for name in subjects]


def _make_cells(paired: Paired, place: Place, row: Any, *, empty: bool) -> tuple[Cell, ...]:
    better = place.better(row.difference)
    return (
        signed_cell(place, row.difference),
        text_cell(paired.pair.names[better]),
        text_cell(f"{100 * row.share:.0f} %"),
        signed_cell(place, row.without),
        value_cell(place, row.first),
        value_cell(place, row.second),
        *([text_cell(f"{row.n_empty_first} | {row.n_empty_second}")] if empty else []),
    )


def _make_one_out_cells(one: People) -> tuple[Cell, ...]:
    found, place = one.influence, one.place
    if not found.subject:
        return (text_cell("too few subjects"), *[text_cell("n/a")] * 3)
    ends = [cell_text(signed_cell(place, end)) for end in (found.lowest, found.highest)]
    return (
        text_cell(found.effect),
        text_cell(found.subject),
        value_cell(place, found.without, found.low, found.high),
        text_cell(" to ".join(ends)),
    )


def _say_driven(people_of_places: Sequence[People]) -> list[str]:
    """Say which rows one subject makes, and which one subject has a large share of."""
    texts = [
        f"{place_text(one.place)} {one.place.metric}: {one.influence.effect} ({one.influence.subject})"
        for one in people_of_places
        if one.influence.effect != NO
    ]
    shares = [text for one in people_of_places for text in _list_large(one)]
    return [
        f"Driven by one subject: {'; '.join(texts)}." if texts else "No row is driven by one subject.",
        *([f"Much of it in one subject, by size: {'; '.join(shares)}."] if shares else []),
    ]


def _list_large(one: People) -> list[str]:
    """Name subjects with a large share by size; the signed share has no bounds where signs differ."""
    sizes = one.rows["difference"].abs().to_numpy()
    if len(sizes) < MANY or not sizes.sum():
        return []
    shares = sizes / sizes.sum()
    return [
        f"{name} has {100 * share:.0f} % of {place_text(one.place)} {one.place.metric}"
        for name, share in zip(one.rows["subject"], shares, strict=True)
        if share >= LARGE_SHARE
    ]
