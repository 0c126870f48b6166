"""In-domain minus out-of-domain: the same trained models on the subjects of two sites."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.crossed import compute_mean_squares
from mribench.statistics.intervals import (
    LEVEL,
    compute_half_width,
    compute_p_value,
    find_seed_range,
    has_interval,
)
from mribench.statistics.tables import make_frame, take_complete


@dataclass(frozen=True)
class Gap:
    """The mean in the domain minus the mean out of it.

    Attributes:
        difference: of the means, over the seeds that both have.
        se: its standard error.
        low: lower end of the interval.
        high: its upper end.
        p: two-sided p of no gap.
        inside: mean in the domain.
        outside: mean out of it.
        n_seeds: seeds that both have.
        n_inside: subjects in the domain.
        n_outside: subjects out of it.
        seed_low: the lowest gap of one seed; NaN without two seeds.
        seed_high: the highest.
    """

    difference: float
    se: float
    low: float
    high: float
    p: float
    inside: float
    outside: float
    n_seeds: int
    n_inside: int
    n_outside: int
    seed_low: float = math.nan
    seed_high: float = math.nan


def estimate_gap(inside: pd.DataFrame, outside: pd.DataFrame, level: float = LEVEL) -> Gap:
    """Return the gap of one method between two sites.

    Args:
        inside: rows of ``subject_means`` on the site trained on.
        outside: those of the same method on another site, of other subjects. Only seeds of both count, and of
            each site the subjects scored under all of them.
        level: confidence level.

    Raises:
        ValueError: for a subject on both sides: their scores are paired, which ``difference`` is for.
    """
    tables = [make_frame(means) for means in (inside, outside)]
    both = set(tables[0].columns) & set(tables[1].columns)
    if both:
        raise ValueError(
            f"expected other subjects out of the domain, got {min(map(str, both))} on both sides"
        )
    tables = [table.dropna(how="all") for table in tables]
    seeds = tables[0].index.intersection(tables[1].index)
    first, second = (take_complete(table.loc[seeds].to_numpy(float)) for table in tables)
    return estimate_table_gap(first, second, level)


def estimate_table_gap(first: np.ndarray, second: np.ndarray, level: float = LEVEL) -> Gap:
    """Return the gap between two tables ``(S, N₁)`` and ``(S, N₂)`` of the same seeds and other subjects.

    Seeds are shared: seed s has the gap d_s = mean of its row in the first - in the second, and the variance
    of the d_s has the seeds' effects on the gap and all residuals in it. Subjects are not: each side adds its
    own component. Var(gap) = Var(d_s)/S + σ²_subject,1/N₁ + σ²_subject,2/N₂, a sum of independent terms with
    S - 1, N₁ - 1 and N₂ - 1 degrees of freedom, so that the interval is that of ``intervals``. With one seed:
    the variances over subjects (Welch 1947, doi:10.1093/biomet/34.1-2.28), valid for these checkpoints only.
    """
    inside, outside = (float(table.mean()) if table.size else math.nan for table in (first, second))
    difference = inside - outside
    terms, df = split_gap_variance(first, second)
    told = has_interval(min(len(first), len(second)), first.shape[1], second.shape[1])
    half = float(compute_half_width(terms, df, level)) if told else math.nan
    same = len(first) == len(second) and min(first.size, second.size)
    by_seed = first.mean(axis=1) - second.mean(axis=1) if same else np.empty(0)
    seed_low, seed_high = find_seed_range(by_seed)
    return Gap(
        difference=difference,
        se=math.sqrt(terms.sum()),
        low=difference - half,
        high=difference + half,
        p=float(compute_p_value(difference, terms, df)),
        inside=inside,
        outside=outside,
        n_seeds=min(len(first), len(second)),
        n_inside=first.shape[1],
        n_outside=second.shape[1],
        seed_low=seed_low,
        seed_high=seed_high,
    )


def split_gap_variance(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of the variance of a gap and their degrees of freedom; NaN where there are too few."""
    n_seeds = len(first)
    if not n_seeds or len(second) != n_seeds or min(first.shape[1], second.shape[1]) < 2:
        return np.array([math.nan]), np.array([math.nan])
    df = [table.shape[1] - 1.0 for table in (first, second)]
    if n_seeds == 1:
        return np.array([table.var(ddof=1) / table.size for table in (first, second)]), np.array(df)
    by_seed = first.mean(axis=1) - second.mean(axis=1)
    subjects = []
    for table in (first, second):
        _, ms_subject, ms_residual = compute_mean_squares(table)
        subjects.append(max(0.0, ms_subject - ms_residual) / table.size)
    return np.array([by_seed.var(ddof=1) / n_seeds, *subjects]), np.array([n_seeds - 1.0, *df])
