"""How far a difference moves with the subjects whose labels are used; tables average over label subsets."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import pandas as pd

from mribench.compare.pairing import Paired, Place
from mribench.results.cells import LEADERBOARD
from mribench.statistics.crossed import SubsetComponents, estimate_subset_components
from mribench.statistics.tables import SEED, SUBJECT, VALUE, align_groups

SUBSET = "subset_seed"


def components(paired: Paired, places: Sequence[Place]) -> list[SubsetComponents | None]:
    """Return the variance components of the difference over label subsets × seeds × subjects.

    Args:
        paired: what is compared.
        places: cells of the leaderboard.

    Returns:
        one for each place; None where both sides share fewer than two subsets.
    """
    if any(rows.heads[SUBSET].nunique() < 2 for rows in (paired.first, paired.second)):
        return [None] * len(places)
    by = [*LEADERBOARD.keys, "metric"]
    sides = [
        dict(iter(means.groupby(by, dropna=False, sort=False)))
        for means in paired.subject_means(LEADERBOARD, apart=(SUBSET,))
    ]
    key_of = operator.itemgetter(*LEADERBOARD.keys)
    keys = [(*key_of(place.where), place.metric) for place in places]
    return [_components(sides[0][key], sides[1][key]) for key in keys]


def subset_sd(components: SubsetComponents | None) -> float:
    """Return the SD over label subsets, in units of the score; NaN where there is none."""
    return math.nan if components is None else math.sqrt(components.subset)


def _components(first: pd.DataFrame, second: pd.DataFrame) -> SubsetComponents | None:
    shared = sorted(set(first[SUBSET].dropna()) & set(second[SUBSET].dropna()))
    if len(shared) < 2:
        return None
    return estimate_subset_components(pd.concat([_differences(first, second, subset) for subset in shared]))


def _differences(first: pd.DataFrame, second: pd.DataFrame, subset: float) -> pd.DataFrame:
    """Return first minus second under one subset, a row for each seed and subject."""
    sides = {name: side[side[SUBSET] == subset] for name, side in (("first", first), ("second", second))}
    scores = align_groups(sides).difference()
    places = pd.MultiIndex.from_product([scores.seeds, scores.subjects], names=[SEED, SUBJECT])
    rows = pd.DataFrame({VALUE: scores.table().ravel()}, index=places).reset_index()
    return rows.assign(**{SUBSET: subset})
