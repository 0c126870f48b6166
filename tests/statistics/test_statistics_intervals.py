from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import optimize, stats
from score_frames import draw, means_of

from mribench.statistics import estimate_mean_and_se
from mribench.statistics.crossed import compute_mean_squares
from mribench.statistics.intervals import (
    compute_half_width,
    compute_p_value,
    estimate_interval,
    split_table_variance,
    split_variance,
)
from mribench.statistics.tables import align_groups, make_frame

SHAPES = st.tuples(st.integers(1, 7), st.integers(2, 9))


def test_one_seed_is_scipys_t_interval_and_test() -> None:
    values = np.random.default_rng(3).normal(2, 1, 17)
    found = estimate_interval(values[None])
    expected = stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert compute_p_value(found.mean, *split_table_variance(values[None])) == pytest.approx(expected.pvalue)
    assert (found.n_seeds, found.n_subjects, found.df) == (1, 17, 16)


def test_no_subject_component_is_the_t_test_of_seed_means() -> None:
    # every subject behaves alike but for residuals that cancel in the subjects' means: MS_subject = 0
    rng = np.random.default_rng(4)
    residual = rng.normal(size=(5, 9))
    table = (
        0.7
        + rng.normal(size=(5, 1))
        + residual
        - residual.mean(axis=0)
        - residual.mean(axis=1, keepdims=True)
    )
    expected = stats.ttest_1samp(table.mean(axis=1), 0.0)
    interval = expected.confidence_interval(0.95)
    found = estimate_interval(table)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert compute_p_value(found.mean, *split_table_variance(table)) == pytest.approx(expected.pvalue)


def test_both_components_by_hand() -> None:
    # the two-by-two of test_statistics_crossed: MS 4, 16, 1
    table = np.array([[1.5, 4.5], [2.5, 7.5]])
    found = estimate_interval(table)
    t = stats.t.ppf(0.975, 1)
    assert compute_half_width(*split_table_variance(table)) == pytest.approx(
        t * math.sqrt(4 / 4 + (16 - 1) / 4)
    )
    assert found.se == pytest.approx(math.sqrt(19 / 4))


def test_the_golden_table(golden_dir: Path) -> None:
    case = json.loads((golden_dir / "metrics.json").read_text())["stats"]["s4_seeds_by_subjects"]
    found = estimate_interval(np.array(case["data"]))
    seed, subject, residual = case["MS_seed"], case["MS_subject"], case["MS_resid"]
    squared = stats.t.ppf(0.975, 4) ** 2 * seed + stats.t.ppf(0.975, 23) ** 2 * (subject - residual)
    assert found.high - found.mean == pytest.approx(math.sqrt(squared / 120), rel=1e-8)
    assert found.se == pytest.approx(case["se_crossed_random_effects"], rel=1e-8)
    low, high = case["boot_seeds_and_subjects_crossed"]["ci95"]
    assert found.low < low < high < found.high  # the bootstrap is too short with five seeds


def test_the_p_is_the_level_at_which_the_interval_reaches_zero() -> None:
    rng = np.random.default_rng(5)
    for shape in ((2, 7), (5, 20), (9, 4), (3, 3)):
        table = draw(rng, (1, *shape))[0] + 1.5
        terms, df = split_table_variance(table)
        mean = abs(table.mean())
        level = optimize.brentq(
            lambda x, t=terms, d=df, m=mean: compute_half_width(t, d, x) - m, 1e-9, 1 - 1e-13
        )
        assert compute_p_value(mean, terms, df) == pytest.approx(1 - level, rel=1e-6)


@pytest.mark.parametrize("p", [1e-12, 1e-3, 0.2, 0.9])
def test_the_p_far_out(p: float) -> None:
    terms, df = np.array([0.4, 1.1]), np.array([4.0, 60.0])
    squared = sum(term * stats.t.isf(p / 2, d) ** 2 for term, d in zip(terms, df, strict=True))
    assert compute_p_value(math.sqrt(squared), terms, df) == pytest.approx(p, rel=1e-6)


def test_the_factor_with_fewer_levels_is_not_set_to_zero() -> None:
    one, other, residual = np.array(3.0), np.array(0.5), np.array(1.0)
    terms, df = split_variance(one, other, residual, 5, 20)
    np.testing.assert_allclose(terms * 100, [3.0, 0.0])
    np.testing.assert_array_equal(df, [4, 19])
    terms, df = split_variance(one, other, residual, 20, 5)  # now the subjects are few
    np.testing.assert_allclose(terms * 100, [0.5, 2.0])
    np.testing.assert_array_equal(df, [4, 19])


def test_small_seed_variance_by_luck_still_leaves_an_interval_for_the_seeds() -> None:
    rng = np.random.default_rng(6)
    table = rng.normal(size=(5, 40))
    table -= table.mean(axis=1, keepdims=True) * 0.5
    seed, _, residual = compute_mean_squares(table)
    assert seed < residual  # the component would be negative
    terms, df = split_table_variance(table)
    assert terms[0] == pytest.approx(seed / table.size)
    assert df[0] == 4


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 1)])
def test_too_little_for_an_interval(shape: tuple[int, int]) -> None:
    found = estimate_interval(np.ones(shape))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert np.isnan(compute_p_value(1.0, *split_table_variance(np.ones(shape))))


def test_no_variance() -> None:
    found = estimate_interval(np.full((3, 4), 2.0))
    assert (found.low, found.high) == (2.0, 2.0)
    assert compute_p_value(2.0, np.zeros(2), np.array([2.0, 3.0])) == 0.0
    assert compute_p_value(0.0, np.zeros(2), np.array([2.0, 3.0])) == 1.0


def test_arrays_are_taken_element_by_element() -> None:
    rng = np.random.default_rng(7)
    tables = draw(rng, (6, 4, 11)) + 1
    squares = np.array([compute_mean_squares(table) for table in tables])
    terms, df = split_variance(squares[:, 0], squares[:, 1], squares[:, 2], 4, 11)
    p = compute_p_value(tables.mean(axis=(1, 2)), terms, df)
    assert p.shape == (6,)
    for k, table in enumerate(tables):
        assert p[k] == pytest.approx(float(compute_p_value(table.mean(), *split_table_variance(table))))
        found = estimate_interval(table)
        assert compute_half_width(terms, df)[k] == pytest.approx(found.high - found.mean)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50), scale=st.floats(0.01, 100), shape=SHAPES)
def test_intervals_scale_and_shift(seed: int, shift: float, scale: float, shape: tuple[int, int]) -> None:
    table = np.random.default_rng(seed).standard_normal(shape)
    found, moved = estimate_interval(table), estimate_interval(scale * table + shift)
    half = found.high - found.low
    assert moved.high - moved.low == pytest.approx(scale * half, rel=1e-4, nan_ok=True)
    small = 1e-6 * max(1, scale * found.se)
    assert moved.low == pytest.approx(scale * found.low + shift, abs=small, nan_ok=True)
    flipped = estimate_interval(-table)
    assert (flipped.low, flipped.high) == pytest.approx((-found.high, -found.low), nan_ok=True)
    assert (found.se, found.df) == pytest.approx(
        estimate_mean_and_se(table)[1:], nan_ok=True
    )  # the SE of tables


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), shape=SHAPES)
def test_p_and_interval_agree_and_higher_levels_are_wider(seed: int, shape: tuple[int, int]) -> None:
    table = np.random.default_rng(seed).standard_normal(shape) + 0.5
    mean, spread_ = table.mean(), split_table_variance(table)
    half = compute_half_width(*spread_)
    assert bool(compute_p_value(mean, *spread_) >= 0.05) == (abs(mean) <= half)
    assert compute_half_width(*spread_, 0.99) > half > compute_half_width(*spread_, 0.5)
    found = estimate_interval(table)
    shown = (math.nan, math.nan) if 2 in table.shape else (mean - half, mean + half)
    assert (found.low, found.high) == pytest.approx(shown, nan_ok=True)


def test_tables_keep_what_is_missing_and_refuse_doubles() -> None:
    rows = means_of([[1.0, math.inf], [math.nan, 4.0]])
    table = make_frame(rows)
    np.testing.assert_array_equal(table, [[1.0, math.nan], [math.nan, 4.0]])
    with pytest.raises(ValueError, match="one value per seed and subject"):
        make_frame(rows.iloc[[0, 0]])


def test_aligned_methods_share_seeds_and_subjects_in_any_order() -> None:
    first = means_of([[1.0, 2.0], [3.0, 4.0]], subjects=["x", "y"])
    second = means_of([[4.0, 3.0, 9.0], [2.0, 1.0, 9.0]], seeds=[1, 0], subjects=["y", "x", "z"])
    found = align_groups({"A": first, "B": second})
    kept = found.complete()
    assert (list(kept.seeds), list(kept.subjects)) == ([0, 1], ["x", "y"])
    np.testing.assert_array_equal(kept.cube[0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(kept.cube[1], [[1, 2], [3, 4]])
    assert np.isnan(found.cube).sum() == 2


def test_what_was_not_trained_stands_at_every_seed() -> None:
    trained, reference = means_of([[1.0, 2.0], [3.0, 4.0]]), means_of([[10.0, 20.0]], seeds=[-1])
    found = align_groups({"T": trained, "R": reference}).complete()
    np.testing.assert_array_equal(found.cube[1], [[10, 20], [10, 20]])
    alone = align_groups({"R": reference}).complete()
    assert (list(alone.seeds), alone.cube.shape) == ([-1], (1, 1, 2))
    assert align_groups({}).complete().cube.shape == (0, 0, 0)
    assert align_groups({"N": means_of([[math.nan]])}).names == []
