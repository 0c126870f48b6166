"""Friedman's test and Nemenyi's critical difference, over blocks that are independent of each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.difference import ENOUGH_SEEDS, Scope, judge_scope
from mribench.statistics.tables import Scores, align_groups
from mribench.wording import list_some

ALPHA = 0.05
"""Level of both tests."""
LEAST_BLOCKS = 5
"""With fewer, Nemenyi's limit is hardly in reach: for 3 methods in 4 blocks 1.66 of at most 2 ranks."""
_LEAST_METHODS = 3


@dataclass(frozen=True)
class Blocks:
    """Scores of several methods in blocks that share nothing.

    Attributes:
        scores: blocks × methods.
        rests_on: what each block rests on, as ``compute_critical_difference`` takes it.
        scope: what ranks over them speak of: ``methods``, ``these checkpoints`` or ``nothing``.
        n_seeds: train seeds behind them.
        n_subjects: subjects behind them.
    """

    scores: pd.DataFrame
    rests_on: dict[Hashable, tuple[str, ...]]
    scope: Scope
    n_seeds: int
    n_subjects: int


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


def explain_dependence(rests_on: Mapping[Hashable, Collection[Hashable]]) -> str:
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
            shared_names = list_some(shared, 1)
            return f"blocks {first} and {second} share {shared_names}: their ranks are not independent"
    return ""


def form_independent_blocks(groups: Mapping[str, pd.DataFrame]) -> Blocks:
    """Return the independent blocks of methods in one place and metric.

    With ``ENOUGH_SEEDS`` seeds and as many subjects a block is a train seed and its own share of the
    subjects, dealt in turn by name: no two blocks share a model or a subject, so ranks over them speak of
    methods. With fewer seeds a block is one subject, seeds averaged: all blocks then share the models, and
    ranks speak of these checkpoints alone.

    Args:
        groups: rows of ``subject_means`` by method. Seeds and subjects that all methods have count.
    """
    kept = align_groups(groups).complete()
    n_seeds, n_subjects = kept.cube.shape[1:]
    if ENOUGH_SEEDS <= n_seeds <= n_subjects:
        return _form_blocks_by_seed(kept)
    scope: Scope = "these checkpoints" if judge_scope(n_seeds, n_subjects) != "nothing" else "nothing"
    names = [str(name) for name in kept.subjects]
    scores = pd.DataFrame(
        kept.cube.mean(axis=1).T if kept.cube.size else np.empty((0, len(kept.names))), names, kept.names
    )
    return Blocks(scores, {name: (name,) for name in names}, scope, n_seeds, n_subjects)


def _form_blocks_by_seed(kept: Scores) -> Blocks:
    order = sorted(range(len(kept.subjects)), key=lambda place: str(kept.subjects[place]))
    n_seeds = len(kept.seeds)
    shares = {f"seed {seed}": order[place::n_seeds] for place, seed in enumerate(kept.seeds)}
    scores = pd.DataFrame(
        [kept.cube[:, place, share].mean(axis=1) for place, share in enumerate(shares.values())],
        list(shares), kept.names,
    )  # fmt: skip
    rests_on: dict[Hashable, tuple[str, ...]] = {}
    for name, share in shares.items():
        rests_on[name] = (name, *(f"subject {kept.subjects[place]}" for place in share))
    return Blocks(scores, rests_on, "methods", n_seeds, len(order))


def group_not_separated(ranking: CriticalDifference, alpha: float = ALPHA) -> list[tuple[str, ...]]:
    """Return the largest sets of methods within one critical difference, each best first.

    All methods are one set where Friedman's test is not significant, as Demšar 2006 (Journal of Machine
    Learning Research 7, 1-30, section 3.2.2) has Nemenyi's test only after it: the two together separate no
    more than ``alpha`` of equal methods, from five blocks on.

    Args:
        ranking: of ``compute_critical_difference``; nothing is in no set where it has a reason.
        alpha: level of Friedman's test.
    """
    if ranking.reason:
        return []
    names, ranks = [str(name) for name in ranking.mean_ranks.index], ranking.mean_ranks.to_numpy()
    if ranking.p >= alpha:
        return [tuple(names)]
    sets: list[tuple[str, ...]] = []
    end = 0
    for start in range(len(names)):
        last = int(np.searchsorted(ranks, ranks[start] + ranking.critical_difference, side="right"))
        if last > end and last - start > 1:
            sets.append(tuple(names[start:last]))
        end = max(end, last)
    return sets


def compute_critical_difference(
    scores: pd.DataFrame,
    rests_on: Mapping[Hashable, Collection[Hashable]],
    *,
    higher_is_better: bool,
    alpha: float = ALPHA,
) -> CriticalDifference:
    """Rank the methods within blocks; Friedman's test, then Nemenyi's.

    Friedman 1937 (doi:10.1080/01621459.1937.10503522); Nemenyi 1963; CD = q sqrt(k (k + 1) / (6 n)) with the
    Studentised range q / √2 (Demšar 2006, Journal of Machine Learning Research 7, 1-30).

    Args:
        scores: blocks × methods, one direction for all.
        rests_on: what each block of ``scores`` rests on, as ``explain_dependence`` takes it.
        higher_is_better: the direction.
        alpha: level of the critical difference.

    Raises:
        ValueError: for a block that ``rests_on`` lacks.
    """
    unknown = [block for block in scores.index if block not in rests_on]
    if unknown:
        raise ValueError(f"expected what each block rests on, got nothing for {unknown[0]}")
    n, k = scores.shape
    reason = _explain_refusal(scores, n, k) or explain_dependence(
        {block: rests_on[block] for block in scores.index}
    )
    if reason:
        nothing = pd.Series(math.nan, index=scores.columns)
        empty = pd.DataFrame(math.nan, index=scores.columns, columns=scores.columns)
        return CriticalDifference(nothing, math.nan, math.nan, math.nan, empty, n, reason)
    from scikit_posthocs import posthoc_nemenyi_friedman  # slow to import, and few tables need them
    from scipy import stats

    values = scores.to_numpy(float)
    ranks = stats.rankdata(-values if higher_is_better else values, axis=1)
    friedman = stats.friedmanchisquare(*values.T)
    nemenyi = posthoc_nemenyi_friedman(values)
    quantile = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return CriticalDifference(
        mean_ranks=pd.Series(ranks.mean(axis=0), index=scores.columns).sort_values(kind="stable"),
        chi2=float(friedman.statistic),
        p=float(friedman.pvalue),
        critical_difference=quantile * math.sqrt(k * (k + 1) / (6 * n)),
        nemenyi=pd.DataFrame(nemenyi.to_numpy(), index=scores.columns, columns=scores.columns),
        n_blocks=n,
        reason="",
    )


def _explain_refusal(scores: pd.DataFrame, n: int, k: int) -> str:
    if k < _LEAST_METHODS:
        return f"{k} methods, Friedman's test needs {_LEAST_METHODS}"
    if n < LEAST_BLOCKS:
        return f"{n} blocks, at least {LEAST_BLOCKS} are needed"
    gaps = scores.isna().any(axis=1)
    if gaps.any():
        return f"block {scores.index[int(gaps.to_numpy().argmax())]} lacks a score"
    values = scores.to_numpy(float)
    return "all methods are tied in every block" if (values == values[:, :1]).all() else ""
