"""Transfer between sequences: what is left of a score on sequences that were not trained on."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.intervals import LEVEL, Interval, estimate_interval, find_seed_range, withhold_few
from mribench.statistics.ranges import UNBOUNDED, Range, place_ends
from mribench.statistics.tables import align_groups

TRAIN, TEST = "train_sequence", "test_sequence"
_EMPTY = Interval(math.nan, math.nan, math.nan, math.nan, math.nan, 0, 0)


@dataclass(frozen=True)
class Transfer:
    """A transfer matrix in three numbers.

    Attributes:
        own: mean of the diagonal, trained and tested on the same sequence.
        other: mean off the diagonal.
        ratio: invariance ratio. 1: as good on the other sequences; below 1: worse. ``other`` / ``own``, or
            ``own`` / ``other`` where lower scores are better. NaN unless both means are above 0.
        matrix: means by training sequence (rows) and test sequence (columns).
        missing: cells (train, test) without any score.
    """

    own: Interval
    other: Interval
    ratio: Interval
    matrix: pd.DataFrame
    missing: tuple[tuple[str, str], ...]


def estimate_transfer(
    means: pd.DataFrame, *, higher_is_better: bool, level: float = LEVEL, value_range: Range = UNBOUNDED
) -> Transfer:
    """Return the summary of one method's transfer matrix over the sequences it was trained and tested on.

    Each cell has the same weight. Of each seed and subject the diagonal and the other cells are averaged,
    over the seeds and subjects that all cells have; both means have crossed intervals, and the ratio r one of
    the delta method: that of the table (other - r own) / mean own.

    Args:
        means: rows of ``subject_means`` by ``train_sequence`` and ``test_sequence``, of one method, task,
            site, fraction and metric. Test sequences that were not trained on are not of the matrix.
        higher_is_better: the direction of the metric.
        level: confidence level.
        value_range: of the metric.
    """
    tested = set(means[TEST])
    sequences = [name for name in dict.fromkeys(means[TRAIN].dropna()) if name in tested]
    inside = means[means[TRAIN].isin(sequences) & means[TEST].isin(sequences)]
    keyed = {str(place): place for place in itertools.product(sequences, repeat=2)}
    groups = {
        key: inside[inside[TRAIN].eq(train) & inside[TEST].eq(test)] for key, (train, test) in keyed.items()
    }
    scores = align_groups(groups)
    places = [keyed[name] for name in scores.names]
    missing = tuple(place for place in keyed.values() if place not in places)
    kept = scores.complete().cube
    matrix = pd.DataFrame(math.nan, index=sequences, columns=sequences)
    for (train, test), table in zip(places, kept, strict=True):
        matrix.loc[train, test] = table.mean() if table.size else math.nan
    if missing or len(sequences) < 2:
        return Transfer(_EMPTY, _EMPTY, _EMPTY, matrix, missing)
    diagonal = np.array([train == test for train, test in places])
    own, other = kept[diagonal].mean(axis=0), kept[~diagonal].mean(axis=0)
    upper, lower = (other, own) if higher_is_better else (own, other)
    return Transfer(
        own=withhold_few(estimate_interval(own, level, value_range), inside),
        other=withhold_few(estimate_interval(other, level, value_range), inside),
        ratio=withhold_few(estimate_ratio(upper, lower, level), inside),
        matrix=matrix,
        missing=missing,
    )


def estimate_ratio(upper: np.ndarray, lower: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the ratio of two means over the same ``(S, N)`` pairs, its interval by the delta method."""
    if not upper.size or not (upper.mean() > 0 and lower.mean() > 0):
        return _EMPTY
    ratio = float(upper.mean() / lower.mean())
    linear = estimate_interval((upper - ratio * lower) / lower.mean(), level)
    low, high = place_ends(ratio, linear.high - linear.mean, (0.0, math.inf))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_seed = find_seed_range(upper.mean(axis=1) / lower.mean(axis=1))
    return Interval(ratio, linear.se, linear.df, low, high, linear.n_seeds, linear.n_subjects, *by_seed)
