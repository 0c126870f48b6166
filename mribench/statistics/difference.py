"""The difference of two methods over the seeds and subjects that both have: the test about methods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd

from mribench.statistics.crossed import estimate_components
from mribench.statistics.intervals import LEVEL, compute_p_value, estimate_interval, split_table_variance
from mribench.statistics.tables import align_groups

ENOUGH_SEEDS = 5
"""Below this many seeds nothing is claimed about methods."""

Scope = Literal["methods", "too few seeds", "these checkpoints", "nothing"]
"""What a comparison speaks of: by seeds, five and more; two to four; one; or there is no interval."""


@dataclass(frozen=True)
class Difference:
    """Method A minus method B.

    Attributes:
        difference: mean over the complete seed × subject table of differences.
        se: its crossed standard error.
        df: Satterthwaite's degrees of freedom of ``se``.
        low: lower end of the interval (``intervals``); NaN where there is none.
        high: its upper end.
        p: two-sided p of the same test: below 0.05 where the 95 % interval leaves out 0.
        d_z: difference / standard deviation of one paired difference, of a new seed and a new subject (Cohen
            1988, ch. 2, dz; with one seed over subjects).
        p_above: P(A > B), the share of (seed, subject) pairs with A above B, ties half.
        n_seeds: seeds that count.
        n_subjects: subjects that count.
        n_pairs: their product.
        n_missing_pairs: pairs, of all seeds × all subjects of the two, without a difference.
        scope: what it may be said about.
        seed_low: the lowest difference of one seed; NaN without two seeds.
        seed_high: the highest.
    """

    difference: float
    se: float
    df: float
    low: float
    high: float
    p: float
    d_z: float
    p_above: float
    n_seeds: int
    n_subjects: int
    n_pairs: int
    n_missing_pairs: int
    scope: Scope
    seed_low: float = math.nan
    seed_high: float = math.nan


DIFFERENCE_COLUMNS = [field.name for field in fields(Difference)]


def estimate_difference(first: pd.DataFrame, second: pd.DataFrame, level: float = LEVEL) -> Difference:
    """Return method A minus method B.

    Args:
        first: rows of ``subject_means`` of A, in one place and metric.
        second: those of B. A method that nothing was trained for stands at every seed of the other.
        level: confidence level.
    """
    table = align_groups({"a": first, "b": second}).difference()
    missing = int(np.isnan(table.cube).sum())
    return estimate_table_difference(table.complete().table(), level, n_missing_pairs=missing)


def estimate_table_difference(
    table: np.ndarray, level: float = LEVEL, *, n_missing_pairs: int = 0
) -> Difference:
    """Return what a table ``(S, N)`` of differences without NaN says, seeds along the rows."""
    estimated = asdict(estimate_interval(table, level))
    difference = estimated.pop("mean")
    return Difference(
        difference=difference,
        p=float(compute_p_value(difference, *split_table_variance(table))),
        d_z=_standardise(table),
        p_above=float((np.sign(table).mean() + 1) / 2) if table.size else math.nan,
        n_pairs=table.size,
        n_missing_pairs=n_missing_pairs,
        scope=judge_scope(*table.shape),
        **estimated,
    )


def estimate_differences(
    means: pd.DataFrame, by: Sequence[str], row: str = "row", level: float = LEVEL
) -> pd.DataFrame:
    """Return every pair of methods in each group.

    Args:
        means: rows of ``subject_means`` by ``[*by, row]``.
        by: columns that make up a group, such as the place and the metric; nulls are a value of their own.
        row: the column that names the method.
        level: confidence level.

    Returns:
        columns ``by``, ``first``, ``second``, and the fields of ``Difference``.
    """
    columns = [*by, "first", "second", *DIFFERENCE_COLUMNS]
    rows = []
    groups = means.groupby(list(by), dropna=False, sort=False) if by else [((), means)]
    for key, group in groups:
        methods = dict(iter(group.groupby(row, sort=False)))
        for first, second in itertools.combinations(methods, 2):
            pair = estimate_difference(methods[first], methods[second], level)
            rows.append({**dict(zip(by, key, strict=True)), "first": first, "second": second, **asdict(pair)})
    return pd.DataFrame(rows, columns=columns)


def judge_scope(n_seeds: int, n_subjects: int) -> Scope:
    """Return what a comparison over this many seeds and subjects may be said about."""
    if n_seeds < 1 or n_subjects < 2:
        return "nothing"
    if n_seeds == 1:
        return "these checkpoints"
    return "methods" if n_seeds >= ENOUGH_SEEDS else "too few seeds"


def _standardise(table: np.ndarray) -> float:
    n_seeds, n_subjects = table.shape
    if n_seeds < 1 or n_subjects < 2:
        return math.nan
    if n_seeds == 1:
        spread = float(table.std(ddof=1))
    else:
        parts = estimate_components(table)
        spread = math.sqrt(parts.seed + parts.subject + parts.residual)
    return float(table.mean()) / spread if spread > 0 else math.nan
