"""How small a difference the places of a leaderboard could have seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mribench.statistics.crossed import Components
from mribench.statistics.marking import find_shared
from mribench.statistics.power import Design, find_detectable_difference, pool_components
from mribench.statistics.tables import align_tables, make_table


@dataclass(frozen=True)
class PlacePower:
    """What one place of the leaderboard could have seen.

    Attributes:
        task: its name.
        metric: id of the metric.
        fraction: of the training subjects.
        design: what is compared over what.
        components: of the difference of two rows, pooled over all pairs.
        difference: the smallest one of two rows that would have been found; NaN below five seeds.
    """

    task: str
    metric: str
    fraction: float
    design: Design
    components: Components
    difference: float


def list_powers(values: pd.DataFrame, cells: pd.DataFrame) -> list[PlacePower]:
    """Return what each place of the leaderboard could have seen; nothing of one row, seed or subject.

    As for the marks, rows that lack what others have are out (``marking.find_shared``); so are those that
    nothing was trained for.

    Args:
        values: rows of ``subject_means`` by ``row``, ``task``, ``metric`` and ``fraction``.
        cells: of the leaderboard, with their ``status``.
    """
    place = ["task", "metric", "fraction"]
    complete = cells.loc[cells["status"].eq("ok"), ["row", *place]].dropna()
    return list(_list_places(values.merge(complete, on=["row", *place]), place))


def _list_places(values: pd.DataFrame, place: list[str]) -> Iterator[PlacePower]:
    groups: Any = values.groupby(place, sort=False)
    for (task, metric, fraction), group in groups:
        by_row: Any = group.groupby("row", sort=False)
        tables = {str(row): make_table(rows) for row, rows in by_row}
        shared = find_shared(tables)
        cube = align_tables({row: shared.part_of(tables[row]) for row in shared.members}).complete().cube
        if min(cube.shape) < 2:
            continue
        design, components = Design(*cube.shape), pool_components(cube)
        difference = find_detectable_difference(components, design)
        yield PlacePower(task, metric, fraction, design, components, difference)
