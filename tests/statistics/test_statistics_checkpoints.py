from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from score_frames import means_of

from mribench.statistics import checkpoints
from mribench.statistics.checkpoints import compare_checkpoints, rank_signed_differences, rank_sum_chances


@pytest.mark.parametrize("name", ["s0_paired_n20", "s1_paired_n18_ties_zeros"])
def test_golden_brute_force(golden_dir: Path, name: str) -> None:
    case = json.loads((golden_dir / "metrics.json").read_text())["stats"][name]
    data = np.array(case["data"])
    differences = (data[:, 1] - data[:, 0]).round(2)
    found = rank_signed_differences(differences)
    assert found.p == pytest.approx(case["wilcoxon_bruteforce_p"], abs=1e-9)
    assert found.statistic == case["wilcoxon_exact_wilcox"][0]
    assert found.rank_biserial == pytest.approx(case["rank_biserial"], abs=1e-9)
    assert (found.n, found.n_zero, found.how) == (case["n"], case["n_zero"], "exact")
    assert found.scope == "these checkpoints"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_all_signs_one_by_one(values: list[int]) -> None:
    differences = np.array(values, float)
    found = rank_signed_differences(differences)
    some = differences[differences != 0]
    if not len(some):
        assert (found.p, found.n_zero) == (1.0, len(values))
        return
    ranks = stats.rankdata(np.abs(some))
    sums = [float(np.dot(signs, ranks)) for signs in itertools.product((0, 1), repeat=len(ranks))]
    far = abs(ranks[some > 0].sum() - ranks.sum() / 2)
    expected = np.mean([abs(total - ranks.sum() / 2) >= far - 1e-9 for total in sums])
    assert found.p == pytest.approx(expected)


@pytest.mark.parametrize("n", [5, 30, 185])
def test_without_ties_it_is_scipys_exact_test(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.2, 1, n)
    expected = stats.wilcoxon(differences, method="exact")
    found = rank_signed_differences(differences)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_with_ties_it_is_scipys_permutation_test() -> None:
    differences = np.random.default_rng(8).integers(-3, 6, 11).astype(float)
    some = differences[differences != 0]

    def rank_sum(x: np.ndarray) -> float:
        return float(stats.rankdata(np.abs(x))[x > 0].sum())

    expected = stats.permutation_test((some,), rank_sum, permutation_type="samples", n_resamples=np.inf)
    assert rank_signed_differences(differences).p == pytest.approx(expected.pvalue)


def test_many_subjects_take_the_normal_approximation(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(9).normal(0.05, 1, 400)
    exact = rank_signed_differences(differences)
    monkeypatch.setattr(checkpoints, "LARGEST_EXACT", 100)
    found = rank_signed_differences(differences)
    assert (exact.how, found.how) == ("exact", "normal")
    assert found.p == pytest.approx(exact.p, abs=2e-3)
    assert found.p == pytest.approx(stats.wilcoxon(differences, method="approx").pvalue)


def test_chances_sum_to_one() -> None:
    chances = rank_sum_chances(np.array([3, 3, 6]))
    np.testing.assert_allclose(chances * 8, [1, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 1])


def test_seeds_are_averaged_first_and_only_complete_subjects_count() -> None:
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=(2, 3, 12))
    first[1, 4] = math.nan
    found = compare_checkpoints(means_of(first), means_of(second))
    expected = rank_signed_differences(np.delete(first - second, 4, axis=1).mean(axis=0))
    assert found == expected
    assert found.n == 11


def test_nothing_to_compare() -> None:
    found = compare_checkpoints(means_of([[1.0, 2.0]]), means_of([[math.nan, math.nan]]))
    assert math.isnan(found.p)
    assert found.n == 0
