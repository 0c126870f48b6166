"""What is computed here instead of by scipy.stats, which is slow to import, beside scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mribench.statistics.checkpoints import compare_checkpoint_table, rank_signed_differences, rank_with_ties
from mribench.statistics.crossed import estimate_subset_components
from mribench.statistics.intervals import compute_exact_interval


@pytest.mark.parametrize("total", [1, 2, 7, 60, 500])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_of_a_share_is_scipys(total: int, level: float) -> None:
    for count in sorted({0, 1, total // 3, total - 1, total}):
        expected = stats.binomtest(count, total).proportion_ci(level, method="exact")
        assert compute_exact_interval(count, total, level) == pytest.approx(
            (expected.low, expected.high), abs=1e-12
        )


def test_the_ends_of_shares_of_none_and_all() -> None:
    assert compute_exact_interval(0, 10)[0] == 0
    assert compute_exact_interval(10, 10)[1] == 1
    assert compute_exact_interval(0, 10)[1] == pytest.approx(1 - 0.025 ** (1 / 10)), "of (1 - x)ⁿ = 2.5 %"


@pytest.mark.parametrize("n", [1, 2, 9, 200])
@pytest.mark.parametrize("values", [3, 1000])
def test_ranks_with_ties_are_scipys(n: int, values: int) -> None:
    drawn = np.random.default_rng(n).integers(0, values, n) / 8
    assert list(rank_with_ties(drawn)) == list(stats.rankdata(drawn))


def test_no_values_have_no_ranks() -> None:
    assert rank_with_ties(np.empty(0)).shape == (0,)


def test_a_table_is_tested_over_its_subjects() -> None:
    table = np.random.default_rng(3).normal(0.3, 1, (4, 15))
    assert compare_checkpoint_table(table) == rank_signed_differences(table.mean(axis=0))
    assert compare_checkpoint_table(table).p == pytest.approx(
        stats.wilcoxon(table.mean(axis=0), method="exact").pvalue
    )
    assert math.isnan(compare_checkpoint_table(np.empty((0, 0))).p)
    assert math.isnan(compare_checkpoint_table(np.empty((3, 0))).p)


def test_subsets_without_any_score_have_no_components() -> None:
    columns = {"subset_seed": [0.0, 1.0], "seed": [0, 0], "subject": ["a", "a"], "value": [math.nan] * 2}
    found = estimate_subset_components(pd.DataFrame(columns))
    assert math.isnan(found.subset)
    assert (found.n_subsets, found.n_seeds, found.n_subjects) == (0, 0, 0)
