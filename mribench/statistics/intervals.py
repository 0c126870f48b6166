"""Confidence intervals and tests of a mean over crossed seeds and subjects.

The mean of a table (S seeds, N subjects) has the variance E[MS_seed + MS_subject - MS_residual] / (S N).
Three decisions make an interval of it; ``docs/statistics.md`` has what the alternatives gave.

1. The component of the factor with fewer levels, mostly the seeds, is never set to 0. Few mean squares are
   often small by luck, and an interval that then leaves the seeds out is far too short.
2. The component of the other factor is: with many levels that costs little, and the variance stays positive.
3. Each of the two terms keeps its own Student quantile: half-width² = Σ tᵢ² sᵢ² (Banerjee 1960, Sankhyā 22,
   357-358). Such an interval covers at least as often as it says for a sum of independent mean squares, at
   every level, which one quantile at Satterthwaite's degrees of freedom does not with few seeds or far in the
   tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from mribench.statistics.crossed import compute_mean_squares, estimate_mean_and_se
from mribench.statistics.ranges import UNBOUNDED, Range, SetRange, place_ends_over, place_set_ends

LEVEL = 0.95
"""Confidence level of the intervals."""
_TINIEST = 1e-300
_HALVINGS = 70


@dataclass(frozen=True)
class Interval:
    """A mean with its standard error and interval.

    Attributes:
        mean: over the table; NaN where it is empty.
        se: standard error as tables show it (``crossed.estimate_mean_and_se``); NaN where there is none.
        df: Satterthwaite's degrees of freedom of ``se``. The interval does not rest on them.
        low: lower end of the interval; NaN where there is none (``has_interval``).
        high: its upper end.
        n_seeds: seeds in the table.
        n_subjects: subjects in the table.
        seed_low: the lowest mean of one seed; NaN without two seeds.
        seed_high: the highest.
    """

    mean: float
    se: float
    df: float
    low: float
    high: float
    n_seeds: int
    n_subjects: int
    seed_low: float = math.nan
    seed_high: float = math.nan


def has_interval(n_seeds: int, *n_subjects: int) -> bool:
    """Whether an interval over so many seeds and subjects says anything.

    Two seeds or two subjects leave one degree of freedom, at which Student's t is 12.7: there is no interval,
    and the seeds' own means are shown instead. With one seed it is over subjects, about these checkpoints.
    """
    return n_seeds != 2 and min(n_subjects) > 2


def find_seed_range(by_seed: np.ndarray) -> Range:
    """Return the lowest and the highest of the means ``(S,)`` of single seeds; NaN without two."""
    return (float(by_seed.min()), float(by_seed.max())) if len(by_seed) > 1 else (math.nan, math.nan)


def split_variance(
    ms_seed: np.ndarray, ms_subject: np.ndarray, ms_residual: np.ndarray, n_seeds: int, n_subjects: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two terms of the variance of a crossed mean, and their degrees of freedom.

    Args:
        ms_seed: mean squares ``(…)`` of seeds (``crossed.compute_mean_squares``).
        ms_subject: those of subjects.
        ms_residual: those of the residual.
        n_seeds: at least 2.
        n_subjects: at least 2.

    Returns:
        ``(…, 2)`` and ``(2,)``: first the term of the factor with fewer levels (seeds if they are as many).
    """
    first, second = (ms_seed, ms_subject) if n_seeds <= n_subjects else (ms_subject, ms_seed)
    few, many = sorted((n_seeds, n_subjects))
    rest = np.maximum(np.subtract(second, ms_residual), 0.0)
    terms = np.stack(np.broadcast_arrays(first, rest), axis=-1) / (n_seeds * n_subjects)
    return terms, np.array([few - 1.0, many - 1.0])


def split_table_variance(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of the variance of the mean of a table ``(S, N)``, and their degrees of freedom.

    With one seed it is the variance over subjects alone, which says nothing about other seeds.
    """
    n_seeds, n_subjects = table.shape
    if n_subjects < 2 or n_seeds < 1 or not np.isfinite(table).all():
        return np.array([math.nan]), np.array([math.nan])
    if n_seeds == 1:
        return np.array([table.var(ddof=1) / n_subjects]), np.array([n_subjects - 1.0])
    seed, subject, residual = (np.asarray(square) for square in compute_mean_squares(table))
    return split_variance(seed, subject, residual, n_seeds, n_subjects)


def compute_half_width(terms: np.ndarray, df: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Return half the length of the interval, sqrt(Σ tᵢ² sᵢ²) (Banerjee 1960).

    Args:
        terms: ``(…, K)`` independent terms sᵢ² of the variance of a mean.
        df: ``(K,)`` degrees of freedom of each.
        level: confidence level.
    """
    quantiles = special.stdtrit(df, (1 + level) / 2)
    return np.sqrt(np.sum(terms * quantiles**2, axis=-1))


def compute_set_half_width(table: np.ndarray, level: float = LEVEL) -> float:
    """Return half the length of the interval of a value of a whole set, on the scale of the values.

    As ``compute_half_width``, with the degrees of freedom that the components of subjects leave
    (``count_degrees_of_freedom``); their spread mostly comes out too small when they are few, so half is
    longer by their share of 1.

    Args:
        table: components ``(S, N)``, N at least 2, without NaN.
        level: confidence level.
    """
    terms, df = split_table_variance(table)
    freedom = count_degrees_of_freedom(table.mean(axis=0))
    n_seeds, n_subjects = table.shape
    of_subjects = -1 if n_seeds <= n_subjects else 0
    df = df.copy()
    df[of_subjects] = freedom
    return float(compute_half_width(terms, df, level)) * (1 + 1 / freedom)


def count_degrees_of_freedom(values: np.ndarray) -> float:
    """Return the degrees of freedom of the variance of values ``(N,)`` that are not normal, 1 to N - 1.

    2 N / (κ - (N - 3)/(N - 1)) with the sample's kurtosis κ, N - 1 for that of a normal one (O'Neill 2014,
    doi:10.1080/00031305.2014.966589). A handful of subjects that carry most of the variance, as those of a
    rare class do, leave few.
    """
    n = len(values)
    squares = (values - values.mean()) ** 2
    total = float(squares.sum())
    if n < 3 or total <= 0:
        return n - 1.0
    kurtosis = n * float((squares**2).sum()) / total**2
    spread = kurtosis - (n - 3) / (n - 1)
    return max(1.0, min(n - 1.0, 2 * n / spread)) if spread > 0 else n - 1.0


def compute_p_value(mean: np.ndarray | float, terms: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the two-sided p of a mean against 0: 1 - the level of the interval that just reaches 0.

    Args:
        mean: ``(…)``.
        terms: ``(…, K)`` as in ``compute_half_width``.
        df: ``(K,)``.

    Returns:
        ``(…)``; 1 for a mean of 0, 0 for any other one without variance, NaN for NaN.
    """
    mean = np.abs(np.asarray(mean, dtype=float))
    total = np.sum(terms, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean > 0, mean / np.sqrt(total), 0.0)
    known = np.isfinite(mean) & np.isfinite(total)
    usual = np.isfinite(ratio) & known
    # one t quantile for all terms, of the most and the fewest degrees of freedom, brackets the root
    t = np.where(usual, ratio, 0.0)
    low, high = (np.log(np.maximum(2 * special.stdtr(pick, -t), _TINIEST)) for pick in (df.max(), df.min()))
    for _ in range(_HALVINGS if len(df) > 1 else 0):
        middle = (low + high) / 2
        quantiles = special.stdtrit(df, np.exp(middle)[..., None] / 2)
        above = np.sum(terms * quantiles**2, axis=-1) > mean**2  # an interval that holds 0: p is larger
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    p = np.where(usual, np.minimum(np.exp(high), 1.0), 0.0)
    return np.where(known, p, np.nan)


def compute_exact_interval(count: float, total: int, level: float = LEVEL) -> Range:
    """Return the exact interval of a share, of Clopper & Pearson 1934 (doi:10.1093/biomet/26.4.404).

    Args:
        count: how many have something; a fraction of one counts as it is.
        total: of how many, at least 1.
        level: confidence level.
    """
    tail = (1 - level) / 2
    low = 0.0 if count <= 0 else float(special.betaincinv(count, total - count + 1, tail))
    high = 1.0 if count >= total else float(special.betaincinv(count + 1, total - count, 1 - tail))
    return low, high


def estimate_interval(table: np.ndarray, level: float = LEVEL, value_range: Range = UNBOUNDED) -> Interval:
    """Return the mean of a table ``(S, N)``, seeds along the rows, with its interval.

    With one seed the interval is Student's over subjects: valid for these checkpoints only.

    Args:
        table: scores without NaN.
        level: confidence level.
        value_range: of the scores, in which the interval stays (``ranges``).
    """
    mean, se, df = estimate_mean_and_se(table)
    n_seeds, n_subjects = table.shape
    low = high = math.nan
    if has_interval(n_seeds, n_subjects) and isinstance(value_range, SetRange):
        low, high = place_set_ends(mean, compute_set_half_width(table, level), value_range)
    elif has_interval(n_seeds, n_subjects):
        half = float(compute_half_width(*split_table_variance(table), level))
        low, high = place_ends_over(mean, half, value_range, n_subjects)
    by_seed = table.mean(axis=1) if n_subjects else np.empty(0)
    return Interval(mean, se, df, low, high, n_seeds, n_subjects, *find_seed_range(by_seed))


def withhold_few(interval: Interval, means: pd.DataFrame) -> Interval:
    """Return an interval without its ends where a set behind it is too small for one (status ``few``).

    Args:
        interval: of rows of ``average_subjects``.
        means: those rows.
    """
    few = "n_few" in means and bool(means["n_few"].gt(0).any())
    return replace(interval, low=math.nan, high=math.nan) if few else interval
