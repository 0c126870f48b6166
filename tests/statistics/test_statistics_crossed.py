from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from golden.golden_inputs import scores
from hypothesis import given, settings, strategies as st
from scipy import stats

from mribench.statistics import estimate_components, estimate_mean_and_se
from mribench.statistics.crossed import compute_mean_squares


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((golden_dir / "metrics.json").read_text())["stats"]
    return found


def simulated(
    rng: np.random.Generator, sd_seed: float, sd_subject: float, sd_residual: float, seeds: int, subjects: int
) -> np.ndarray:
    return (
        sd_seed * rng.standard_normal((seeds, 1))
        + sd_subject * rng.standard_normal((1, subjects))
        + sd_residual * rng.standard_normal((seeds, subjects))
    )


def test_statsmodels_mean_squares_and_the_crossed_se(golden: dict[str, dict[str, float]]) -> None:
    case = golden["s4_seeds_by_subjects"]
    table = np.array(case["data"])
    assert table.shape == (5, 24)
    found = compute_mean_squares(table)
    expected = (case["MS_seed"], case["MS_subject"], case["MS_resid"])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    parts = estimate_components(table)
    assert parts.seed == pytest.approx(case["var_seed"], rel=1e-8)
    assert parts.subject == pytest.approx(case["var_subject"], rel=1e-8)
    assert parts.residual == pytest.approx(case["var_resid"], rel=1e-8)
    mean, se, _ = estimate_mean_and_se(table)
    assert mean == pytest.approx(case["mean"], rel=1e-9)
    assert se == pytest.approx(case["se_crossed_random_effects"], rel=1e-9)
    assert se == pytest.approx(case["mixedlm_reml"]["se_mean"], rel=1e-4)


def test_one_seed_is_the_se_over_subjects(golden: dict[str, dict[str, float]]) -> None:
    case = golden["s4_seeds_by_subjects"]
    table = np.array(case["data"])
    assert estimate_mean_and_se(table[:1])[1] == pytest.approx(case["se_one_seed_only"], rel=1e-9)
    case = golden["s0_paired_n20"]
    data = scores(300, 20, 2, [0, 2.0])
    np.testing.assert_array_equal(data, np.array(case["data"]))
    for column, key in ((1, "se_a"), (0, "se_b")):
        mean, se, df = estimate_mean_and_se(data[None, :, column])
        assert se == pytest.approx(case[key], rel=1e-9)
        assert se == pytest.approx(stats.sem(data[:, column]))
        assert mean == pytest.approx(data[:, column].mean())
        assert df == 19


def test_two_by_two_by_hand() -> None:
    # grand mean 4; seeds ±1, subjects ±2, residual ±0.5:
    # MS_seed = 2·(1+1)/1 = 4, MS_subject = 2·(4+4)/1 = 16, MS_residual = 4·0.25/1 = 1
    table = np.array([[1.5, 4.5], [2.5, 7.5]])
    assert compute_mean_squares(table) == pytest.approx((4.0, 16.0, 1.0))
    assert estimate_components(table).seed == pytest.approx(1.5)
    assert estimate_components(table).subject == pytest.approx(7.5)
    mean, se, df = estimate_mean_and_se(table)
    assert mean == 4.0
    assert se == pytest.approx(math.sqrt(1.5 / 2 + 7.5 / 2 + 1 / 4))
    assert df == pytest.approx(19**2 / (4**2 + 16**2 + 1))  # (4 + 16 - 1)² over the squares, each df 1


def test_negative_components_are_set_to_zero() -> None:
    table = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    found = estimate_components(table)
    assert found.seed == found.subject == 0.0
    mean, se, df = estimate_mean_and_se(table)
    assert mean == 0.5
    assert se == pytest.approx(math.sqrt(found.residual / 8))
    assert df == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("table", "expected_mean"),
    [(np.empty((0, 0)), math.nan), (np.array([[3.0]]), 3.0), (np.array([[1.0], [2.0]]), 1.5)],
)
def test_too_little_for_an_se(table: np.ndarray, expected_mean: float) -> None:
    mean, se, df = estimate_mean_and_se(table)
    assert mean == pytest.approx(expected_mean, nan_ok=True)
    assert math.isnan(se)
    assert math.isnan(df)


def test_an_infinite_score_gives_an_infinite_mean_without_an_se() -> None:
    mean, se, _ = estimate_mean_and_se(np.array([[1.0, math.inf], [2.0, 3.0]]))
    assert mean == math.inf
    assert math.isnan(se)


def test_constant_scores_have_no_spread() -> None:
    assert estimate_mean_and_se(np.full((3, 4), 0.7))[:2] == pytest.approx((0.7, 0.0), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100),
    shape=st.tuples(st.integers(1, 5), st.integers(2, 9)),
)
def test_the_se_scales_and_does_not_shift(
    seed: int, shift: float, scale: float, shape: tuple[int, int]
) -> None:
    table = np.random.default_rng(seed).standard_normal(shape)
    mean, se, df = estimate_mean_and_se(table)
    moved_mean, moved_se, moved_df = estimate_mean_and_se(scale * table + shift)
    assert moved_mean == pytest.approx(scale * mean + shift, abs=1e-9)
    assert moved_se == pytest.approx(scale * se, rel=1e-5)
    assert moved_df == pytest.approx(df, rel=1e-3)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20260101)
    trials, hits_crossed, hits_rows = 1000, 0, 0
    for _ in range(trials):
        table = simulated(rng, 1.0, 6.0, 2.0, seeds=5, subjects=65)
        mean, se, df = estimate_mean_and_se(table)
        hits_crossed += abs(mean) < stats.t.ppf(0.975, df) * se
        hits_rows += abs(mean) < 1.96 * table.std(ddof=1) / math.sqrt(table.size)
    assert 0.93 < hits_crossed / trials < 0.97
    assert hits_rows / trials < 0.65  # what pooling the rows would claim


def test_components_are_right_on_average() -> None:
    rng = np.random.default_rng(7)
    found = [estimate_components(simulated(rng, 1.0, 6.0, 2.0, seeds=5, subjects=65)) for _ in range(400)]
    assert np.mean([parts.seed for parts in found]) == pytest.approx(1.0, rel=0.15)
    assert np.mean([parts.subject for parts in found]) == pytest.approx(36.0, rel=0.05)
    assert np.mean([parts.residual for parts in found]) == pytest.approx(4.0, rel=0.02)
