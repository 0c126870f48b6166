from __future__ import annotations

import itertools
import math
import string
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from mribench.interfaces import EmptyMaskPolicy
from mribench.statistics import average_subjects, estimate_mean_and_se
from mribench.statistics.domain_gap import estimate_table_gap
from mribench.statistics.effects import (
    Effect,
    estimate_change,
    estimate_largest_gap_change,
    estimate_policy_change,
)
from mribench.statistics.findings import count_false_findings
from mribench.statistics.intervals import (
    compute_half_width,
    compute_p_value,
    estimate_interval,
    split_table_variance,
)
from mribench.statistics.scores import count_values

NAN = math.nan
DROPPED = EmptyMaskPolicy("dropped", "mm")
FIXED = EmptyMaskPolicy("256mm", "mm", prediction=256.0)


def means(cubes: Mapping[str, np.ndarray], subjects: Sequence[str] = string.ascii_lowercase) -> pd.DataFrame:
    """Rows of ``subject_means`` from one table (seed, subject) for each arm."""
    return pd.DataFrame(
        [
            {"row": arm, "seed": s, "subject": subjects[n], "value": value}
            for arm, cube in cubes.items()
            for (s, n), value in np.ndenumerate(np.asarray(cube, float))
        ]
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_seed_and_arm_is_scipys_paired_t_test() -> None:
    values = np.random.default_rng(1).normal(size=(2, 1, 12))
    found = estimate_change(means({"m": values[0]}), means({"m": values[1]}))
    expected = stats.ttest_rel(values[1][0], values[0][0])
    interval = expected.confidence_interval(0.95)
    assert found.difference / found.se == pytest.approx(expected.statistic)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.how, found.n_seeds, found.n_subjects) == ("paired", 1, 12)
    assert (found.without, found.with_defect) == pytest.approx((values[0].mean(), values[1].mean()))


def test_several_seeds_by_hand() -> None:
    without = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 4.0], [0.0, 1.0, 1.0]])
    # no interaction: seed SD and subject SD alone
    shift = np.array([[0.5, 0.7, 0.9], [1.5, 1.7, 1.9], [1.0, 1.2, 1.4]])
    found = estimate_change(means({"m": without}), means({"m": without + shift}))
    # differences: variance of seed means 0.25, of subject means 0.04, none left over
    assert found.difference == pytest.approx(1.2)
    assert found.se == pytest.approx(math.sqrt(0.25 / 3 + 0.04 / 3))
    half = stats.t.ppf(0.975, 2) * math.sqrt(0.25 / 3 + 0.04 / 3)
    assert (found.low, found.high) == pytest.approx((1.2 - half, 1.2 + half))
    two = estimate_change(means({"m": without[:2]}), means({"m": (without + shift)[:2]}))
    assert math.isnan(two.low), "two seeds leave no interval"
    assert (two.seed_low, two.seed_high) == pytest.approx((0.7, 1.7))


def test_arms_are_averaged_within_each_seed_and_subject() -> None:
    zeros = np.zeros((3, 3))
    shifts = {"m": np.array([[1.0, 2, 3]] * 3), "n": np.array([[3.0, 2, 1]] * 3)}
    found = estimate_change(means({"m": zeros, "n": zeros}), means(shifts))
    assert (found.difference, found.se) == (2.0, 0.0)  # the arms' subject effects cancel
    assert (found.low, found.high) == (2.0, 2.0)
    assert found.arms == {"m": (0.0, 2.0), "n": (0.0, 2.0)}


def test_only_arms_with_scores_on_both_sides_count() -> None:
    table = np.ones((2, 3))
    found = estimate_change(
        means({"m": table, "only here": 9 * table}), means({"m": 2 * table, "only there": table})
    )
    assert (found.without, found.with_defect, found.difference) == (1.0, 2.0, 1.0)
    assert list(found.arms) == ["m"]
    failed = estimate_change(means({"m": table, "f": table}), means({"m": 2 * table, "f": NAN * table}))
    assert list(failed.arms) == ["m"]
    assert failed.n_subjects == 3


def test_a_missing_pair_takes_its_subject_out_of_both_means() -> None:
    without, with_defect = np.array([[1.0, 2, 30], [1, 2, 30]]), np.array([[2.0, 3, NAN], [2, 3, 31]])
    found = estimate_change(means({"m": without}), means({"m": with_defect}))
    assert (found.without, found.with_defect, found.difference) == (1.5, 2.5, 1.0)
    assert (found.n_subjects, found.n_subjects_total, found.n_seeds) == (2, 3, 2)


def test_a_seed_without_scores_does_not_void_the_others() -> None:
    with_defect = np.array([[2.0, 3.0], [NAN, NAN]])
    found = estimate_change(means({"m": np.ones((2, 2))}), means({"m": with_defect}))
    assert (found.difference, found.n_seeds, found.n_subjects) == (1.5, 1, 2)


def test_nothing_on_one_side_is_nan_and_no_error() -> None:
    there = means({"m": np.ones((1, 2))})
    for found in (
        estimate_change(there, there.iloc[:0]),
        estimate_change(there.iloc[:0], there),
        estimate_change(there, there * 1),
    ):
        assert isinstance(found, Effect)
    empty = estimate_change(there, means({"m": np.full((1, 2), NAN)}))
    assert math.isnan(empty.difference)
    assert empty.arms == {}


def test_infinite_scores_are_left_out() -> None:
    found = estimate_change(means({"m": [[math.inf, 1.0, 2.0]]}), means({"m": [[math.inf, 2.0, 3.0]]}))
    assert (found.difference, found.n_subjects) == (1.0, 2)


def test_one_subject_has_a_difference_and_no_interval() -> None:
    found = estimate_change(means({"m": [[1.0]]}), means({"m": [[1.5]]}))
    assert found.difference == 0.5
    assert math.isnan(found.low)


def test_other_subjects_of_one_seed_have_the_error_of_scipys_welch() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.normal(size=(1, 9)), generator.normal(1.0, 3.0, size=(1, 6))
    found = estimate_change(means({"m": first}), means({"m": second}, "stuvwxyz"))
    expected = stats.ttest_ind(second[0], first[0], equal_var=False)
    assert found.how == "unpaired"
    assert found.difference / found.se == pytest.approx(expected.statistic)
    squares = [stats.t.ppf(0.975, x.size - 1) ** 2 * x.var(ddof=1) / x.size for x in (first, second)]
    assert (found.low, found.high) == pytest.approx(
        (found.difference - math.sqrt(sum(squares)), found.difference + math.sqrt(sum(squares)))
    )
    assert found.high - found.difference >= expected.confidence_interval(0.95).high - found.difference
    assert (found.n_subjects, found.n_subjects_with) == (9, 6)
    partly = estimate_change(means({"m": first}), means({"m": first[:, :8]}))
    assert partly.how == "unpaired"
    as_many = estimate_change(means({"m": first}), means({"m": first}, "bcdefghij"))
    assert (as_many.how, as_many.difference) == ("unpaired", 0.0)


def residual_square(table: np.ndarray) -> float:
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    return float((rest**2).sum() / ((table.shape[0] - 1) * (table.shape[1] - 1)))


def test_other_subjects_of_several_seeds_pair_the_seeds_by_hand() -> None:
    generator = np.random.default_rng(7)
    lucky = 5 * generator.normal(size=(3, 1))  # the same on both sides: it must not matter
    cubes = [
        {arm: lucky + shift + generator.normal(size=(3, n)) + 2 * generator.normal(size=n) for arm in "mn"}
        for shift, n in ((0.0, 9), (1.0, 6))
    ]
    found = estimate_change(means(cubes[0]), means(cubes[1], "stuvwxyz"))
    first, second = ((cube["m"] + cube["n"]) / 2 for cube in cubes)
    gaps = second.mean(1) - first.mean(1)
    terms = [gaps.var(ddof=1) / 3]
    for table in (first, second):
        subjects = 3 * table.mean(0).var(ddof=1)
        terms.append(max(0.0, subjects - residual_square(table)) / table.size)
    assert all(term > 0 for term in terms)
    width = math.sqrt(sum(stats.t.ppf(0.975, df) ** 2 * v for df, v in zip((2, 8, 5), terms, strict=True)))
    assert found.difference == pytest.approx(gaps.mean())
    assert found.se == pytest.approx(math.sqrt(sum(terms)))
    assert (found.low, found.high) == pytest.approx((gaps.mean() - width, gaps.mean() + width))
    assert (found.without, found.with_defect) == pytest.approx((first.mean(), second.mean()))
    assert found.arms["n"] == pytest.approx((cubes[0]["n"].mean(), cubes[1]["n"].mean()))


def test_other_subjects_count_under_the_seeds_of_both_sides() -> None:
    first = np.array([[1.0, 2, 3], [5, 6, 7], [NAN, NAN, NAN]])
    second = np.array([[2.0, 4, NAN], [6, 8, 9], [50, 60, 70]])
    found = estimate_change(means({"m": first}), means({"m": second}, "xyz"))
    assert (found.n_seeds, found.n_subjects, found.n_subjects_with) == (2, 3, 2)
    assert (found.without, found.with_defect, found.difference) == (4.0, 5.0, 1.0)
    assert found.arms == {"m": (4.0, 5.0)}
    nothing = estimate_change(means({"m": first[[2, 1]]}), means({"m": second * [[1], [NAN], [NAN]]}, "xyz"))
    assert (nothing.how, nothing.n_seeds) == ("unpaired", 0)
    assert math.isnan(nothing.difference)
    infinite = estimate_change(means({"m": [[1.0, 2, math.inf]]}), means({"m": [[1.0, 2, 3]]}, "xyz"))
    assert (infinite.difference, infinite.n_subjects) == (0.5, 2)


def by_the_old_rule(table: np.ndarray) -> float:
    """Half an interval of the SE of tables, without components below 0, at Satterthwaite's df."""
    _, se, df = estimate_mean_and_se(table)
    return float(stats.t.ppf(0.975, df)) * se


DRAWS = 2000
THROUGH = 20
"""Of those, as many go through data frames: the others only through what was seen to be the same."""


@pytest.mark.parametrize(("n_seeds", "n_subjects", "subject_sd"), [(3, 65, 1.0), (2, 8, 0.0)])
def test_intervals_cover_and_tests_err_as_they_say_with_few_seeds(
    n_seeds: int, n_subjects: int, subject_sd: float
) -> None:
    """Seeds vary 0.7 times as much as the residual; there the rule before this one was too liberal."""
    generator = np.random.default_rng([n_seeds, n_subjects])
    without = np.zeros((n_seeds, n_subjects))
    names = [f"p{n}" for n in range(n_subjects)]
    old = new = tests = 0
    for draw in range(DRAWS):
        table = 0.7 * generator.normal(size=(n_seeds, 1)) + subject_sd * generator.normal(size=n_subjects)
        table += generator.normal(size=(n_seeds, n_subjects))
        found = estimate_interval(table)
        if draw < THROUGH:
            effect = estimate_change(means({"m": without}, names), means({"m": table}, names))
            assert (effect.low, effect.high) == pytest.approx((found.low, found.high), nan_ok=True)
        new += bool(
            abs(found.mean) <= compute_half_width(*split_table_variance(table))
        )  # not shown with two seeds
        tests += bool(compute_p_value(found.mean, *split_table_variance(table)) < 0.05)
        old += abs(table.mean()) <= by_the_old_rule(table)
    assert new / DRAWS >= 0.94
    assert tests / DRAWS <= 0.06
    assert tests == DRAWS - new, "the interval leaves out 0 just where the test is significant"
    assert old / DRAWS < 0.94, "what this replaces"


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_intervals_of_other_subjects_cover_with_three_seeds(shared: float) -> None:
    """Whether a lucky seed is lucky on both sides, or each training has its own luck."""
    generator = np.random.default_rng(8)
    inside = 0
    for draw in range(DRAWS):
        lucky = generator.normal(size=(3, 1))
        first, second = (
            0.7 * (shared * lucky + (1 - shared) * generator.normal(size=(3, 1)))
            + generator.normal(size=n)
            + 0.5 * generator.normal(size=(3, n))
            for n in (20, 8)
        )
        found = estimate_table_gap(second, first)
        if draw < THROUGH:
            effect = estimate_change(means({"m": first}), means({"m": second}, "ABCDEFGH"))
            assert (effect.low, effect.high) == pytest.approx((found.low, found.high))
        inside += found.low <= 0 <= found.high
    assert inside / DRAWS >= 0.94


def test_largest_gap_change_is_that_of_a_search_over_all_pairs() -> None:
    generator = np.random.default_rng(4)
    arms = {f"m{i}": (float(a), float(b)) for i, (a, b) in enumerate(generator.normal(size=(5, 2)))}
    found = estimate_largest_gap_change(arms)
    assert found is not None
    everything = {
        (p, q): (arms[p][1] - arms[q][1]) - (arms[p][0] - arms[q][0])
        for p, q in itertools.permutations(arms, 2)
    }
    best = max(everything, key=lambda names: everything[names])
    assert (found.first, found.second) == best
    assert found.with_defect - found.without == pytest.approx(everything[best])
    assert found.without == pytest.approx(arms[best[0]][0] - arms[best[1]][0])
    assert estimate_largest_gap_change({"m": (1.0, 2.0)}) is None


def scores(rows: list[tuple[str, int, str, str, float]]) -> pd.DataFrame:
    """(arm, seed, subject, status, penalty) → score rows in mm."""
    names = ("row", "seed", "subject", "status", "penalty")
    frame = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])
    return frame.assign(unit="mm", session="", label="L")


def both(frame: pd.DataFrame, policy: EmptyMaskPolicy) -> Effect:
    touched = not count_values(frame, policy).equals(count_values(frame))
    sides = (average_subjects(frame, ["row"]), average_subjects(frame, ["row"], policy=policy))
    return estimate_policy_change(*sides, touched=touched, rng=rng())


def test_dropping_failures_and_the_fixed_penalty_by_hand() -> None:
    frame = scores(
        [
            ("m", 0, "a", "ok", 2.0),
            ("m", 0, "b", "pred-empty", 100.0),
            ("m", 0, "c", "ref-empty", 60.0),
            ("m", 0, "d", "ok", 6.0),
            ("m", 0, "e", "both-empty", NAN),
        ]
    )
    dropped, fixed = both(frame, DROPPED), both(frame, FIXED)
    assert (dropped.without, dropped.with_defect, dropped.difference) == (42.0, 4.0, -38.0)
    assert (fixed.without, fixed.with_defect, fixed.difference) == (42.0, 88.0, 46.0)
    assert (dropped.how, dropped.n_subjects, dropped.n_subjects_with, dropped.n_subjects_total) == (
        "bootstrap", 4, 2, 5,
    )  # fmt: skip
    assert dropped.low <= dropped.difference <= dropped.high


def test_the_bootstrap_is_that_of_a_plain_loop() -> None:
    generator = np.random.default_rng(5)
    table = generator.random((2, 2, 8))
    empty = generator.random((2, 2, 8)) < 0.3
    table[empty] = 200.0
    rows = [
        ("mn"[a], s, "abcdefgh"[n], "pred-empty" if empty[a, s, n] else "ok", value)
        for (a, s, n), value in np.ndenumerate(table)
    ]
    frame = scores(rows)
    found = both(frame, DROPPED)
    draws = []
    for _ in range(2000):
        people = generator.integers(0, 8, 8)
        arms = [table[a][:, people][~empty[a][:, people]].mean() - table[a][:, people].mean() for a in (0, 1)]
        draws.append(np.mean(arms))
    expected = np.quantile(draws, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(expected, rel=0.08)  # two Monte Carlo errors
    assert both(frame, DROPPED) == found  # the same resamples every time


def test_no_empty_mask_is_exactly_zero_without_a_bootstrap() -> None:
    frame = scores([("m", 0, "a", "ok", 2.0), ("m", 0, "b", "both-empty", NAN), ("m", 0, "c", "ok", 3.0)])
    found = both(frame, DROPPED)
    assert (found.difference, found.how, found.with_defect) == (0.0, "no empty mask", 2.5)
    assert math.isnan(found.low)


def test_where_dropping_leaves_nothing() -> None:
    gone = [("lost", 0, s, "pred-empty", 100.0) for s in "ab"]
    found = both(scores(gone), DROPPED)
    assert (found.how, found.gone) == ("nothing is left", ("lost",))
    assert math.isnan(found.difference)
    some = both(scores([*gone, ("m", 0, "a", "ok", 2.0), ("m", 0, "b", "pred-empty", 100.0)]), DROPPED)
    assert (some.without, some.with_defect, some.gone) == (51.0, 2.0, ("lost",))
    assert list(some.arms) == ["m"]
    assert some.how == "bootstrap"
    assert math.isfinite(some.low)  # resamples of b alone leave nothing, and are left out


def findings_rows(tables: Mapping[str, np.ndarray], labels: int = 2) -> pd.DataFrame:
    """One table (seed, row) for each arm; rows are subjects with some labels each."""
    return pd.DataFrame(
        [
            {
                "row": arm,
                "seed": s,
                "subject": n // labels,
                "label": n % labels,
                "cell": "T1w",
                "value": value,
            }
            for arm, table in tables.items()
            for (s, n), value in np.ndenumerate(np.asarray(table, float))
        ]
    )


def test_a_lucky_seed_is_a_false_finding_in_each_of_its_pairs() -> None:
    generator = np.random.default_rng(6)
    table = generator.normal(size=(3, 20))
    table[2] = table[0] + 5 + 0.01 * generator.normal(size=20)
    found = count_false_findings(findings_rows({"m": table}), ["cell"], ["subject", "label"])
    by_hand = sum(
        stats.wilcoxon(table[p], table[q]).pvalue < 0.05 for p, q in itertools.combinations(range(3), 2)
    )
    assert (found.tests, found.significant) == (3, by_hand)
    assert found.significant >= 2
    assert (found.low, found.high) == pytest.approx(proportion_confint(by_hand, 3, 0.05, method="beta"))
    assert (found.n_rows, found.n_arms, found.n_seeds) == (20, 1, 3)


def test_the_signed_rank_test_agrees_with_a_direct_permutation() -> None:
    table = np.array([[1.0, 2, 3, 4, 5, 6, 7, 8], [1.5, 1.9, 3.7, 4.8, 5.6, 6.4, 7.3, 8.2]])
    difference = table[1] - table[0]
    ranks = stats.rankdata(np.abs(difference))
    signs = np.array(list(itertools.product((-1, 1), repeat=8)))
    sums = np.abs(signs @ ranks)
    p = np.mean(sums >= abs(np.sign(difference) @ ranks) - 1e-9)
    found = count_false_findings(findings_rows({"m": table}), ["cell"], ["subject", "label"])
    assert p == pytest.approx(4 / 256)
    assert (found.significant, found.tests) == (int(p < 0.05), 1)


def test_equal_seeds_missing_rows_and_single_seeds() -> None:
    same = np.ones((2, 12))
    found = count_false_findings(findings_rows({"m": same}), ["cell"], ["subject", "label"])
    assert (found.significant, found.tests) == (0, 1)
    table = np.array([[1.0] * 12, [2.0] * 5 + [NAN] * 7])
    few = count_false_findings(findings_rows({"m": table}), ["cell"], ["subject", "label"])
    assert (few.significant, few.tests, few.n_rows) == (0, 1, 5)  # 5 rows cannot reach 0.05
    alone = count_false_findings(findings_rows({"m": same[:1]}), ["cell"], ["subject", "label"])
    assert (alone.tests, alone.n_seeds) == (0, 1)
    assert math.isnan(alone.low)
    none = count_false_findings(findings_rows({"m": same}).iloc[:0], ["cell"], ["subject", "label"])
    assert (none.tests, none.n_seeds, none.n_rows) == (0, 0, 0)


def test_cells_are_tested_apart() -> None:
    rows = findings_rows({"m": np.arange(24.0).reshape(2, 12), "n": np.arange(24.0).reshape(2, 12)})
    two = pd.concat([rows, rows.assign(cell="T2w")])
    found = count_false_findings(two, ["cell"], ["subject", "label"])
    assert (found.tests, found.significant, found.n_arms) == (4, 4, 2)


def share_found(generator: np.random.Generator, seed_sd: float, subject_sd: float, draws: int = 40) -> float:
    """Share of significant tests between seeds of an arm; what subject_sd adds is in all four labels."""
    significant = tests = 0
    for _ in range(draws):
        table = seed_sd * generator.normal(size=(3, 1)) + generator.normal(size=(3, 40))
        table += subject_sd * np.repeat(generator.normal(size=(3, 10)), 4, axis=1)
        found = count_false_findings(findings_rows({"m": table}, 4), ["cell"], ["subject", "label"])
        significant, tests = significant + found.significant, tests + found.tests
    return significant / tests


def test_rows_of_one_seed_mislead_by_lucky_seeds_and_by_labels_of_one_subject() -> None:
    """What the defect is said to be: 5 % without either, and more with each of the two alone."""
    generator = np.random.default_rng(9)
    assert 0.01 <= share_found(generator, 0.0, 0.0) <= 0.10
    assert share_found(generator, 0.0, 2.0) > 0.18
    assert share_found(generator, 0.7, 0.0) > 0.3


def test_chance_alone_seldom_makes_a_verdict_of_false_findings() -> None:
    """With independent rows and no lucky seeds; Wilson's interval leaves out 5 % too often."""
    generator = np.random.default_rng(10)
    exact = wilson = 0
    draws = 80
    for _ in range(draws):
        arms = {name: generator.normal(size=(3, 24)) for name in "mno"}
        found = count_false_findings(findings_rows(arms), ["cell"], ["subject", "label"])
        exact += found.low > 0.05
        wilson += proportion_confint(found.significant, found.tests, 0.05, method="wilson")[0] > 0.05
    assert exact / draws <= 0.05
    assert wilson / draws > 0.05
