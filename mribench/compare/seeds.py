"""The table ``seeds``: the difference seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.compare.pairing import Paired, Place
from mribench.compare.text import PLACE_COLUMNS, place_record, signed_cell, table_by_place
from mribench.interfaces.document import TidyColumns
from mribench.interfaces.table import Cell, Table, text_cell
from mribench.results.cells import LEADERBOARD
from mribench.results.formatting import cell_text

NAME = "seeds"
COLUMNS: TidyColumns = {**PLACE_COLUMNS, "seed": "Int64", "difference": "float64"}


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


def frame(rows: Sequence[BySeed]) -> pd.DataFrame:
    """Return a tidy row per place and seed."""
    return pd.DataFrame(
        [
            {**place_record(row.place), "seed": seed, "difference": mean}
            for row in rows
            for seed, mean in row.means.items()
        ]
    )


def table(paired: Paired, rows: Sequence[BySeed]) -> Table:
    """Return a row per task, fraction and metric; a column per seed."""
    seeds = sorted({seed for row in rows for seed in row.means})
    first = paired.pair.names[0]
    headers = [("range over seeds",), (f"{first} better", "in seeds"), *((f"seed {seed}",) for seed in seeds)]
    return table_by_place(
        NAME,
        f"{paired.pair.minus}: seed by seed",
        headers,
        [(row.place, _make_cells(row, seeds)) for row in rows],
        "Mean difference over the subjects that both have under every seed. A seed is another"
        " training of both methods; seeds are paired by number.",
    )


def _make_cells(row: BySeed, seeds: Sequence[int]) -> tuple[Cell | None, ...]:
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
