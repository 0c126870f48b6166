from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from score_frames import draw, groups_of, judge, means_of

from mribench.statistics.checkpoints import rank_signed_differences
from mribench.statistics.difference import estimate_table_difference
from mribench.statistics.ties import adjust_holm, claim_marks


@pytest.fixture(scope="module")
def case(golden_dir: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((golden_dir / "metrics.json").read_text())["stats"][
        "s2_four_methods_holm_friedman"
    ]
    return found


def matrix(n: int, separated: set[tuple[int, int]]) -> np.ndarray:
    found = np.zeros((n, n), dtype=bool)
    for i, k in separated:
        found[i, k] = found[k, i] = True
    return found


def test_golden_wilcoxon_and_holm(case: dict) -> None:
    data = np.array(case["data"])
    pairs = list(itertools.combinations(range(4), 2))
    p = [rank_signed_differences(data[:, i] - data[:, k]).p for i, k in pairs]
    # B and C are equal in one subject: there SciPy's default, the golden value, is the normal approximation
    zero = pairs.index((1, 2))
    np.testing.assert_allclose(np.delete(p, zero), np.delete(case["p_wilcoxon"], zero), atol=1e-9)
    assert p[zero] == pytest.approx(case["p_wilcoxon"][zero], abs=0.02)
    np.testing.assert_allclose(adjust_holm(case["p_wilcoxon"]), case["p_holm"], atol=1e-8)
    adjusted = adjust_holm(p)
    separated = matrix(4, {pair for pair, value in zip(pairs, adjusted, strict=True) if value < 0.05})
    marks = claim_marks(data.mean(axis=0), separated, higher_is_better=True)
    assert ["ABCD"[k] for k in range(4) if marks[k] == "best"] == case["best_tie_group_alpha05"]
    assert marks[3] == "second"  # nobody is behind it


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(adjust_holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(adjust_holm([0.01, math.nan]), [0.02, math.nan])
    assert adjust_holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("means", "separated", "expected"),
    [
        ([3, 2, 1], {(0, 1), (0, 2), (1, 2)}, ["best", "second", "none"]),
        ([3, 2, 1], {(0, 1), (0, 2)}, ["best", "none", "none"]),  # the next is not separated from the last
        ([3, 2, 1], {(0, 2)}, ["best", "best", "second"]),
        ([3, 2, 1], set(), ["best", "best", "best"]),
        ([3, 2, 1, 0], {(0, 2), (0, 3), (2, 3)}, ["best", "best", "second", "none"]),
        ([1, 3], {(0, 1)}, ["second", "best"]),
        ([3, 3, 1], {(0, 2)}, ["best", "best", "best"]),  # tied with one of two leaders
        ([3], set(), ["none"]),
        ([math.nan, 3, 2], {(1, 2)}, ["none", "best", "second"]),
    ],
)
def test_marks_by_hand(means: list[float], separated: set[tuple[int, int]], expected: list[str]) -> None:
    found = matrix(len(means), separated)
    assert claim_marks(means, found, higher_is_better=True) == expected
    assert claim_marks([-m for m in means], found, higher_is_better=False) == expected


def test_five_seeds_test_all_pairs_on_shared_scores() -> None:
    rng = np.random.default_rng(0)
    cube = draw(rng, (4, 5, 30), seed=0.5, residual=1.0) + np.array([0, 8, 7.8, -6])[:, None, None]
    cube[3, 2, 11] = math.nan
    found = judge(groups_of(cube), higher_is_better=True)
    kept = np.delete(cube, 11, axis=2)
    assert found.style == "tested"
    assert found.names[:2] == list("BC" if kept[1].mean() > kept[2].mean() else "CB")
    assert found.names[2:] == ["A", "D"]
    assert found.marks == ["best", "best", "second", "none"]
    assert not found.separated[0, 1]
    assert found.separated[:2, 2:].all()
    assert found.separated[2, 3]
    expected = kept.mean(axis=2)[["ABCD".index(name) for name in found.names]]
    np.testing.assert_allclose(found.cube.mean(axis=2), expected)
    assert found.cube.shape[2] == 29
    assert found.n_missing_pairs == 1
    pairs = itertools.combinations(found.cube, 2)
    np.testing.assert_allclose(
        found.p_adjusted, adjust_holm([estimate_table_difference(a - b).p for a, b in pairs])
    )


@pytest.mark.parametrize("n_seeds", [1, 4])
def test_below_five_seeds_nothing_is_claimed(n_seeds: int) -> None:
    cube = draw(np.random.default_rng(1), (3, n_seeds, 9)) + np.array([0, 90, 50])[:, None, None]
    found = judge(groups_of(cube), higher_is_better=True)
    assert found.style == "paper"
    assert found.names == ["B", "C", "A"]
    assert found.marks == ["best", "second", "none"]
    assert not found.separated.any()
    assert np.isnan(found.p_adjusted).all()


def test_a_method_without_scores_is_left_out() -> None:
    cube = draw(np.random.default_rng(2), (3, 5, 9))
    cube[1] = math.nan
    found = judge(groups_of(cube), higher_is_better=False)
    assert set(found.names) == {"A", "C"}
    assert found.cube.shape == (2, 5, 9)
    assert found.cube[0].mean() < found.cube[1].mean()


@pytest.mark.parametrize("groups", [{}, {"A": means_of(np.ones((5, 3)))}])
def test_nothing_to_compare(groups: dict[str, pd.DataFrame]) -> None:
    found = judge(groups, higher_is_better=True)
    assert found.p_adjusted.size == 0
    assert set(found.marks) <= {"none"}


def test_methods_without_a_shared_subject() -> None:
    apart = {"A": means_of(np.ones((5, 2)), subjects="xy"), "B": means_of(np.ones((5, 2)), subjects="zw")}
    found = judge(apart, higher_is_better=True)
    assert found.style == "paper"
    assert found.cube.shape[2] == 0
    assert found.marks == ["none", "none"]


@settings(max_examples=7, deadline=None)
@given(
    seed=st.integers(0, 9999),
    shift=st.floats(-9, 9),
    scale=st.floats(0.1, 9),
    order=st.permutations(range(4)),
)
def test_marks_do_not_depend_on_order_unit_or_direction(
    seed: int, shift: float, scale: float, order: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    cube = draw(rng, (4, 5, 7), seed=0.2, residual=0.5) + np.arange(4)[:, None, None] * rng.uniform(0, 2)
    groups = groups_of(cube)
    expected = judge(groups, higher_is_better=True)
    names = list(groups)
    shuffled = {names[k]: groups[names[k]].sample(frac=1, random_state=seed) for k in order}
    moved = groups_of(scale * cube + shift)
    turned = groups_of(-cube)
    for other, higher in ((shuffled, True), (moved, True), (turned, False)):
        found = judge(other, higher_is_better=higher)
        assert found.names == expected.names
        assert found.marks == expected.marks
        np.testing.assert_allclose(found.p_adjusted, expected.p_adjusted, rtol=1e-5)


def test_two_methods_need_no_correction() -> None:
    cube = draw(np.random.default_rng(3), (2, 6, 10))
    found = judge(groups_of(cube), higher_is_better=True)
    assert found.p_adjusted == pytest.approx(estimate_table_difference(cube[0] - cube[1]).p)
    averaged = stats.ttest_1samp((cube[0] - cube[1]).mean(axis=1), 0)
    assert found.p_adjusted[0] >= averaged.pvalue * 0.99  # seeds alone, never less
