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
from score_frames import draw, groups_of, means_of

from mribench.statistics import mark
from mribench.statistics.checkpoints import signed_rank
from mribench.statistics.difference import difference_of
from mribench.statistics.ties import claimed_marks, compare_family, holm, tie_groups


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


def test_golden_wilcoxon_holm_and_tie_groups(case: dict) -> None:
    data = np.array(case["data"])
    pairs = list(itertools.combinations(range(4), 2))
    p = [signed_rank(data[:, i] - data[:, k]).p for i, k in pairs]
    # B and C are equal in one subject: there SciPy's default, the golden value, is the normal approximation
    zero = pairs.index((1, 2))
    np.testing.assert_allclose(np.delete(p, zero), np.delete(case["p_wilcoxon"], zero), atol=1e-9)
    assert p[zero] == pytest.approx(case["p_wilcoxon"][zero], abs=0.02)
    np.testing.assert_allclose(holm(case["p_wilcoxon"]), case["p_holm"], atol=1e-8)
    adjusted = holm(p)
    separated = matrix(4, {pair for pair, value in zip(pairs, adjusted, strict=True) if value < 0.05})
    groups = [["ABCD"[k] for k in group] for group in tie_groups(separated)]
    assert groups == case["critdd_groups_holm"]
    marks = claimed_marks(data.mean(axis=0), separated, higher_is_better=True)
    assert ["ABCD"[k] for k in range(4) if marks[k] == "best"] == case["best_tie_group_alpha05"]
    assert marks[3] == "second"  # nobody is behind it


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.01, math.nan]), [0.02, math.nan])
    assert holm([]).shape == (0,)


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
    assert claimed_marks(means, found, higher_is_better=True) == expected
    assert claimed_marks([-m for m in means], found, higher_is_better=False) == expected


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 6), pairs=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_tie_groups_are_the_largest_sets_without_a_separated_pair(n: int, pairs: set) -> None:
    separated = matrix(n, {(i, k) for i, k in pairs if i != k and max(i, k) < n})

    def tied(members: tuple[int, ...]) -> bool:
        return not any(separated[i, k] for i, k in itertools.combinations(members, 2))

    subsets = [c for size in range(1, n + 1) for c in itertools.combinations(range(n), size) if tied(c)]
    largest = [c for c in subsets if not any(set(c) < set(other) for other in subsets)]
    assert sorted(tie_groups(separated)) == sorted(largest)


def test_five_seeds_test_all_pairs_on_shared_scores() -> None:
    rng = np.random.default_rng(0)
    cube = draw(rng, (4, 5, 30), seed=0.5, residual=1.0) + np.array([0, 8, 7.8, -6])[:, None, None]
    cube[3, 2, 11] = math.nan
    found = compare_family(groups_of(cube), higher_is_better=True, name="tissue, 10 %, dice")
    kept = np.delete(cube, 11, axis=2)
    assert found.style == "tested"
    assert list(found.methods["row"][:2]) == list("BC" if kept[1].mean() > kept[2].mean() else "CB")
    assert list(found.methods["row"][2:]) == ["A", "D"]
    assert list(found.methods["mark"]) == ["best", "best", "second", "none"]
    assert {frozenset(group) for group in found.groups} == {frozenset("BC"), frozenset("A"), frozenset("D")}
    np.testing.assert_allclose(found.methods.set_index("row")["mean"][list("ABCD")], kept.mean(axis=(1, 2)))
    assert (found.pairs["n_subjects"] == 29).all()
    assert (found.pairs["n_missing_pairs"] == 1).all()
    one = found.pairs.set_index(["first", "second"]).loc[("A", "D")]
    assert one["p"] == pytest.approx(difference_of(kept[0] - kept[3]).p)
    np.testing.assert_allclose(found.pairs["p_adjusted"], holm(found.pairs["p"]))
    assert (
        "tissue, 10 %, dice: 4 methods on 5 shared seeds × 29 shared subjects; all 6 pairs"
        in found.description
    )
    assert "Holm, familywise error 5 %" in found.description


@pytest.mark.parametrize(("n_seeds", "words"), [(1, "these checkpoints only"), (4, "too few seeds")])
def test_below_five_seeds_nothing_is_claimed(n_seeds: int, words: str) -> None:
    cube = draw(np.random.default_rng(1), (3, n_seeds, 9)) + np.array([0, 90, 50])[:, None, None]
    found = compare_family(groups_of(cube), higher_is_better=True)
    assert (found.style, found.groups) == ("paper", ())
    assert list(found.methods["mark"]) == mark(found.methods["mean"].tolist(), higher_is_better=True)
    assert list(found.methods["mark"]) == ["best", "second", "none"]
    assert not found.pairs["separated"].any()
    assert found.pairs["p_adjusted"].isna().all()
    assert words in found.description
    assert "Holm" not in found.description


def test_a_method_without_scores_is_left_out_and_named() -> None:
    cube = draw(np.random.default_rng(2), (3, 5, 9))
    cube[1] = math.nan
    found = compare_family(groups_of(cube), higher_is_better=False)
    assert found.left_out == ("B",)
    assert set(found.methods["row"]) == {"A", "C"}
    assert found.pairs["n_seeds"].eq(5).all()
    assert list(found.methods["mean"]) == sorted(found.methods["mean"])


@pytest.mark.parametrize("groups", [{}, {"A": means_of(np.ones((5, 3)))}])
def test_nothing_to_compare(groups: dict[str, pd.DataFrame]) -> None:
    found = compare_family(groups, higher_is_better=True)
    assert len(found.pairs) == 0
    assert set(found.methods["mark"]) <= {"none"}


def test_methods_without_a_shared_subject() -> None:
    apart = {"A": means_of(np.ones((5, 2)), subjects="xy"), "B": means_of(np.ones((5, 2)), subjects="zw")}
    found = compare_family(apart, higher_is_better=True)
    assert found.style == "paper"
    assert found.methods["mean"].isna().all()
    assert "nothing to compare" in found.description


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
    expected = compare_family(groups, higher_is_better=True)
    names = list(groups)
    shuffled = {names[k]: groups[names[k]].sample(frac=1, random_state=seed) for k in order}
    moved = groups_of(scale * cube + shift)
    turned = groups_of(-cube)
    for other, higher in ((shuffled, True), (moved, True), (turned, False)):
        found = compare_family(other, higher_is_better=higher)
        assert list(found.methods["row"]) == list(expected.methods["row"])
        assert list(found.methods["mark"]) == list(expected.methods["mark"])
        assert found.groups == expected.groups
        np.testing.assert_allclose(found.pairs["p_adjusted"], expected.pairs["p_adjusted"], rtol=1e-5)


def test_two_methods_need_no_correction() -> None:
    cube = draw(np.random.default_rng(3), (2, 6, 10))
    found = compare_family(groups_of(cube), higher_is_better=True).pairs.iloc[0]
    assert found["p_adjusted"] == found["p"]
    averaged = stats.ttest_1samp((cube[0] - cube[1]).mean(axis=1), 0)
    assert found["p"] >= averaged.pvalue * 0.99  # seeds alone, never less
