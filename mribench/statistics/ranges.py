"""Intervals of means that stay within the range of a score, on a scale on which such means are less skew.

The mean of few scores that have a bound is skew: of distances, which have none above, or of shares near 1. An
interval of equal halves then misses the truth on the far side, too often. It is made on the scale

    g(x) = 1/(high - x) - 1/(x - low)

instead, with the term of each end that there is, and brought back. For log-normal scores this takes the
skewness of Student's t away to second order (Hall 1992, doi:10.1111/j.2517-6161.1992.tb01876.x, on such
transformations); ``docs/statistics.md`` has what it covers, and what the logarithm and others did.

Values of whole sets, such as areas under a curve and correlations, are made on logarithmic scales instead
(``place_set_ends``): the components of subjects, whose mean such a value is, are not bound by its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scipy import special

Range = tuple[float, float]
"""Smallest and largest value of a score; infinite where there is none."""
UNBOUNDED: Range = (-math.inf, math.inf)


class SetRange(NamedTuple):
    """Smallest and largest value of a score of a whole set; its components may lie outside."""

    low: float
    high: float


RangeOf = Callable[[Mapping[str, Any]], Range]
"""Gives the value range of a group of scores, by the columns that make it up."""


def give_no_range(_: Mapping[str, Any]) -> Range:
    """Return ``UNBOUNDED``, whatever the group."""
    return UNBOUNDED


def place_ends_over(mean: float, half: float, value_range: Range, n_subjects: int) -> Range:
    """Return ``place_ends`` of a mean over n subjects.

    The spread of few skew scores mostly comes out too small: with a bound, half is longer by its n-th part.
    """
    return place_ends(mean, half if value_range == UNBOUNDED else half * (1 + 1 / n_subjects), value_range)


def place_ends(mean: float, half: float, value_range: Range = UNBOUNDED) -> Range:
    """Return the ends of the interval of a mean.

    Args:
        mean: of the scores.
        half: half the length that the interval has on the scale of the scores
            (``intervals.compute_half_width``).
        value_range: of the score. A mean at an end of it, or beyond, has equal halves.

    Returns:
        NaN for both where the scale has no end: the interval would be without bound.
    """
    low, high = value_range
    inside = low < mean < high
    if not math.isfinite(half) or not inside or value_range == UNBOUNDED:
        return mean - half, mean + half
    if math.isinf(low):
        first, last = place_ends(-mean, half, (-high, math.inf))
        return -last, -first
    if math.isinf(high):
        share = half / (mean - low)
        return (low + (mean - low) / (1 + share), low + (mean - low) / (1 - share)) if share < 1 else _NONE
    width = high - low
    share = (mean - low) / width
    at = 1 / (1 - share) - 1 / share
    half *= (1 / (1 - share) ** 2 + 1 / share**2) / width
    return low + width * _transform_back(at - half), low + width * _transform_back(at + half)


_NONE = (math.nan, math.nan)


def place_set_ends(mean: float, half: float, value_range: SetRange) -> Range:
    """Return the ends of the interval of a value of a whole set, by the delta method.

    With two bounds on the scale of the logit of its place between them, which for a correlation is that of
    Fisher's z (1915, doi:10.2307/2331838); with one on that of the logarithm of its distance from the bound.

    Args:
        mean: over seeds, of the values.
        half: half the length that the interval has on the scale of the values.
        value_range: of the value.

    Returns:
        NaN for both at a bound or beyond it, and without any spread: nothing says how far it may be off.
    """
    low, high = value_range
    if not (math.isfinite(half) and half > 0 and low < mean < high):
        return _NONE
    if math.isinf(low) and math.isinf(high):
        return mean - half, mean + half
    if math.isinf(low):
        first, last = place_set_ends(-mean, half, SetRange(-high, math.inf))
        return -last, -first
    if math.isinf(high):
        factor = math.exp(half / (mean - low))
        return low + (mean - low) / factor, low + (mean - low) * factor
    width = high - low
    share = (mean - low) / width
    at, half = special.logit(share), half / width / (share * (1 - share))
    return low + width * float(special.expit(at - half)), low + width * float(special.expit(at + half))


def _transform_back(value: float) -> float:
    """Return the x in (0, 1) with 1/(1 - x) - 1/x = value."""
    near_zero = 2 / (2 + abs(value) + math.hypot(value, 2.0))
    return near_zero if value < 0 else 1 - near_zero
