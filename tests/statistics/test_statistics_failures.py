"""Scores with empty masks in two parts: the share of failures, and the mean of the rest."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from mribench.statistics.failures import estimate_parts, estimate_share
from mribench.statistics.intervals import estimate_interval
from mribench.statistics.scores import estimate

PENALTY = 280.0


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_one_seed_is_clopper_and_pearson(count: int) -> None:
    failed = np.zeros((1, 20))
    failed[0, :count] = 1
    share, low, high = estimate_share(failed)
    assert share == count / 20
    assert (low, high) == pytest.approx(proportion_confint(count, 20, method="beta"))


def test_a_subject_that_fails_under_all_seeds_counts_once() -> None:
    failed = np.zeros((5, 20))
    failed[:, :2] = 1
    assert estimate_share(failed)[1:] == pytest.approx(proportion_confint(2, 20, method="beta"))


def test_the_spread_over_seeds_widens_it() -> None:
    even, odd = np.zeros((5, 40)), np.zeros((5, 40))
    even[np.arange(10) % 5, np.arange(10)] = 1
    odd[0, :10] = 1
    assert even.mean() == odd.mean() == 0.05
    share, low, high = estimate_share(odd)
    of_seeds = stats.t.ppf(0.975, 4) * odd.mean(axis=1).std(ddof=1) / math.sqrt(5)
    exact = estimate_share(even)
    assert high - share == pytest.approx(math.hypot(exact[2] - share, of_seeds))
    assert low == 0.0


def test_two_seeds_have_a_share_without_an_interval() -> None:
    share, low, high = estimate_share(np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    assert share == 0.5
    assert math.isnan(low)
    assert math.isnan(high)


def test_parts_by_hand() -> None:
    values = np.random.default_rng(1).normal(5, 1, (5, 12))
    failed = np.zeros((5, 12))
    failed[2, 3] = failed[4, 3] = failed[0, 7] = 1
    values[failed == 1] = PENALTY
    found = estimate_parts(values, failed)
    rest = estimate_interval(np.delete(values, [3, 7], axis=1))
    assert found.failure_share == 3 / 60
    assert found.n_subjects_without == 10
    assert (found.without_mean, found.without_low, found.without_high) == pytest.approx(
        (rest.mean, rest.low, rest.high)
    )


def test_a_seed_under_which_every_subject_fails_leaves_nothing() -> None:
    values, failed = np.full((3, 4), 5.0), np.zeros((3, 4))
    failed[1] = 1
    found = estimate_parts(np.where(failed == 1, np.nan, values), failed)
    assert found.failure_share == pytest.approx(1 / 3)
    assert found.n_subjects_without == 0
    assert math.isnan(found.without_mean)


def frame(failing: dict[tuple[int, str], float], subjects: str = "abcdef") -> pd.DataFrame:
    rows = [
        {
            "seed": seed, "subject": subject, "value": failing.get((seed, subject), 4.0 + 0.1 * seed),
            "n_rows": 1, "n_failed": 0, "n_empty": int((seed, subject) in failing), "n_both_empty": 0,
            "n_few": 0,
        }
        for seed in range(3) for subject in subjects
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_mean_with_a_failure_keeps_its_rank_and_has_no_interval() -> None:
    found = estimate(frame({(1, "c"): PENALTY}))
    assert found.mean == pytest.approx((17 * 4.1 + PENALTY) / 18, rel=1e-3)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.failure_share == pytest.approx(1 / 18)
    assert found.n_subjects_without == 5
    assert found.without_mean == pytest.approx(4.1)
    assert found.without_low < 4.1 < found.without_high
    none = estimate(frame({}))
    assert (none.low, none.high) == (none.without_low, none.without_high)
    assert none.failure_share == none.failure_low == 0
    assert none.failure_high == pytest.approx(proportion_confint(0, 6, method="beta")[1])


def test_a_failure_that_a_policy_drops_is_a_failure() -> None:
    found = estimate(frame({(1, "c"): math.nan}))
    assert found.failure_share == pytest.approx(1 / 18)
    assert found.n_subjects_without == 5
    assert found.mean == pytest.approx(4.1)
