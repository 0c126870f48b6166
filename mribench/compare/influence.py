"""How much of a difference rests on single subjects or seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mribench.statistics.intervals import Interval, estimate_interval

RESTS, HIDDEN, TURNS, NO = "rests on it", "hidden by it", "turns round without it", "no"
ENOUGH = 3
"""Subjects below which leaving one out says nothing."""


@dataclass(frozen=True)
class Influence:
    """What leaving out one subject after the other does to a mean difference.

    Attributes:
        subject: the one that matters most: whose absence changes what the interval says, else moves the mean
            most; empty with fewer than three.
        without: mean without that one.
        low: lower end of its 95 % interval.
        high: its upper end.
        lowest: smallest mean without any one subject.
        highest: largest.
        effect: ``rests on it`` where the interval leaves out 0 with, and not without it; ``hidden by it`` the
            other way round; ``turns round without it`` where the mean changes its sign; else ``no``.
        means: ``(N,)`` mean without each subject.
    """

    subject: str
    without: float
    low: float
    high: float
    lowest: float
    highest: float
    effect: str
    means: np.ndarray


def influence(table: np.ndarray, subjects: list[str]) -> Influence:
    """Leave out one subject after the other.

    Args:
        table: ``(S, N)`` differences without NaN, seeds along the rows.
        subjects: ``N`` ids.
    """
    n = len(subjects)
    means = without_each(table)
    if n < ENOUGH:
        return Influence("", math.nan, math.nan, math.nan, math.nan, math.nan, NO, means)
    whole = estimate_interval(table)
    kept = [estimate_interval(np.delete(table, k, axis=1)) for k in range(n)]
    effects = [_find_effect(whole, one) for one in kept]
    order = (TURNS, RESTS, HIDDEN, NO)
    strongest = min(effects, key=order.index)
    k = max((k for k in range(n) if effects[k] == strongest), key=lambda k: abs(means[k] - whole.mean))
    one = kept[k]
    return Influence(
        subjects[k], one.mean, one.low, one.high, float(means.min()), float(means.max()), strongest, means
    )


def without_each(table: np.ndarray) -> np.ndarray:
    """Return the mean of a table ``(S, N)`` without each of its columns: ``(N,)``, NaN with one column."""
    n_seeds, n = table.shape
    if n < 2 or not n_seeds:
        return np.full(n, math.nan)
    by_subject = table.mean(axis=0)
    return (by_subject.sum() - by_subject) / (n - 1)


def _find_effect(whole: Interval, one: Interval) -> str:
    clear, still = (part.low > 0 or part.high < 0 for part in (whole, one))
    if whole.mean * one.mean < 0 and (clear or still):
        return TURNS
    if clear and not still:
        return RESTS
    return HIDDEN if still and not clear else NO
