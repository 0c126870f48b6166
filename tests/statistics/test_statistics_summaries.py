"""Label efficiency, domain gap, transfer and label subsets."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings, strategies as st
from scipy import stats
from score_frames import means_of

from mribench.statistics.crossed import estimate_subset_components, estimate_three_way
from mribench.statistics.difference import estimate_difference
from mribench.statistics.domain_gap import estimate_gap, estimate_table_gap, split_gap_variance
from mribench.statistics.efficiency import compute_areas, label_efficiencies, label_efficiency
from mribench.statistics.intervals import compute_half_width, estimate_interval
from mribench.statistics.transfer import estimate_ratio, estimate_transfer

FRACTIONS = (0.01, 0.1, 1.0)


def curve(cube: np.ndarray, fractions: tuple[float, ...] = FRACTIONS) -> pd.DataFrame:
    return pd.concat([means_of(table, fraction=f) for f, table in zip(fractions, cube, strict=True)])


# Label efficiency


def test_the_area_of_a_line_over_log_fraction_is_its_middle() -> None:
    # decades apart: (60 + 70)/2 and (70 + 80)/2, averaged
    found = label_efficiency(curve(np.array([[[60.0, 60]], [[70, 70]], [[80, 80]]])))
    assert found.area == pytest.approx(70.0)
    assert found.fractions == FRACTIONS
    uneven = label_efficiency(curve(np.array([[[0.0, 0]], [[1, 1]], [[1, 1]]]), (0.1, 0.2, 1.0)))
    assert uneven.area == pytest.approx((0.5 * math.log(2) + math.log(5)) / math.log(10))


def test_the_area_has_the_crossed_error_of_the_pairs_areas() -> None:
    cube = np.random.default_rng(0).normal(size=(3, 4, 9))
    found = label_efficiency(curve(cube).sample(frac=1, random_state=0))
    expected = estimate_interval(0.25 * cube[0] + 0.5 * cube[1] + 0.25 * cube[2])
    assert (found.area, found.se, found.low, found.high) == pytest.approx(
        (expected.mean, expected.se, expected.low, expected.high)
    )
    assert (found.n_seeds, found.n_subjects, found.n_missing_pairs) == (4, 9, 0)


def test_a_pair_that_lacks_a_fraction_has_no_area() -> None:
    cube = np.random.default_rng(1).normal(size=(3, 2, 6))
    cube[1, 0, 3] = math.nan
    found = label_efficiency(curve(cube))
    assert (found.n_subjects, found.n_missing_pairs) == (5, 1)
    assert found.area == pytest.approx(
        np.delete(0.25 * cube[0] + 0.5 * cube[1] + 0.25 * cube[2], 3, 1).mean()
    )


def test_no_curve_without_two_fractions() -> None:
    found = label_efficiency(curve(np.ones((1, 2, 3)), (1.0,)))
    assert math.isnan(found.area)
    with pytest.raises(ValueError, match="fractions above 0, got 0"):
        compute_areas(curve(np.ones((2, 2, 3)), (0.0, 1.0)))


def test_areas_of_two_methods_are_compared_like_scores() -> None:
    first, second = np.random.default_rng(2).normal(size=(2, 3, 5, 8))
    found = estimate_difference(compute_areas(curve(first)), compute_areas(curve(second)))
    weighted = np.tensordot([0.25, 0.5, 0.25], first - second, axes=1)
    assert found.difference == pytest.approx(weighted.mean())
    frame = pd.concat([curve(first).assign(row="A"), curve(second).assign(row="B")])
    both = label_efficiencies(
        pd.concat([frame, means_of(np.ones((1, 2)), row="C", fraction=math.nan)]), ["row"]
    )
    assert list(both["row"]) == ["A", "B"]
    assert both["area"][0] - both["area"][1] == pytest.approx(found.difference)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999), base=st.floats(0.001, 0.2), scale=st.floats(0.1, 10), shift=st.floats(-9, 9)
)
def test_areas_scale_and_shift_and_do_not_know_the_unit_of_the_fraction(
    seed: int, base: float, scale: float, shift: float
) -> None:
    cube = np.random.default_rng(seed).normal(size=(3, 2, 4))
    steps = (base, 2 * base, 4.5 * base)
    found, moved = label_efficiency(curve(cube, steps)), label_efficiency(curve(scale * cube + shift, steps))
    assert moved.area == pytest.approx(scale * found.area + shift, abs=1e-8)
    assert moved.se == pytest.approx(scale * found.se, rel=1e-6)
    assert cube.mean(axis=(1, 2)).min() - 1e-9 <= found.area <= cube.mean(axis=(1, 2)).max() + 1e-9
    other = label_efficiency(curve(cube, (100 * base, 200 * base, 450 * base)))
    assert other.area == pytest.approx(found.area)


# Domain gap


def test_one_seed_is_welchs_t() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(2, 1, (1, 12)), rng.normal(0, 3, (1, 20))
    found = estimate_table_gap(first, second)
    expected = stats.ttest_ind(first[0], second[0], equal_var=False)
    assert found.difference / found.se == pytest.approx(expected.statistic)
    low, high = expected.confidence_interval(0.95)
    assert found.low < low < high < found.high  # each side keeps its own quantile: never shorter
    assert found.high - found.low == pytest.approx(high - low, rel=0.05)


def test_the_gap_by_hand() -> None:
    # seed gaps 3 and 5; both sides without interaction: subject variance of means 2 and 8, residual 0
    first = np.array([[4.0, 6.0], [8.0, 10.0]])
    second = np.array([[0.0, 4.0], [2.0, 6.0]])
    terms, df = split_gap_variance(first, second)
    np.testing.assert_allclose(terms, [2 / 2, 2 / 2, 8 / 2])
    np.testing.assert_array_equal(df, [1, 1, 1])
    found = estimate_table_gap(first, second)
    assert (found.difference, found.inside, found.outside) == (4.0, 7.0, 3.0)
    assert found.se == pytest.approx(math.sqrt(6))


def test_the_variance_of_the_gap_is_right_on_average_and_its_interval_covers() -> None:
    rng = np.random.default_rng(4)
    seeds, inside, outside, gaps, variances, hits = 5, 12, 30, [], [], 0
    for _ in range(1500):
        shared = rng.normal(0, 1, (seeds, 1))  # a lucky seed is lucky on both sites
        tables = [
            shared
            + own * rng.normal(size=(seeds, 1))
            + sd * rng.normal(size=(1, n))
            + rng.normal(size=(seeds, n))
            for n, own, sd in ((inside, 0.3, 4), (outside, 0.8, 2))
        ]
        found = estimate_table_gap(*tables)
        gaps.append(found.difference)
        variances.append(found.se**2)
        hits += found.low <= 0 <= found.high
    truth = (
        (0.3**2 + 0.8**2) / seeds + 16 / inside + 4 / outside + 1 / (seeds * inside) + 1 / (seeds * outside)
    )
    assert np.var(gaps) == pytest.approx(truth, rel=0.1)
    assert np.mean(variances) == pytest.approx(truth, rel=0.05)
    assert 0.93 < hits / 1500 < 0.985


def test_what_the_seeds_share_is_not_in_the_gap() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(4, 6)), rng.normal(size=(4, 9))
    lucky = 100 * rng.normal(size=(4, 1))
    assert estimate_table_gap(first + lucky, second + lucky).se == pytest.approx(
        estimate_table_gap(first, second).se
    )
    assert estimate_table_gap(second, first).low == pytest.approx(-estimate_table_gap(first, second).high)


def test_gaps_of_frames_take_shared_seeds_and_refuse_shared_subjects() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(3, 5)), rng.normal(size=(2, 4))
    names = ["q1", "q2", "q3", "q4"]
    found = estimate_gap(means_of(first), means_of(second, seeds=[2, 1], subjects=names))
    assert found == estimate_table_gap(first[[2, 1]], second) or found.difference == pytest.approx(
        estimate_table_gap(first[[2, 1]], second).difference
    )
    assert (found.n_seeds, found.n_inside, found.n_outside) == (2, 5, 4)
    with pytest.raises(ValueError, match="p0 on both sides"):
        estimate_gap(means_of(first), means_of(first))
    nothing = estimate_gap(means_of(first), means_of(second * math.nan, subjects=names))
    assert math.isnan(nothing.difference)
    assert math.isnan(nothing.p)


# Transfer


def matrix_of(cells: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    return pd.concat([means_of(table, train_sequence=a, test_sequence=b) for (a, b), table in cells.items()])


def test_a_transfer_matrix_by_hand() -> None:
    one = np.ones((5, 4))
    cells = {
        ("T1w", "T1w"): 80 * one,
        ("T1w", "T2w"): 40 * one,
        ("T2w", "T1w"): 60 * one,
        ("T2w", "T2w"): 70 * one,
    }
    found = estimate_transfer(matrix_of({**cells, ("T1w", "PDw"): 5 * one}), higher_is_better=True)
    assert (found.own.mean, found.other.mean) == (75.0, 50.0)
    assert found.ratio.mean == pytest.approx(50 / 75)
    assert found.missing == ()
    pd.testing.assert_frame_equal(
        found.matrix, pd.DataFrame([[80.0, 40.0], [60.0, 70.0]], index=["T1w", "T2w"], columns=["T1w", "T2w"])
    )
    assert estimate_transfer(matrix_of(cells), higher_is_better=False).ratio.mean == pytest.approx(75 / 50)


def test_off_diagonal_means_have_crossed_intervals_over_shared_pairs() -> None:
    rng = np.random.default_rng(7)
    cells = {pair: rng.normal(50, 5, (5, 6)) for pair in itertools.product("abc", repeat=2)}
    cells["a", "b"][3, 2] = math.nan
    found = estimate_transfer(matrix_of(cells), higher_is_better=True)
    kept = {pair: np.delete(table, 2, axis=1) for pair, table in cells.items()}
    other = np.mean([table for (a, b), table in kept.items() if a != b], axis=0)
    own = np.mean([table for (a, b), table in kept.items() if a == b], axis=0)
    assert found.other == estimate_interval(other)
    assert found.ratio == estimate_ratio(other, own)


def test_the_ratios_interval_is_that_of_a_jackknife() -> None:
    rng = np.random.default_rng(8)
    lower = 70 + 5 * rng.normal(size=(1, 400))
    upper = 0.8 * lower + 2 * rng.normal(size=(1, 400))
    found = estimate_ratio(upper, lower)
    left = [np.delete(upper, k).mean() / np.delete(lower, k).mean() for k in range(400)]
    assert found.se == pytest.approx(math.sqrt(399 / 400 * np.sum((left - np.mean(left)) ** 2)), rel=0.01)
    assert found.low < 0.8 < found.high


def test_no_summary_of_an_incomplete_matrix() -> None:
    cells = {("a", "a"): np.ones((2, 3)), ("a", "b"): np.ones((2, 3)), ("b", "b"): np.ones((2, 3))}
    found = estimate_transfer(matrix_of(cells), higher_is_better=True)
    assert found.missing == (("b", "a"),)
    assert math.isnan(found.other.mean)
    assert math.isnan(found.matrix.loc["b", "a"])
    alone = estimate_transfer(matrix_of({("a", "a"): np.ones((2, 3))}), higher_is_better=True)
    assert math.isnan(alone.ratio.mean)
    assert math.isnan(estimate_ratio(np.ones((1, 3)), -np.ones((1, 3))).mean)


# Label subsets


def cube_frame(cube: np.ndarray) -> pd.DataFrame:
    return pd.concat([means_of(table, subset_seed=u) for u, table in enumerate(cube)], ignore_index=True)


def test_three_way_mean_squares_are_statsmodels() -> None:
    cube = np.random.default_rng(9).normal(size=(3, 4, 5)) + np.arange(3)[:, None, None]
    frame = cube_frame(cube)
    model = smf.ols("value ~ (C(subset_seed) + C(seed) + C(subject))**2", frame).fit()
    squares = sm.stats.anova_lm(model)["mean_sq"].to_numpy()
    u, s, n, us, un, sn, e = squares
    found = estimate_three_way(cube)
    assert found.residual == pytest.approx(e)
    assert found.subset == pytest.approx(max(0, (u - us - un + e) / 20))
    assert found.seed == pytest.approx(max(0, (s - us - sn + e) / 15))
    assert found.subject == pytest.approx(max(0, (n - un - sn + e) / 12))
    assert found.subset_seed == pytest.approx(max(0, (us - e) / 5))
    assert found.subset_subject == pytest.approx(max(0, (un - e) / 4))
    assert found.seed_subject == pytest.approx(max(0, (sn - e) / 3))


def test_three_way_components_are_those_of_reml() -> None:
    rng = np.random.default_rng(10)
    cube = 3 * rng.normal(size=(4, 1, 1)) + 2 * rng.normal(size=(1, 4, 1)) + rng.normal(size=(4, 4, 5))
    frame = cube_frame(cube + 4 * rng.normal(size=(1, 1, 5))).assign(all=1)
    found = estimate_subset_components(frame)
    names = ("subset_seed", "seed", "subject")
    positive = min(found.subset_seed, found.subset_subject, found.seed_subject)
    for first, second in itertools.combinations(names, 2) if positive > 0 else ():
        frame[f"{first}_{second}"] = frame[first].astype(str) + "_" + frame[second].astype(str)
    mixed = [name for name in frame if name not in ("value", "all")]
    parts = {name: f"0 + C({name})" for name in mixed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = smf.mixedlm("value ~ 1", frame, groups="all", re_formula="0", vc_formula=parts).fit()
    components = dict(zip(sorted(parts), fit.vcomp, strict=True))
    loose = 1e-2 if positive > 0 else 0.15  # a truncated component shifts the others a little
    assert found.subset == pytest.approx(components["subset_seed"], rel=loose)
    assert found.seed == pytest.approx(components["seed"], rel=loose)
    assert found.subject == pytest.approx(components["subject"], rel=loose)
    assert found.se == pytest.approx(fit.bse_fe["Intercept"], rel=loose)


def test_three_way_components_are_right_on_average() -> None:
    rng = np.random.default_rng(11)
    drawn = []
    for _ in range(300):
        cube = 3 * rng.normal(size=(4, 1, 1)) + rng.normal(size=(1, 5, 1)) + 6 * rng.normal(size=(1, 1, 20))
        drawn.append(estimate_three_way(cube + 2 * rng.normal(size=(1, 5, 20)) + rng.normal(size=(4, 5, 20))))
    assert np.mean([found.subset for found in drawn]) == pytest.approx(9, rel=0.15)
    assert np.mean([found.seed_subject for found in drawn]) == pytest.approx(4, rel=0.05)
    assert np.mean([found.residual for found in drawn]) == pytest.approx(1, rel=0.05)
    expected = 9 / 4 + 1 / 5 + 36 / 20 + 4 / 100 + 1 / 400
    assert np.mean([found.se**2 for found in drawn]) == pytest.approx(expected, rel=0.15)


def test_subsets_of_frames_count_complete_subjects() -> None:
    cube = np.random.default_rng(12).normal(size=(2, 3, 6))
    cube[1, 2, 4] = math.nan
    found = estimate_subset_components(cube_frame(cube).sample(frac=1, random_state=0))
    assert (found.n_subsets, found.n_seeds, found.n_subjects) == (2, 3, 5)
    assert found.residual == pytest.approx(estimate_three_way(np.delete(cube, 4, axis=2)).residual)
    one = estimate_subset_components(cube_frame(cube[:1]))
    assert math.isnan(one.subset)
    assert one.n_subsets == 1


def test_half_width_of_a_gap_is_the_sum_in_squares() -> None:
    terms, df = np.array([1.0, 2.0, 3.0]), np.array([4.0, 11.0, 29.0])
    expected = math.sqrt(sum(v * stats.t.ppf(0.975, d) ** 2 for v, d in zip(terms, df, strict=True)))
    assert compute_half_width(terms, df) == pytest.approx(expected)


def test_sets_too_small_for_an_interval_have_none_in_summaries() -> None:
    cube = np.random.default_rng(0).normal(10, 1, size=(3, 4, 9))
    small = curve(cube).assign(n_few=1)
    found = label_efficiency(small)
    assert found.area == pytest.approx(label_efficiency(curve(cube)).area)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    places = itertools.product(("T1w", "T2w"), repeat=2)
    tables = [
        means_of(
            np.random.default_rng(number).normal(10, 1, (3, 8)), train_sequence=train, test_sequence=test
        )
        for number, (train, test) in enumerate(places)
    ]
    whole = pd.concat(tables)
    for means, missing in ((whole, False), (whole.assign(n_few=1), True)):
        transfer = estimate_transfer(means, higher_is_better=True)
        for interval in (transfer.own, transfer.other, transfer.ratio):
            assert math.isfinite(interval.mean)
            assert math.isnan(interval.low) == missing
