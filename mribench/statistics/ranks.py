"""Ranks of methods across cells, and how stable they are under other subjects and seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.intervals import LEVEL
from mribench.statistics.tables import SUBJECT, VALUE, align_groups

RESAMPLES = 1000
"""Bootstrap resamples, as in challengeR."""


@dataclass(frozen=True)
class Ranks:
    """Mean ranks across cells.

    Attributes:
        methods: one row per method, best first: ``row``, ``mean_rank``, ``low``, ``high`` (percentile
            interval), ``p_first`` (share of resamples in which it is first, ties shared).
        tau: Kendall's τ of each resampled order of mean ranks with the observed one, ``(B,)``; NaN where
            either is all ties.
        tau_mean: its mean.
        tau_low: lower end of its percentile interval.
        tau_high: upper end.
        n_cells: cells ranked in.
        n_seeds: seeds of the cell that has fewest.
        n_subjects: different subjects.
        left_out: cells in which a method has no score, or no (seed, subject) pair is complete.
    """

    methods: pd.DataFrame
    tau: np.ndarray
    tau_mean: float
    tau_low: float
    tau_high: float
    n_cells: int
    n_seeds: int
    n_subjects: int
    left_out: tuple[object, ...]


@dataclass(frozen=True)
class _Cell:
    """A cell's complete scores ``(M, S, N)``, the larger the better, and where its seeds and subjects are."""

    scores: np.ndarray
    seeds: np.ndarray
    subjects: np.ndarray


def compute_mean_ranks(
    means: pd.DataFrame,
    by: Sequence[str],
    *,
    higher_is_better: Mapping[str, bool],
    rng: np.random.Generator,
    metric: str = "metric",
    cohort: str | None = None,
    row: str = "row",
    resamples: int = RESAMPLES,
) -> Ranks:
    """Rank the methods in every cell by their means, and average the ranks over cells.

    The bootstrap follows challengeR (Wiesenfarth et al. 2021, doi:10.1038/s41598-021-82017-6): test cases are
    resampled and everything is ranked anew. Here a subject that is in several cells is drawn for all of them
    together, and so are the seeds of each method. With one seed the intervals are for these checkpoints only.
    A percentile interval over fewer than five seeds is too short, whatever its method.

    Args:
        means: rows of ``subject_means`` by ``[*by, row]``.
        by: columns that make up a cell, among them ``metric``.
        higher_is_better: the direction of each metric.
        rng: for the resamples.
        metric: the column that names the metric.
        cohort: a column that tells subjects of the same name apart, such as the dataset.
        row: the column that names the method.
        resamples: how many.

    Raises:
        ValueError: for fewer than two methods.
    """
    names = sorted(means[row].unique())  # the draws do not depend on the order of rows
    if len(names) < 2:
        raise ValueError(f"expected at least two methods to rank, got {len(names)}")
    people = means[SUBJECT] if cohort is None else pd.MultiIndex.from_frame(means[[cohort, SUBJECT]])
    placed = means.assign(**{SUBJECT: pd.factorize(people, sort=True)[0]})
    cells, left_out = [], []
    for key, group in placed.groupby(list(by), dropna=False, sort=False):
        sign = 1.0 if higher_is_better[group[metric].iloc[0]] else -1.0
        cell = _rank_cell(group.assign(**{VALUE: sign * group[VALUE]}), names, row)
        if cell is None:
            left_out.append(key)
        else:
            cells.append(cell)
    if not cells:
        empty = pd.DataFrame(
            {"row": names, **dict.fromkeys(("mean_rank", "low", "high", "p_first"), math.nan)}
        )
        return Ranks(empty, np.empty(0), math.nan, math.nan, math.nan, 0, 0, 0, tuple(left_out))
    observed = _average([cell.scores.mean(axis=(1, 2))[None] for cell in cells])[0]
    drawn = _average(_resample_ranks(cells, len(names), resamples, rng))
    return _summarise(names, observed, drawn, cells, tuple(left_out))


def _rank_cell(group: pd.DataFrame, names: Sequence[str], row: str) -> _Cell | None:
    methods = dict(iter(group.groupby(row, sort=False)))
    scores = align_groups({name: methods[name] for name in names if name in methods})
    kept = scores.complete()
    if len(scores.names) < len(names) or not kept.cube.size:
        return None
    return _Cell(kept.cube, kept.seeds.to_numpy(), kept.subjects.to_numpy())


def _average(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over cells of the ranks of scores ``(B, M)``; the largest score has rank 1."""
    from scipy import stats  # slow to import, and few reports need it

    return np.mean([stats.rankdata(-found, axis=1) for found in scores], axis=0)


def _resample_ranks(
    cells: Sequence[_Cell], n_methods: int, resamples: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the mean scores ``(B, M)`` of every cell under the same resamples of subjects and seeds."""
    people = np.unique(np.concatenate([cell.subjects for cell in cells]))
    seeds = np.unique(np.concatenate([cell.seeds for cell in cells]))
    subject_weights = _draw_multiplicities(rng, resamples, len(people))
    # the seeds of two methods have nothing in common but their number: each method has its own draw
    seed_weights = np.stack(
        [_draw_multiplicities(rng, resamples, len(seeds)) for _ in range(n_methods)], axis=1
    )
    means = []
    for cell in cells:
        by_subject = subject_weights[:, np.searchsorted(people, cell.subjects)]
        by_seed = seed_weights[:, :, np.searchsorted(seeds, cell.seeds)]
        total = np.einsum("bms,msb->bm", by_seed, cell.scores @ by_subject.T)
        counts = by_seed.sum(axis=2) * by_subject.sum(axis=1)[:, None]
        # a draw that leaves a cell no subject or seed of its own keeps what was observed there
        mean = np.broadcast_to(cell.scores.mean(axis=(1, 2)), total.shape)
        means.append(np.divide(total, counts, out=mean.copy(), where=counts > 0))
    return means


def _draw_multiplicities(rng: np.random.Generator, resamples: int, n: int) -> np.ndarray:
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)


def _summarise(
    names: Sequence[str],
    observed: np.ndarray,
    drawn: np.ndarray,
    cells: Sequence[_Cell],
    left_out: tuple[object, ...],
) -> Ranks:
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(drawn, ends, axis=0)
    first = drawn == drawn.min(axis=1, keepdims=True)
    methods = pd.DataFrame(
        {
            "row": names,
            "mean_rank": observed,
            "low": low,
            "high": high,
            "p_first": (first / first.sum(axis=1, keepdims=True)).mean(axis=0),
        }
    )
    tau = compute_kendall_tau(observed, drawn)
    known = tau[np.isfinite(tau)]
    limits = np.quantile(known, ends) if len(known) else (math.nan, math.nan)
    return Ranks(
        methods=methods.sort_values(["mean_rank", "row"], ignore_index=True),
        tau=tau,
        tau_mean=float(known.mean()) if len(known) else math.nan,
        tau_low=float(limits[0]),
        tau_high=float(limits[1]),
        n_cells=len(cells),
        n_seeds=min(len(cell.seeds) for cell in cells),
        n_subjects=len(np.unique(np.concatenate([cell.subjects for cell in cells]))),
        left_out=left_out,
    )


def compute_kendall_tau(order: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Kendall's τ-b of one order with each of several, all pairs of all orders at once.

    τ-b = (concordant - discordant) / sqrt((P - tied in one)(P - tied in the other)), P = M (M - 1) / 2
    (Kendall 1945, doi:10.1093/biomet/33.3.239); ``scipy.stats.kendalltau`` in a loop takes a thousand times
    as long for the thousand orders of a bootstrap.

    Args:
        order: ``(M,)`` without NaN.
        others: ``(B, M)`` without NaN.

    Returns:
        ``(B,)``; NaN where either order is all ties, which has no τ.
    """
    first, second = np.triu_indices(len(order), k=1)
    one = np.sign(order[first] - order[second])
    other = np.sign(others[:, first] - others[:, second])
    untied = np.count_nonzero(one) * np.count_nonzero(other, axis=1)
    tau = np.divide(other @ one, np.sqrt(untied), out=np.full(len(others), math.nan), where=untied > 0)
    return np.clip(tau, -1.0, 1.0)
