"""Wilcoxon's signed-rank test over subjects: a comparison of these checkpoints, not of methods.

Between two equal methods it finds a difference about half of the time, at any number of seeds, because lucky
seeds lift all subjects (``docs/statistics.md`` has the rates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from mribench.statistics.tables import align_groups

LARGEST_EXACT = 1000
"""Subjects above which the normal approximation is used."""


@dataclass(frozen=True)
class SignedRank:
    """A signed-rank test of these checkpoints.

    Attributes:
        statistic: the smaller of the two rank sums, zeros left out.
        p: two-sided; NaN without differences, 1 where all are 0.
        rank_biserial: (positive - negative rank sum) / their total (Kerby 2014, doi:10.2466/11.IT.3.1).
        n: subjects.
        n_zero: subjects without a difference, left out.
        how: ``exact`` over all 2ⁿ signs, ties and all; or ``normal``.
        scope: always ``these checkpoints``.
    """

    statistic: float
    p: float
    rank_biserial: float
    n: int
    n_zero: int
    how: Literal["exact", "normal"] = "exact"
    scope: Literal["these checkpoints"] = "these checkpoints"


def compare_checkpoints(first: pd.DataFrame, second: pd.DataFrame) -> SignedRank:
    """Test the differences of two sets of checkpoints, averaged over their seeds, subject by subject.

    Args:
        first: rows of ``subject_means`` of one method.
        second: those of the other; complete (seed, subject) pairs count.
    """
    return compare_checkpoint_table(align_groups({"a": first, "b": second}).difference().complete().table())


def compare_checkpoint_table(table: np.ndarray) -> SignedRank:
    """As ``compare_checkpoints``, of a table ``(S, N)`` of differences without NaN, seeds along the rows."""
    return rank_signed_differences(table.mean(axis=0) if table.size else np.empty(0))


def rank_signed_differences(differences: np.ndarray) -> SignedRank:
    """Return Wilcoxon's signed-rank test (Wilcoxon 1945, doi:10.2307/3001968) of differences ``(N,)``.

    Zeros are left out; ties share their mean rank. The null distribution is that of all 2ⁿ signs of these
    ranks, summed one rank after the other (Streitberg and Röhmel 1986, Statistical Software Newsletter 12),
    which SciPy's exact mode is only without ties.
    """
    n = len(differences)
    some = differences[differences != 0]
    if not len(some):
        return SignedRank(math.nan, 1.0 if n else math.nan, math.nan, n, n)
    ranks = rank_with_ties(np.abs(some))
    total, positive = float(ranks.sum()), float(ranks[some > 0].sum())
    statistic = min(positive, total - positive)
    exact = len(some) <= LARGEST_EXACT
    if exact:
        chances = rank_sum_chances(np.rint(2 * ranks).astype(np.int64))
        p = float(2 * chances[: round(2 * statistic) + 1].sum())
    else:
        p = float(2 * special.ndtr((statistic - total / 2) / math.sqrt(float(np.sum(ranks**2)) / 4)))
    biserial = (2 * positive - total) / total
    return SignedRank(statistic, min(p, 1.0), biserial, n, n - len(some), "exact" if exact else "normal")


def rank_with_ties(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values ``(N,)``, 1 for the smallest; ties share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def rank_sum_chances(doubled: np.ndarray) -> np.ndarray:
    """Return the chance of every doubled rank sum 0, 1, 2 … when each rank counts with probability ½.

    Args:
        doubled: ``(N,)`` doubled ranks, which are whole numbers even under ties.
    """
    chance = np.zeros(int(doubled.sum()) + 1)
    chance[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chance)
        moved[rank:] = chance[:-rank]
        chance = (chance + moved) / 2
    return chance
