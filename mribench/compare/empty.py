"""The table ``empty``: empty masks and failures of each side, and the difference without them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from mribench.compare.pairing import Paired, Place
from mribench.compare.rows import Rows
from mribench.compare.sides import Side
from mribench.compare.text import PLACE_COLUMNS, difference_cell, place_record, scope_text, table_by_place
from mribench.interfaces.document import TidyColumns, columns_of
from mribench.interfaces.table import Cell, Table, text_cell
from mribench.results.cells import LEADERBOARD
from mribench.statistics.difference import Difference, estimate_table_difference
from mribench.statistics.tables import UNTRAINED

NAME = "empty"
STATUSES = ("pred-empty", "ref-empty", "both-empty", "failed")
_PLACE = ["task", "fraction", "test_site"]
_EXPLANATION = (
    "Without empty masks: the difference over subjects that have none on either side under any seed; all"
    " seeds stay. Where it goes away, empty masks make it. Those subjects are not drawn at random: this"
    " explains, and tests nothing, whatever it speaks of. Failed rows leave their subject out everywhere."
)


def _name_columns(side: str) -> dict[str, str]:
    """Return the name of the column of each count of a side."""
    return {name: f"n_{name.replace('-', '_')}_{side}" for name in (*STATUSES, "rows")}


def _number_columns(counts: Counter[str], side: str) -> dict[str, int]:
    return {column: counts[name] for name, column in _name_columns(side).items()}


COLUMNS: TidyColumns = {
    **PLACE_COLUMNS,
    **columns_of(Difference),
    **dict.fromkeys([*_name_columns("first").values(), *_name_columns("second").values()], "Int64"),
    "without": "float64", "without_low": "float64", "without_high": "float64", "n_seeds_without": "Int64",
    "n_subjects_without": "Int64", "scope_without": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What went wrong in one place.

    Attributes:
        place: where.
        first: score rows of the first side by status, and all of them as ``rows``.
        second: of the second.
        found: the difference.
        without: the difference over the same seeds, and of its subjects those without an empty mask on either
            side under any of them.
    """

    place: Place
    first: Counter[str]
    second: Counter[str]
    found: Difference
    without: Difference

    @property
    def any(self) -> bool:
        """Whether there is anything to show."""
        return any(side[name] for side in (self.first, self.second) for name in STATUSES)


def counts(paired: Paired, fraction: float | None = None) -> list[Counts]:
    """Return the counts of each cell of the leaderboard."""
    first = _count_statuses(paired.pair.first, paired.first)
    second = _count_statuses(paired.pair.second, paired.second)
    rows = []
    for place in paired.places(LEADERBOARD, fraction):
        key = (*(place.where[name] for name in _PLACE), place.metric)
        rows.append(Counts(place, first[key], second[key], place.difference(), _leave_out_empty(place)))
    return rows


def frame(rows: Sequence[Counts]) -> pd.DataFrame:
    """Return a tidy row per place."""
    return pd.DataFrame(
        [
            {
                **place_record(row.place),
                **asdict(row.found),
                **_number_columns(row.first, "first"),
                **_number_columns(row.second, "second"),
                "without": row.without.difference,
                "without_low": row.without.low,
                "without_high": row.without.high,
                "n_seeds_without": row.without.n_seeds,
                "n_subjects_without": row.without.n_subjects,
                "scope_without": row.without.scope,
            }
            for row in rows
        ]
    )


def table(paired: Paired, rows: Sequence[Counts]) -> Table:
    """Return the places with an empty mask or a failure."""
    first, second = paired.pair.names
    shown = [row for row in rows if row.any]
    total = sum((row.first + row.second for row in shown), Counter[str]())
    seen = [name for name in STATUSES if total[name]]
    both = f"{first} | {second}"
    columns = (
        ("without", "empty masks"), ("seeds ×", "subjects"), ("speaks of",),
        *((name, both) for name in (*seen, "of rows")), (paired.pair.minus, "[95 % interval]"),
    )  # fmt: skip
    explanation = _EXPLANATION if shown else "No empty masks and no failed rows on either side."
    return table_by_place(
        NAME,
        f"{paired.pair.minus}: empty masks and failures",
        columns,
        [(row.place, _make_cells(row, seen)) for row in shown],
        *([scope_text([row.found for row in shown])] if shown else []),
        explanation,
        *_list_unfinished(paired),
    )


def _count_statuses(side: Side, rows: Rows) -> Mapping[tuple[Any, ...], Counter[str]]:
    """Return the score rows by status of each place and metric of the leaderboard."""
    scores = rows.asked(side.run.manifest, LEADERBOARD).scores
    sizes = scores.groupby([*_PLACE, "metric", "status"], observed=True).size().reset_index()
    counts: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for *place, status, size in sizes.itertuples(index=False):
        counts[tuple(place)].update({status: size, "rows": size})
    return counts


def _leave_out_empty(place: Place) -> Difference:
    """Return the difference over subjects without an empty mask; a seed does not drop out with them."""
    kept = place.pairs
    empty: set[str] = set()
    for side in (place.first, place.second):
        counts = side["seed"].isin([UNTRAINED, *kept.seeds]) & side["n_empty"].gt(0)
        empty |= set(side.loc[counts, "subject"])
    return estimate_table_difference(kept.table()[:, ~kept.subjects.isin(empty)])


def _say_scope(found: Difference) -> str:
    if found.scope == "nothing":
        return "nothing left" if found.n_subjects == 0 else "one subject left"
    return str(found.scope)


def _make_cells(row: Counts, seen: Sequence[str]) -> tuple[Cell, ...]:
    return (
        difference_cell(row.place, row.without),
        text_cell(f"{row.without.n_seeds} × {row.without.n_subjects}"),
        text_cell(_say_scope(row.without)),
        *(text_cell(f"{row.first[name]} | {row.second[name]}") for name in (*seen, "rows")),
        difference_cell(row.place, row.found),
    )


def _list_unfinished(paired: Paired) -> list[str]:
    texts = []
    for side in (paired.pair.first, paired.pair.second):
        states = side.cells["state"]
        bad = {str(name): int(n) for name, n in states[states.ne("done")].value_counts().items()}
        if bad:
            listed = ", ".join(f"{n} {name}" for name, n in bad.items())
            texts.append(f"{side.name}: of {len(states)} evaluate jobs {listed}.")
    return texts
