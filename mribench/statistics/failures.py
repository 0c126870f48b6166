"""Scores that can fail, in two parts: how many fail, and how good the others are.

An empty mask counts as a penalty far from all other scores. No interval of a mean over a handful of those
holds: what the next subjects would be like rests on failures that were not seen yet. So the share of failures
has its own interval, and the mean without them another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from mribench.statistics.crossed import compute_mean_squares
from mribench.statistics.intervals import LEVEL, compute_exact_interval, estimate_interval, has_interval
from mribench.statistics.ranges import UNBOUNDED, Range
from mribench.statistics.tables import take_complete


@dataclass(frozen=True)
class Parts:
    """The scores of one method in two parts. A failure is a (seed, subject) pair with an empty mask.

    Attributes:
        failure_share: failures, of the (seed, subject) pairs; NaN without any.
        failure_low: lower end of its 95 % interval; NaN where there is none.
        failure_high: its upper end.
        without_mean: mean over the subjects without a failure under any seed; NaN without any.
        without_low: lower end of its 95 % interval; NaN where there is none.
        without_high: its upper end.
        n_subjects_without: those subjects.
    """

    failure_share: float = math.nan
    failure_low: float = math.nan
    failure_high: float = math.nan
    without_mean: float = math.nan
    without_low: float = math.nan
    without_high: float = math.nan
    n_subjects_without: int = 0


def estimate_share(failed: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the share of failures in a table ``(S, N)`` of 0 and 1, and the ends of its interval.

    Clopper and Pearson's (1934, doi:10.1093/biomet/26.4.404) over subjects: each counts as the share of seeds
    under which it fails, which is no more spread out than failing under all or none. With several seeds the
    spread of their shares is laid over it, the two halves on each side added in squares (Zou & Donner 2008,
    doi:10.1002/sim.3095).

    Args:
        failed: seeds along the rows, without NaN.
        level: confidence level.

    Returns:
        NaN for the ends where two seeds or two subjects leave no interval, for all without a pair.
    """
    n_seeds, n_subjects = failed.shape
    if not failed.size:
        return math.nan, math.nan, math.nan
    share = float(failed.mean())
    if not has_interval(n_seeds, n_subjects):
        return share, math.nan, math.nan
    low, high = compute_exact_interval(share * n_subjects, n_subjects, level)
    if n_seeds == 1:
        return share, low, high
    t = special.stdtrit(n_seeds - 1, (1 + level) / 2)
    of_seeds = t * math.sqrt(compute_mean_squares(failed)[0] / failed.size)
    low, high = share - math.hypot(share - low, of_seeds), share + math.hypot(high - share, of_seeds)
    return share, max(low, 0.0), min(high, 1.0)


def estimate_parts(values: np.ndarray, failed: np.ndarray, value_range: Range = UNBOUNDED) -> Parts:
    """Return the two parts of a table.

    Args:
        values: ``(S, N)`` scores, NaN where there is none.
        failed: ``(S, N)``, 1 where a mask was empty, 0 where none was, NaN where there is nothing.
        value_range: of the score.
    """
    share, low, high = estimate_share(take_complete(failed))
    scored, empty = ~np.isnan(values), failed == 1
    seeds = (scored | empty).any(axis=1)
    left = values[seeds][:, (scored & ~empty)[seeds].all(axis=0)] if seeds.any() else np.empty((0, 0))
    without = estimate_interval(left, value_range=value_range)
    return Parts(share, low, high, without.mean, without.low, without.high, left.shape[1])
