"""The table ``empty``: empty masks and failures of each side, and the difference without them."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from mribench.compare.pairing import Paired, Place
from mribench.compare.rows import Rows
from mribench.compare.sides import Side
from mribench.compare.text import difference_cell, place_text, scope_text
from mribench.compare.tidy import PLACE_COLUMNS, place_record
from mribench.interfaces.document import TidyColumns, columns_of
from mribench.interfaces.table import Cell, Column, Row, Table, said, text_cell
from mribench.results.cells import LEADERBOARD, metric_label
from mribench.statistics.difference import Difference, estimate_table_difference
from mribench.statistics.tables import UNTRAINED

NAME = "empty"
STATUSES = ("pred-empty", "ref-empty", "both-empty", "failed")


def _counted(side: str) -> dict[str, str]:
    """Return the name of the column of each count of a side."""
    return {name: f"n_{name.replace('-', '_')}_{side}" for name in (*STATUSES, "rows")}


def _numbers(counts: Mapping[str, int], side: str) -> dict[str, int]:
    return {column: counts[name] for name, column in _counted(side).items()}


COLUMNS: TidyColumns = {
    **PLACE_COLUMNS,
    **columns_of(Difference),
    **dict.fromkeys([*_counted("first").values(), *_counted("second").values()], "Int64"),
    "without": "float64", "without_low": "float64", "without_high": "float64", "n_seeds_without": "Int64",
    "n_subjects_without": "Int64", "scope_without": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What went wrong in one place.

    Attributes:
        place: where.
        first: score rows of the first side by status, with their number as ``rows``.
        second: of the second.
        found: the difference.
        without: the difference over the same seeds, and of its subjects those without an empty mask on either
            side under any of them.
    """

    place: Place
    first: dict[str, int]
    second: dict[str, int]
    found: Difference
    without: Difference

    @property
    def any(self) -> bool:
        """Whether there is anything to show."""
        return any(side[name] for side in (self.first, self.second) for name in STATUSES)


def counts(paired: Paired, fraction: float | None = None) -> list[Counts]:
    """Return the counts of each cell of the leaderboard."""
    sides = ((paired.pair.first, paired.first), (paired.pair.second, paired.second))
    known = [_statuses(side, rows) for side, rows in sides]
    return [
        Counts(
            place,
            _of(known[0], place),
            _of(known[1], place),
            place.difference(),
            _without(place),
        )
        for place in paired.places(LEADERBOARD, fraction)
    ]


def frame(rows: Sequence[Counts]) -> pd.DataFrame:
    """Return a tidy row per place."""
    return pd.DataFrame(
        [
            {
                **place_record(row.place),
                **asdict(row.found),
                **_numbers(row.first, "first"),
                **_numbers(row.second, "second"),
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
    sides = [side for row in shown for side in (row.first, row.second)]
    seen = [name for name in STATUSES if any(map(operator.itemgetter(name), sides))]
    both = f"{first} | {second}"
    columns = (
        ("without", "empty masks"), ("seeds ×", "subjects"), ("speaks of",),
        *((name, both) for name in (*seen, "of rows")), (paired.pair.minus, "[95 % interval]"),
    )  # fmt: skip
    return Table(
        name=NAME,
        title=f"{paired.pair.minus}: empty masks and failures",
        row_names=("task", "metric"),
        rows=tuple(Row((place_text(row.place), metric_label(row.place))) for row in shown),
        columns=tuple(Column(header) for header in columns),
        cells=tuple(_cells(row, seen) for row in shown),
        sentences=said(
            *([scope_text([row.found for row in shown])] if shown else []),
            (
                "Without empty masks: the difference over subjects that have none on either side under any"
                " seed; all seeds stay. Where it goes away, empty masks make it. Those subjects are not drawn"
                " at random: this explains, and tests nothing, whatever it speaks of. Failed rows leave their"
                " subject out everywhere."
                if shown
                else "No empty masks and no failed rows on either side."
            ),
            *_unfinished(paired),
        ),
    )


def _statuses(side: Side, rows: Rows) -> pd.DataFrame:
    by = ["task", "fraction", "test_site", "metric", "status"]
    scores = rows.asked(side.run.manifest, LEADERBOARD).scores
    return scores.groupby(by, observed=True).size().rename("n").reset_index()


def _of(known: pd.DataFrame, place: Place) -> dict[str, int]:
    here = known["metric"].eq(place.metric)
    for name in ("task", "fraction", "test_site"):
        here &= known[name].eq(place.where[name])
    found = dict(zip(known.loc[here, "status"], known.loc[here, "n"], strict=True))
    return {**{name: int(found.get(name, 0)) for name in STATUSES}, "rows": int(known.loc[here, "n"].sum())}


def _without(place: Place) -> Difference:
    """Return the difference over subjects without an empty mask; a seed does not drop out with them."""
    kept = place.pairs
    empty: set[str] = set()
    for side in (place.first, place.second):
        counts = side["seed"].isin([UNTRAINED, *kept.seeds]) & side["n_empty"].gt(0)
        empty |= set(side.loc[counts, "subject"])
    return estimate_table_difference(kept.table()[:, ~kept.subjects.isin(empty)])


def _spoken_of(found: Difference) -> str:
    if found.scope == "nothing":
        return "nothing left" if found.n_subjects == 0 else "one subject left"
    return str(found.scope)


def _cells(row: Counts, seen: Sequence[str]) -> tuple[Cell, ...]:
    return (
        difference_cell(row.place, row.without),
        text_cell(f"{row.without.n_seeds} × {row.without.n_subjects}"),
        text_cell(_spoken_of(row.without)),
        *(text_cell(f"{row.first[name]} | {row.second[name]}") for name in (*seen, "rows")),
        difference_cell(row.place, row.found),
    )


def _unfinished(paired: Paired) -> list[str]:
    texts = []
    for side in (paired.pair.first, paired.pair.second):
        states = side.cells["state"]
        bad = {str(name): int(n) for name, n in states[states.ne("done")].value_counts().items()}
        if bad:
            listed = ", ".join(f"{n} {name}" for name, n in bad.items())
            texts.append(f"{side.name}: of {len(states)} evaluate jobs {listed}.")
    return texts
