"""The tables ``sites``, ``sequences`` and ``seeds``: the difference in each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mribench.compare.pairing import Paired, Place
from mribench.compare.text import (
    EXPLORATORY,
    PLACE_COLUMNS,
    difference_cell,
    place_record,
    place_text,
    scope_text,
    signed_cell,
    table_by_place,
    value_cell,
)
from mribench.interfaces.document import TidyColumns, columns_of
from mribench.interfaces.table import Cell, Column, Row, Table, said, text_cell
from mribench.interfaces.table_source import Question
from mribench.results.cells import LEADERBOARD, metric_label
from mribench.results.formatting import cell_text
from mribench.statistics.difference import Difference, estimate_table_difference
from mribench.statistics.domain_gap import estimate_table_gap
from mribench.statistics.tables import Scores

SITES, SEQUENCES, SEEDS = "sites", "sequences", "seeds"
BY_SITE = Question(in_domain=False, own_sequence=True, average_sequences=True)
BY_SEQUENCE = Question(in_domain=True, own_sequence=False)

COLUMNS: TidyColumns = {
    **PLACE_COLUMNS,
    "part": "string",
    **columns_of(Difference),
    "change": "float64", "change_low": "float64", "change_high": "float64", "change_how": "string",
}  # fmt: skip
SEQUENCE_COLUMNS: TidyColumns = {**COLUMNS, "train_sequence": "string", "test_sequence": "string"}
SEED_COLUMNS: TidyColumns = {**PLACE_COLUMNS, "seed": "Int64", "difference": "float64"}
How = Literal["reference", "same subjects", "other subjects", "not comparable"]


@dataclass(frozen=True)
class ReferenceChange:
    """The difference here minus the difference in the reference.

    Attributes:
        change: it; NaN in the reference itself.
        low: lower end of its 95 % interval.
        high: its upper end.
        how: over the same subjects, in pairs; or over other ones.
    """

    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    how: How = "reference"


@dataclass(frozen=True)
class LocalDifference:
    """The difference in one site, or for one pair of sequences."""

    place: Place
    here: str
    found: Difference
    change: ReferenceChange


def by_site(paired: Paired, fraction: float | None) -> list[LocalDifference]:
    """Return the difference at each site; the reference is the site trained on, which comes first."""
    places = paired.places_at_one(BY_SITE, fraction)
    return _compare_parts(places, lambda place: str(place.where["test_site"]), lambda _: "")


def by_sequence(paired: Paired, fraction: float | None) -> list[LocalDifference]:
    """Return the difference for each pair of sequences, at the site trained on.

    The reference of ``A → B`` is ``A → A``; that of other ``B → B`` the first of them.
    """

    def reference(place: Place) -> str:
        trained, tested = place.where["train_sequence"], place.where["test_sequence"]
        return "" if trained == tested else f"{trained} → {trained}"

    def here(place: Place) -> str:
        return f"{place.where['train_sequence']} → {place.where['test_sequence']}"

    return _compare_parts(paired.places_at_one(BY_SEQUENCE, fraction), here, reference)


def find_change(here: Scores, reference: Scores) -> ReferenceChange:
    """Return how a difference differs from another, over the seeds that both have.

    Args:
        here: differences over a complete seed × subject table.
        reference: those of the reference. Where subjects are shared, only those count, in pairs; else the two
            are of other subjects and share only the seeds (``domain_gap``).
    """
    seeds = here.seeds.intersection(reference.seeds)
    subjects = here.subjects.intersection(reference.subjects)
    if not len(seeds):
        return ReferenceChange(how="not comparable")
    tables = [
        pd.DataFrame(scores.table(), scores.seeds, scores.subjects).loc[seeds] for scores in (here, reference)
    ]
    if len(subjects):
        moved = estimate_table_difference((tables[0][subjects] - tables[1][subjects]).to_numpy(float))
        return ReferenceChange(moved.difference, moved.low, moved.high, "same subjects")
    gap = estimate_table_gap(tables[0].to_numpy(float), tables[1].to_numpy(float))
    return ReferenceChange(gap.difference, gap.low, gap.high, "other subjects")


def frame(parts: Sequence[LocalDifference]) -> pd.DataFrame:
    """Return the tidy rows of one of the two tables."""
    return pd.DataFrame(
        [
            {
                **place_record(part.place),
                "part": part.here,
                **asdict(part.found),
                "change": part.change.change,
                "change_low": part.change.low,
                "change_high": part.change.high,
                "change_how": part.change.how,
            }
            for part in parts
        ]
    )


def tables(paired: Paired, name: str, parts: Sequence[LocalDifference]) -> list[Table]:
    """Return one of the two as a table for each task and metric with more than one row."""
    groups: dict[tuple[str, str], list[LocalDifference]] = {}
    for part in parts:
        groups.setdefault((place_text(part.place), part.place.metric), []).append(part)
    what = "test site" if name == SITES else "train → test"
    made = [_make_table(paired, name, what, group) for group in groups.values() if len(group) > 1]
    alone = [f"{title}, {metric}" for (title, metric), group in groups.items() if len(group) == 1]
    return made or [_make_empty(paired, name, what, alone)]


def _make_table(paired: Paired, name: str, what: str, group: Sequence[LocalDifference]) -> Table:
    """Return the differences in the parts of one task and metric."""
    place = group[0].place
    headers = ((paired.pair.minus, "[95 % interval]"), ("seeds ×", "subjects"), ("against the", "reference"))
    return Table(
        name=f"{name}-{place.where['task']}-{place.metric}",
        title=f"{place_text(place)}, {metric_label(place)}: {paired.pair.minus} by {what}",
        row_names=(what,),
        rows=tuple(Row((part.here,)) for part in group),
        columns=tuple(map(Column, headers)),
        cells=tuple(map(_make_cells, group)),
        sentences=said(*_caption(name, group)),
    )


def _make_empty(paired: Paired, name: str, what: str, alone: Sequence[str]) -> Table:
    only = f"Only one {what} each, so nothing to tell apart: {'; '.join(alone)}."
    sentence = only if alone else "Nothing is shared."
    return Table(name, f"{paired.pair.minus}: by {what}", (what,), (), (), (), said(sentence))


def _make_cells(part: LocalDifference) -> tuple[Cell, ...]:
    found, moved = part.found, part.change
    return (
        difference_cell(part.place, found),
        text_cell(f"{found.n_seeds} × {found.n_subjects}"),
        text_cell(moved.how)
        if moved.how in ("reference", "not comparable")
        else value_cell(part.place, moved.change, moved.low, moved.high),
    )


def _caption(name: str, parts: Sequence[LocalDifference]) -> tuple[str, ...]:
    other = any(part.change.how == "other subjects" for part in parts)
    if name == SITES:
        where, reference = "On the sequence trained on, sequences averaged", "the site trained on"
    else:
        where = "At the site trained on"
        reference = "for A → B it is A → A; for that, the first of the task"
    paired_by = "seeds are paired, subjects are others" if other else "seeds and subjects are paired"
    return (
        scope_text([part.found for part in parts]),
        f"{where}; at the largest fraction unless --fraction names one.",
        EXPLORATORY,
        (
            f"Against the reference: the difference here minus that in the reference ({reference}), with its"
            f" own interval; {paired_by}. That a difference is clear in one row and not in another does not"
            " show that the rows differ; an interval of this column without 0 does."
        ),
    )


def _compare_parts(
    places: Sequence[Place], here: Callable[[Place], str], reference: Callable[[Place], str]
) -> list[LocalDifference]:
    known: dict[tuple[str, str, str], Scores] = {}
    first: dict[tuple[str, str], str] = {}
    for place in places:
        key = (place.where["task"], place.metric)
        known[*key, here(place)] = place.pairs
        if not reference(place):
            first.setdefault(key, here(place))
    parts = []
    for place in places:
        key = (place.where["task"], place.metric)
        other = reference(place) or first.get(key, "")
        if other == here(place):
            moved = ReferenceChange()
        elif (*key, other) in known:
            moved = find_change(place.pairs, known[*key, other])
        else:
            moved = ReferenceChange(how="not comparable")
        parts.append(LocalDifference(place, here(place), place.difference(), moved))
    return parts


@dataclass(frozen=True)
class BySeed:
    """The mean difference under each seed, over the complete seed × subject table."""

    place: Place
    means: dict[int, float]


def by_seed(paired: Paired, fraction: float | None = None) -> list[BySeed]:
    """Return the difference under each seed, in each cell of the leaderboard."""
    rows = []
    for place in paired.places(LEADERBOARD, fraction):
        kept = place.pairs
        means = kept.table().mean(axis=1) if kept.cube.size else np.empty(0)
        rows.append(BySeed(place, dict(zip(map(int, kept.seeds), map(float, means), strict=False))))
    return rows


def seeds_frame(rows: Sequence[BySeed]) -> pd.DataFrame:
    """Return a tidy row per place and seed."""
    return pd.DataFrame(
        [
            {**place_record(row.place), "seed": seed, "difference": mean}
            for row in rows
            for seed, mean in row.means.items()
        ]
    )


def seeds_table(paired: Paired, rows: Sequence[BySeed]) -> Table:
    """Return a row per task, fraction and metric; a column per seed."""
    seeds = sorted({seed for row in rows for seed in row.means})
    first = paired.pair.names[0]
    headers = [("range over seeds",), (f"{first} better", "in seeds"), *((f"seed {seed}",) for seed in seeds)]
    return table_by_place(
        SEEDS,
        f"{paired.pair.minus}: seed by seed",
        headers,
        [(row.place, _make_seed_cells(row, seeds)) for row in rows],
        "Mean difference over the subjects that both have under every seed. A seed is another"
        " training of both methods; seeds are paired by number.",
    )


def _make_seed_cells(row: BySeed, seeds: Sequence[int]) -> tuple[Cell | None, ...]:
    values = list(row.means.values())
    if not values:
        return (text_cell("n/a"), text_cell("n/a"), *(None for _ in seeds))
    ends = [cell_text(signed_cell(row.place, end)) for end in (min(values), max(values))]
    better = sum(row.place.better(value) == 0 for value in values)
    return (
        text_cell(" to ".join(ends)),
        text_cell(f"{better} of {len(values)}"),
        *(signed_cell(row.place, row.means[seed]) if seed in row.means else None for seed in seeds),
    )
