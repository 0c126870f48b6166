"""Intervals stay in the range of a score, on a scale on which its means are less skew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize

from mribench.statistics.intervals import estimate_interval
from mribench.statistics.ranges import UNBOUNDED, place_ends, place_ends_over

DISTANCE, SHARE, SSIM = (0.0, math.inf), (0.0, 1.0), (-1.0, 1.0)


def scale(value: float, low: float, high: float) -> float:
    return 1 / (high - value) - 1 / (value - low)


def _away(value: float, low: float, high: float, target: float) -> float:
    return scale(value, low, high) - target


@pytest.mark.parametrize("value_range", [SHARE, SSIM, (2.0, 7.0)])
@given(at=st.floats(0.02, 0.98), size=st.floats(0.001, 0.4))
def test_both_ends_by_solving_for_them(value_range: tuple[float, float], at: float, size: float) -> None:
    low, high = value_range
    mean, half = low + at * (high - low), size * (high - low)
    slope = 1 / (high - mean) ** 2 + 1 / (mean - low) ** 2
    found = place_ends(mean, half, value_range)
    edge = 1e-12 * (high - low)
    for end, sign in zip(found, (-1, 1), strict=True):
        target = scale(mean, low, high) + sign * slope * half
        bracket = [low + edge, high - edge]
        expected = optimize.root_scalar(_away, args=(low, high, target), bracket=bracket, xtol=1e-13).root
        assert end == pytest.approx(expected, rel=1e-6)
    assert low < found[0] < mean < found[1] < high


def test_a_distance_by_hand() -> None:
    assert place_ends(4.0, 1.0, DISTANCE) == pytest.approx((4 / 1.25, 4 / 0.75))
    assert place_ends(-4.0, 1.0, (-math.inf, 0.0)) == pytest.approx((-4 / 0.75, -4 / 1.25))
    assert all(map(math.isnan, place_ends(4.0, 4.0, DISTANCE))), "without bound above"


def test_over_few_subjects_a_half_is_longer_where_there_is_a_bound() -> None:
    assert place_ends_over(0.8, 0.1, SHARE, 20) == place_ends(0.8, 0.105, SHARE)
    assert place_ends_over(0.8, 0.1, UNBOUNDED, 20) == place_ends(0.8, 0.1)


def test_without_a_bound_and_at_the_bound_halves_are_equal() -> None:
    assert place_ends(30.0, 2.0) == place_ends(30.0, 2.0, UNBOUNDED) == (28.0, 32.0)
    assert place_ends(1.0, 0.0, SHARE) == (1.0, 1.0)
    assert place_ends(1.2, 0.1, SHARE) == pytest.approx((1.1, 1.3)), "a score outside its range is not moved"


def test_a_small_interval_is_that_of_equal_halves() -> None:
    assert place_ends(0.9, 1e-6, SHARE) == pytest.approx((0.9 - 1e-6, 0.9 + 1e-6), abs=1e-10)


def test_the_mirror_image_of_a_score_has_the_mirrored_interval() -> None:
    low, high = place_ends(0.83, 0.1, SHARE)
    assert place_ends(0.17, 0.1, SHARE) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("seeds", "subjects"), [(2, 30), (30, 2), (1, 2), (2, 2), (1, 1), (5, 1)])
def test_two_seeds_or_two_subjects_have_no_interval(seeds: int, subjects: int) -> None:
    table = np.random.default_rng(0).normal(size=(seeds, subjects))
    found = estimate_interval(table)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    by_seed = table.mean(axis=1)
    expected = (by_seed.min(), by_seed.max()) if seeds > 1 else (math.nan, math.nan)
    assert (found.seed_low, found.seed_high) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("seeds", "subjects"), [(1, 3), (3, 3), (3, 30), (30, 3)])
def test_three_have_one(seeds: int, subjects: int) -> None:
    found = estimate_interval(np.random.default_rng(0).normal(size=(seeds, subjects)))
    assert found.low < found.mean < found.high


def test_skew_scores_are_covered_where_equal_halves_miss() -> None:
    """Log-normal distances of 20 subjects: small, with what the published table has at many repetitions."""
    rng = np.random.default_rng(4)
    true, held = math.exp(0.9**2 / 2), {"scale": 0, "equal": 0}
    for _ in range(1500):
        subject = math.sqrt(0.8) * rng.standard_normal(20)
        table = np.exp(0.9 * (subject + math.sqrt(0.2) * rng.standard_normal((5, 20))))
        for name, value_range in (("scale", DISTANCE), ("equal", UNBOUNDED)):
            found = estimate_interval(table, value_range=value_range)
            held[name] += not (found.low > true or found.high < true)
    assert held["scale"] > 1500 * 0.92
    assert held["equal"] < 1500 * 0.915
