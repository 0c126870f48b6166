from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings, strategies as st
from scipy import stats
from score_frames import draw, groups_of, means_of

from mribench.statistics import estimate_mean_and_se
from mribench.statistics.difference import (
    estimate_difference,
    estimate_differences,
    estimate_table_difference,
    judge_scope,
)


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((golden_dir / "metrics.json").read_text())["stats"]
    return found


@pytest.mark.parametrize("name", ["s0_paired_n20", "s1_paired_n18_ties_zeros"])
def test_one_seed_is_the_paired_t_test_with_golden_effect_sizes(golden: dict, name: str) -> None:
    case = golden[name]
    data = np.array(case["data"])
    found = estimate_difference(means_of(data[None, :, 1]), means_of(data[None, :, 0]))
    statistic, p = case["ttest_rel"]
    assert found.difference == pytest.approx(case["mean_diff"], abs=1e-9)
    assert found.se == pytest.approx(case["se_diff"], rel=1e-8)
    assert found.difference / found.se == pytest.approx(statistic, rel=1e-7)
    assert found.p == pytest.approx(p, rel=1e-7)
    assert found.d_z == pytest.approx(case["cohen_dz"], rel=1e-7)
    assert found.p_above == pytest.approx(case["p_a_gt_b_paired_half_ties"], abs=1e-8)
    assert (found.scope, found.n_seeds, found.n_pairs) == ("these checkpoints", 1, case["n"])


def test_several_seeds_by_hand() -> None:
    # MS 4, 16, 1 (test_statistics_crossed): components 1.5, 7.5, 1; mean 4
    found = estimate_difference(means_of([[1.5, 4.5], [2.5, 7.5]]), means_of(np.zeros((2, 2))))
    assert (found.difference, found.se) == pytest.approx((4.0, math.sqrt(19 / 4)))
    assert found.d_z == pytest.approx(4 / math.sqrt(1.5 + 7.5 + 1))
    assert (found.p_above, found.scope) == (1.0, "too few seeds")
    t = 4 / math.sqrt(19 / 4)
    assert found.p == pytest.approx(2 * stats.t.sf(t, 1))  # both terms have one degree of freedom


def test_the_se_is_that_of_reml(golden: dict) -> None:
    """A crossed mixed model with REML, statsmodels' own optimum, on a table with all components above 0."""
    table = np.array(golden["s4_seeds_by_subjects"]["data"])[:, :8] - 70
    frame = means_of(table).assign(all=1)
    parts = {"seed": "0 + C(seed)", "subject": "0 + C(subject)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optimiser is chatty about step sizes
        fit = smf.mixedlm("value ~ 1", frame, groups="all", re_formula="0", vc_formula=parts).fit()
    found = estimate_difference(means_of(table), means_of(np.zeros_like(table)))
    assert found.difference == pytest.approx(fit.fe_params["Intercept"])
    assert found.se == pytest.approx(fit.bse_fe["Intercept"], rel=1e-3)
    total = float(np.sum(fit.vcomp) + fit.scale)
    assert found.d_z == pytest.approx(found.difference / math.sqrt(total), rel=1e-3)


def test_only_complete_pairs_count_and_the_others_are_counted() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 6))
    first[1, 2], second[0, 4], second[2, 4] = math.nan, math.nan, math.inf
    found = estimate_difference(means_of(first), means_of(second))
    kept = np.delete(first - second, [2, 4], axis=1)
    assert (found.difference, found.se) == pytest.approx(estimate_mean_and_se(kept)[:2])
    assert (found.n_seeds, found.n_subjects, found.n_pairs, found.n_missing_pairs) == (3, 4, 12, 3)


def test_a_seed_that_one_method_lacks_is_left_out() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 3, 5))
    found = estimate_difference(means_of(first), means_of(second[:2]))
    assert found.n_seeds == 2
    assert found.n_missing_pairs == 5
    assert found.difference == pytest.approx((first - second)[:2].mean())


def test_against_a_reference_that_nothing_was_trained_for() -> None:
    trained, reference = np.random.default_rng(2).normal(size=(5, 7)), np.arange(7.0)
    found = estimate_difference(means_of(trained), means_of(reference[None], seeds=[-1]))
    assert found.difference == pytest.approx((trained - reference).mean())
    assert (found.n_seeds, found.scope) == (5, "methods")


def test_nothing_in_common_is_no_difference() -> None:
    for other in (means_of(np.ones((2, 3)), subjects="xyz"), means_of(np.full((2, 3), math.nan))):
        found = estimate_difference(means_of(np.ones((2, 3))), other)
        assert math.isnan(found.difference)
        assert math.isnan(found.p)
        assert (found.n_pairs, found.scope) == (0, "nothing")


def test_equal_scores_do_not_differ() -> None:
    table = np.random.default_rng(3).normal(size=(5, 6))
    found = estimate_difference(means_of(table), means_of(table))
    assert (found.difference, found.p, found.p_above) == (0.0, 1.0, 0.5)
    assert math.isnan(found.d_z)


def test_scopes() -> None:
    found = [judge_scope(seeds, 9) for seeds in (0, 1, 2, 4, 5, 10)]
    few = "too few seeds"
    assert found == ["nothing", "these checkpoints", few, few, "methods", "methods"]
    assert judge_scope(5, 1) == "nothing"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 6), st.integers(2, 8)),
    shift=st.floats(-20, 20),
    scale=st.floats(0.1, 10),
)
def test_order_shift_and_scale(seed: int, shape: tuple[int, int], shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, *shape))
    found = estimate_difference(means_of(first), means_of(second))
    swapped = estimate_difference(means_of(second), means_of(first))
    moved = estimate_difference(means_of(scale * first + shift), means_of(scale * second + shift))
    shuffled = estimate_difference(
        means_of(first).sample(frac=1, random_state=seed), means_of(second).sample(frac=1, random_state=1)
    )
    assert swapped.difference == pytest.approx(-found.difference)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), nan_ok=True)
    assert swapped.p_above == pytest.approx(1 - found.p_above)
    assert moved.difference == pytest.approx(scale * found.difference, abs=1e-9)
    for other in (swapped, moved, shuffled):
        assert other.p == pytest.approx(found.p, rel=1e-5)
        assert other.se == pytest.approx(found.se * (scale if other is moved else 1), rel=1e-5)
        assert abs(other.d_z) == pytest.approx(abs(found.d_z), rel=1e-5)


def test_all_pairs_of_all_places() -> None:
    cube = draw(np.random.default_rng(4), (3, 5, 6))
    frames = [
        frame.assign(row=name, place=place, metric="dice")
        for place in ("near", None)
        for name, frame in groups_of(cube + (place is None)).items()
    ]
    found = estimate_differences(pd.concat(frames), ["place", "metric"])
    assert list(zip(found["first"], found["second"], strict=True)) == 2 * [("A", "B"), ("A", "C"), ("B", "C")]
    assert found["place"].isna().sum() == 3
    assert found.loc[1, "difference"] == pytest.approx((cube[0] - cube[2]).mean())
    assert found.loc[1, "p"] == pytest.approx(estimate_table_difference(cube[0] - cube[2]).p)
    nothing = estimate_differences(pd.concat(frames).iloc[:0], ["place", "metric"])
    assert list(nothing.columns) == list(found.columns)
