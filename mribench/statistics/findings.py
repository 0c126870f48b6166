"""How often chance alone passes for a finding: tests between seeds of one method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.intervals import compute_exact_interval

ALPHA = 0.05
"""Below this a single-seed test is read as a difference between methods."""


@dataclass(frozen=True)
class FalseFindings:
    """Tests between seeds of one method that came out significant.

    Attributes:
        significant: tests with p below ``ALPHA``.
        tests: all of them.
        low: lower end of the 95 % interval of their share, NaN without tests.
        high: its upper end.
        n_rows: rows of the smallest test, 0 without tests.
        n_arms: arms that were tested.
        n_seeds: seeds of the arm that has most.
    """

    significant: int
    tests: int
    low: float
    high: float
    n_rows: int
    n_arms: int
    n_seeds: int


def count_false_findings(rows: pd.DataFrame, cell: Sequence[str], pair: Sequence[str]) -> FalseFindings:
    """Test every two seeds of each arm against each other, row by row, as if they were two methods.

    Wilcoxon's signed-rank test over all rows of a cell that both seeds have (Wilcoxon 1945,
    doi:10.2307/3001968), and the share of significant ones with the exact interval of Clopper & Pearson 1934
    (doi:10.1093/biomet/26.4.404), which takes the tests as independent though those of one arm share seeds.
    ``docs/statistics.md`` has how often it is wrong, and Wilson's more often.

    Args:
        rows: with the columns ``row`` (the arm), ``seed``, ``value``, ``cell`` and ``pair``.
        cell: columns that tell the tests of an arm apart.
        pair: columns that say which rows of two seeds belong together.
    """
    sizes: list[int] = []
    significant = 0
    arms: set[str] = set()
    for (arm, *_), group in rows.dropna(subset=["value"]).groupby(["row", *cell], dropna=False, sort=False):
        table = group.pivot_table(index=list(pair), columns="seed", values="value")
        for first, second in itertools.combinations(table.columns, 2):
            difference = (table[first] - table[second]).dropna().to_numpy()
            if len(difference):
                sizes.append(len(difference))
                arms.add(str(arm))
                significant += _is_significant(difference)
    low = high = math.nan
    if sizes:
        low, high = compute_exact_interval(significant, len(sizes))
    seeds = 0 if rows.empty else int(rows.groupby("row")["seed"].nunique().max())
    return FalseFindings(significant, len(sizes), low, high, min(sizes, default=0), len(arms), seeds)


def _is_significant(difference: np.ndarray) -> bool:
    """Whether a signed-rank test of the differences, zeros left out, has p below ``ALPHA``."""
    from scipy import stats  # slow to import, and few reports need it

    some = difference[difference != 0]
    return bool(len(some)) and bool(stats.wilcoxon(some).pvalue < ALPHA)
