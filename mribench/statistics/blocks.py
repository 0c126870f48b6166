"""Friedman's test and Nemenyi's critical difference, over blocks that are independent of each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

_LEAST_METHODS = 3
_LEAST_BLOCKS = 5


@dataclass(frozen=True)
class CriticalDifference:
    """What a critical-difference diagram shows, or why there is none.

    Attributes:
        mean_ranks: by method, 1 is best; best first.
        chi2: Friedman's statistic.
        p: its p.
        critical_difference: of two mean ranks, at ``alpha``.
        nemenyi: p of every pair, methods × methods.
        n_blocks: blocks.
        reason: why there is nothing above; empty otherwise.
    """

    mean_ranks: pd.Series
    chi2: float
    p: float
    critical_difference: float
    nemenyi: pd.DataFrame
    n_blocks: int
    reason: str


def why_dependent(rests_on: Mapping[Hashable, Collection[Hashable]]) -> str:
    """Return why blocks are not independent of each other, or an empty string.

    Args:
        rests_on: what each block rests on. For a claim about these checkpoints its subjects; for one about
            methods also its train seeds, because a lucky encoder is lucky in every block that it serves.
    """
    sets = {block: set(names) for block, names in rests_on.items()}
    for block, names in sets.items():
        if not names:
            return f"nothing is known of what block {block} rests on"
    for (first, left), (second, right) in itertools.combinations(sets.items(), 2):
        shared = sorted(map(str, left & right))
        if shared:
            more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
            return f"blocks {first} and {second} share {shared[0]}{more}: their ranks are not independent"
    return ""


def critical_difference(
    scores: pd.DataFrame,
    rests_on: Mapping[Hashable, Collection[Hashable]],
    *,
    higher_is_better: bool,
    alpha: float = 0.05,
) -> CriticalDifference:
    """Rank the methods within blocks; Friedman's test, then Nemenyi's.

    Friedman 1937 (doi:10.1080/01621459.1937.10503522); Nemenyi 1963; CD = q sqrt(k (k + 1) / (6 n)) with the
    Studentised range q / √2 (Demšar 2006, Journal of Machine Learning Research 7, 1-30).

    Args:
        scores: blocks × methods, one direction for all.
        rests_on: what each block of ``scores`` rests on, as ``why_dependent`` takes it.
        higher_is_better: the direction.
        alpha: level of the critical difference.

    Raises:
        ValueError: for a block that ``rests_on`` lacks.
    """
    unknown = [block for block in scores.index if block not in rests_on]
    if unknown:
        raise ValueError(f"expected what each block rests on, got nothing for {unknown[0]}")
    n, k = scores.shape
    reason = _why_not(scores, n, k) or why_dependent({block: rests_on[block] for block in scores.index})
    if reason:
        nothing = pd.Series(math.nan, index=scores.columns)
        empty = pd.DataFrame(math.nan, index=scores.columns, columns=scores.columns)
        return CriticalDifference(nothing, math.nan, math.nan, math.nan, empty, n, reason)
    from scikit_posthocs import posthoc_nemenyi_friedman  # slow to import, and few tables need it

    values = scores.to_numpy(float)
    ranks = stats.rankdata(-values if higher_is_better else values, axis=1)
    found = stats.friedmanchisquare(*values.T)
    nemenyi = posthoc_nemenyi_friedman(values)
    quantile = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return CriticalDifference(
        mean_ranks=pd.Series(ranks.mean(axis=0), index=scores.columns).sort_values(kind="stable"),
        chi2=float(found.statistic),
        p=float(found.pvalue),
        critical_difference=quantile * math.sqrt(k * (k + 1) / (6 * n)),
        nemenyi=pd.DataFrame(nemenyi.to_numpy(), index=scores.columns, columns=scores.columns),
        n_blocks=n,
        reason="",
    )


def _why_not(scores: pd.DataFrame, n: int, k: int) -> str:
    if k < _LEAST_METHODS:
        return f"{k} methods, Friedman's test needs {_LEAST_METHODS}"
    if n < _LEAST_BLOCKS:
        return f"{n} blocks, at least {_LEAST_BLOCKS} are needed"
    gaps = scores.isna().any(axis=1)
    if gaps.any():
        return f"block {scores.index[int(gaps.to_numpy().argmax())]} lacks a score"
    values = scores.to_numpy(float)
    return "all methods are tied in every block" if (values == values[:, :1]).all() else ""
