from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings, strategies as st
from scipy import stats
from score_frames import draw, groups_of, means_of

from mribench.statistics.blocks import (
    ALPHA,
    CriticalDifference,
    compute_critical_difference,
    explain_dependence,
    form_independent_blocks,
    group_not_separated,
)
from mribench.statistics.ranks import compute_kendall_tau, compute_mean_ranks

DIRECTIONS = {"dice": True, "hd95": False}


def frame_of(
    cells: dict[tuple[str, str], np.ndarray], subjects: dict[str, list[str]] | None = None
) -> pd.DataFrame:
    """Rows of cells (place, metric) with cubes (M, S, N); places have subjects of their own names."""
    return pd.concat(
        [
            means_of(
                table,
                subjects=subjects[place] if subjects else [f"{place}-{n}" for n in range(table.shape[1])],
                row="ABCDEF"[m],
                place=place,
                metric=metric,
            )
            for (place, metric), cube in cells.items()
            for m, table in enumerate(cube)
        ],
        ignore_index=True,
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_ranks_by_hand() -> None:
    level = np.array([3.0, 2.0, 1.0])[:, None, None] * np.ones((3, 2, 4))
    frame = frame_of({("x", "dice"): level, ("y", "dice"): level, ("x", "hd95"): level})
    found = compute_mean_ranks(frame, ["place", "metric"], higher_is_better=DIRECTIONS, rng=rng())
    # dice: 1 2 3 twice; hd95: 3 2 1
    assert list(found.methods["row"]) == ["A", "B", "C"]
    np.testing.assert_allclose(found.methods["mean_rank"], [5 / 3, 2, 7 / 3])
    np.testing.assert_allclose(found.methods[["low", "high"]].to_numpy().T, [[5 / 3, 2, 7 / 3]] * 2)
    np.testing.assert_array_equal(found.tau, np.ones(1000))
    assert list(found.methods["p_first"]) == [1, 0, 0]
    assert (found.n_cells, found.n_seeds, found.n_subjects) == (3, 2, 8)


def test_resamples_are_weighted_means_of_what_was_drawn() -> None:
    """A slow second way: rows repeated as often as they were drawn, ranked by pandas, τ by SciPy."""
    cells = {("x", "dice"): draw(rng(), (3, 3, 5)), ("y", "hd95"): draw(np.random.default_rng(1), (3, 3, 4))}
    found = compute_mean_ranks(
        frame_of(cells),
        ["place", "metric"],
        higher_is_better=DIRECTIONS,
        rng=np.random.default_rng(5),
        resamples=40,
    )
    again = np.random.default_rng(5)
    people = again.multinomial(9, np.full(9, 1 / 9), size=40)
    seeds = [again.multinomial(3, np.full(3, 1 / 3), size=40) for _ in range(3)]
    observed = np.mean(
        [
            stats.rankdata(-cells["x", "dice"].mean(axis=(1, 2))),
            stats.rankdata(cells["y", "hd95"].mean(axis=(1, 2))),
        ],
        axis=0,
    )
    drawn = []
    for b in range(40):
        ranks = []
        for (_, metric), cube, where in zip(cells, cells.values(), (slice(0, 5), slice(5, 9)), strict=True):
            rows = [
                np.repeat(np.repeat(cube[m], seeds[m][b], axis=0), people[b, where], axis=1) for m in range(3)
            ]
            means = pd.Series(
                [table.mean() if table.size else cube[m].mean() for m, table in enumerate(rows)]
            )
            ranks.append(means.rank(ascending=metric == "hd95").to_numpy())
        drawn.append(np.mean(ranks, axis=0))
    expected = [
        stats.kendalltau(observed, ranks).statistic if len(set(ranks)) > 1 else math.nan for ranks in drawn
    ]
    np.testing.assert_allclose(found.tau, expected)
    table = found.methods.set_index("row").loc[["A", "B", "C"]]
    np.testing.assert_allclose(table["mean_rank"], observed)
    np.testing.assert_allclose(
        table[["low", "high"]].to_numpy().T, np.quantile(drawn, [0.025, 0.975], axis=0)
    )


def test_clear_orders_are_stable_and_equal_methods_are_not() -> None:
    apart = draw(rng(), (4, 5, 20)) + np.arange(4)[:, None, None] * 10
    same = draw(rng(), (4, 5, 20))
    by = ["place", "metric"]
    clear = compute_mean_ranks(frame_of({("x", "dice"): apart}), by, higher_is_better=DIRECTIONS, rng=rng())
    vague = compute_mean_ranks(frame_of({("x", "dice"): same}), by, higher_is_better=DIRECTIONS, rng=rng())
    assert clear.tau_mean > 0.99
    assert clear.tau_low == pytest.approx(1)
    assert vague.tau_mean < 0.8
    widths = vague.methods["high"] - vague.methods["low"]
    assert widths.max() >= 2


def test_a_subject_in_two_cells_is_drawn_for_both() -> None:
    """One cell twice is one cell: were subjects drawn apart, its interval would shrink."""
    cube = draw(rng(), (3, 2, 8), seed=0.1)
    by, names = ["place", "metric"], [f"p{n}" for n in range(8)]
    one = compute_mean_ranks(
        frame_of({("x", "dice"): cube}, {"x": names}), by, higher_is_better=DIRECTIONS, rng=rng()
    )
    shared = frame_of({("x", "dice"): cube, ("y", "dice"): cube}, {"x": names, "y": names})
    two = compute_mean_ranks(shared, by, higher_is_better=DIRECTIONS, rng=rng())
    pd.testing.assert_frame_equal(one.methods, two.methods)
    apart = compute_mean_ranks(shared, by, higher_is_better=DIRECTIONS, rng=rng(), cohort="place")
    assert (one.n_subjects, two.n_subjects, apart.n_subjects) == (8, 8, 16)
    assert (apart.methods["high"] - apart.methods["low"]).sum() <= (
        two.methods["high"] - two.methods["low"]
    ).sum()


def test_cells_that_lack_a_method_are_left_out_and_named() -> None:
    frame = frame_of({("x", "dice"): draw(rng(), (3, 2, 5)), ("y", "dice"): draw(rng(), (3, 2, 5))})
    gone = frame["place"].eq("y") & frame["row"].eq("B")
    for holed in (frame[~gone], frame.assign(value=frame["value"].mask(gone))):
        found = compute_mean_ranks(holed, ["place", "metric"], higher_is_better=DIRECTIONS, rng=rng())
        assert (found.n_cells, found.left_out) == (1, (("y", "dice"),))
    nothing = compute_mean_ranks(
        frame.assign(value=math.nan), ["place", "metric"], higher_is_better=DIRECTIONS, rng=rng()
    )
    assert nothing.n_cells == 0
    assert nothing.methods["mean_rank"].isna().all()
    with pytest.raises(ValueError, match="at least two methods to rank, got 1"):
        compute_mean_ranks(
            frame[frame["row"] == "A"], ["place", "metric"], higher_is_better=DIRECTIONS, rng=rng()
        )


def test_ranks_do_not_depend_on_the_order_of_rows() -> None:
    frame = frame_of(
        {("x", "dice"): draw(rng(), (4, 3, 6)), ("y", "hd95"): draw(np.random.default_rng(4), (4, 3, 6))}
    )
    by = ["place", "metric"]
    first = compute_mean_ranks(frame, by, higher_is_better=DIRECTIONS, rng=rng())
    shuffled = frame.sample(frac=1, random_state=3)
    second = compute_mean_ranks(shuffled, by, higher_is_better=DIRECTIONS, rng=rng())
    pd.testing.assert_frame_equal(first.methods, second.methods)
    np.testing.assert_array_equal(first.tau, second.tau)


orders = st.lists(st.integers(0, 4), min_size=2, max_size=7)


@settings(max_examples=60, deadline=None)
@given(order=orders, seed=st.integers(0, 9999), levels=st.integers(1, 5))
def test_tau_is_scipys_ties_and_all(order: list[int], seed: int, levels: int) -> None:
    one = np.array(order, float)
    others = np.random.default_rng(seed).integers(0, levels, (20, len(one))) / 2
    expected = [
        stats.kendalltau(one, other).statistic if min(len(set(one)), len(set(other))) > 1 else math.nan
        for other in others
    ]
    np.testing.assert_allclose(compute_kendall_tau(one, others), expected, atol=1e-12)


def test_tau_is_never_beyond_one() -> None:
    one = np.arange(9) / 3
    assert compute_kendall_tau(one, np.stack([one, -one])).tolist() == [1.0, -1.0]
    assert compute_kendall_tau(one, np.empty((0, 9))).shape == (0,)


# Blocks


def blocks_of(cube: np.ndarray):
    return form_independent_blocks(groups_of(cube))


def test_below_five_seeds_a_block_is_a_subject_and_speaks_of_checkpoints() -> None:
    cube = draw(rng(), (3, 2, 7))
    found = blocks_of(cube)
    np.testing.assert_allclose(found.scores.to_numpy(), cube.mean(axis=1).T)
    assert list(found.scores.columns) == list("ABC")
    assert found.rests_on["p3"] == ("p3",)
    assert (found.scope, found.n_seeds, found.n_subjects) == ("these checkpoints", 2, 7)
    assert explain_dependence(found.rests_on) == ""


def test_from_five_seeds_on_a_block_has_a_seed_and_subjects_of_its_own() -> None:
    cube = draw(rng(), (3, 5, 12))
    found = blocks_of(cube)
    assert found.scope == "methods"
    assert explain_dependence(found.rests_on) == ""
    assert list(found.rests_on) == [f"seed {seed}" for seed in range(5)]
    named = sorted((f"p{n}", n) for n in range(12))  # dealt by name: p0, p1, p10, p11, p2, ...
    assert found.rests_on["seed 1"] == ("seed 1", *(f"subject {name}" for name, _ in named[1::5]))
    share = [n for _, n in named[1::5]]
    np.testing.assert_allclose(found.scores.loc["seed 1"], cube[:, 1, share].mean(axis=1))
    assert len({name for names in found.rests_on.values() for name in names[1:]}) == 12


def test_blocks_take_what_all_methods_share() -> None:
    cube = draw(rng(), (3, 2, 6))
    cube[1, 0, 2] = math.nan
    found = blocks_of(cube)
    assert list(found.scores.index) == ["p0", "p1", "p3", "p4", "p5"]
    apart = groups_of(cube) | {"B": means_of(cube[1], seeds=[7, 8])}
    nothing = form_independent_blocks(apart)
    assert (len(nothing.scores), nothing.scope) == (0, "nothing")
    assert form_independent_blocks({}).scope == "nothing"
    few = blocks_of(draw(rng(), (3, 6, 5)))
    assert few.scope == "these checkpoints", "fewer subjects than seeds"


def test_equal_methods_with_lucky_seeds_are_separated_over_subjects_and_not_over_seeds() -> None:
    """Why blocks that share models may not speak of methods."""
    again = np.random.default_rng(3)
    tries, over_subjects, over_seeds = 100, 0, 0
    for _ in range(tries):
        cube = draw(again, (3, 5, 30))
        found = blocks_of(cube)
        scores = pd.DataFrame(cube.mean(axis=1).T)
        shared = compute_critical_difference(scores, own(scores), higher_is_better=True)
        apart = compute_critical_difference(found.scores, found.rests_on, higher_is_better=True)
        over_subjects += len(group_not_separated(shared)) != 1 or len(group_not_separated(shared)[0]) < 3
        over_seeds += len(group_not_separated(apart)) != 1 or len(group_not_separated(apart)[0]) < 3
    assert over_subjects / tries > 0.3
    assert over_seeds / tries < ALPHA + 0.05


def test_sets_of_methods_that_are_not_separated() -> None:
    scores = table(np.arange(4) + np.random.default_rng(5).normal(0, 0.8, (30, 4)))
    found = compute_critical_difference(scores, own(scores), higher_is_better=True)
    sets = group_not_separated(found)
    ranks = found.mean_ranks
    for names in sets:
        assert ranks[names[-1]] - ranks[names[0]] <= found.critical_difference
    together = {frozenset(pair) for names in sets for pair in itertools.combinations(names, 2)}
    for a, b in itertools.combinations("ABCD", 2):
        assert (frozenset((a, b)) in together) == (abs(ranks[a] - ranks[b]) <= found.critical_difference)
    assert len(sets) == len({frozenset(names) for names in sets})


def test_overlapping_sets_are_each_the_largest() -> None:
    ranks = pd.Series([1.0, 2.0, 3.0, 5.0], index=list("ABCD"))
    found = CriticalDifference(ranks, 9.0, 0.01, 1.5, pd.DataFrame(), 10, "")
    assert group_not_separated(found) == [("A", "B"), ("B", "C")]
    assert group_not_separated(replace(found, p=0.2)) == [tuple("ABCD")], "Friedman's test comes first"
    assert group_not_separated(replace(found, reason="4 blocks")) == []
    assert group_not_separated(replace(found, critical_difference=0.5)) == []


def table(data: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        data, columns=list("ABCD")[: data.shape[1]], index=[f"b{k}" for k in range(len(data))]
    )


def own(scores: pd.DataFrame) -> dict[str, list[str]]:
    return {block: [block] for block in scores.index}


def test_golden_friedman_nemenyi_and_critical_difference(golden_dir: Path) -> None:
    case = json.loads((golden_dir / "metrics.json").read_text())["stats"]["s2_four_methods_holm_friedman"]
    scores = table(np.array(case["data"]))
    found = compute_critical_difference(scores, own(scores), higher_is_better=True)
    np.testing.assert_allclose(found.mean_ranks[list("ABCD")], case["mean_rank_high_is_best"])
    assert list(found.mean_ranks.index) == list("CBAD")
    assert found.chi2 == pytest.approx(case["friedman_chi2"][0], abs=1e-8)
    assert found.p == pytest.approx(case["friedman_chi2"][1], abs=1e-9)
    pairs = [found.nemenyi.loc[a, b] for a, b in case["pairs"]]
    np.testing.assert_allclose(pairs, case["p_nemenyi_scikit_posthocs"], atol=1e-9)
    assert found.critical_difference == pytest.approx(case["nemenyi_cd_alpha05"], abs=1e-5)
    assert found.critical_difference == pytest.approx(case["nemenyi_cd_autorank"], abs=1e-5)
    assert (found.n_blocks, found.reason) == (30, "")


def test_ranks_further_apart_than_the_critical_difference_have_small_p() -> None:
    scores = table(np.random.default_rng(1).normal(size=(25, 4)) + np.array([0, 0.3, 0.9, 1.5]))
    found = compute_critical_difference(scores, own(scores), higher_is_better=False)
    assert found.mean_ranks.index[0] == "A"
    for a in "ABCD":
        for b in "ABCD":
            far = abs(found.mean_ranks[a] - found.mean_ranks[b]) > found.critical_difference
            assert far == (found.nemenyi.loc[a, b] < 0.05)
    expected = scikit_posthocs.posthoc_nemenyi_friedman(-scores.to_numpy())
    np.testing.assert_allclose(found.nemenyi.to_numpy(), expected.to_numpy())


def test_dependent_blocks_are_refused_with_the_reason() -> None:
    scores = table(np.random.default_rng(2).normal(size=(6, 3)))
    rests = own(scores)
    rests["b4"], rests["b2"] = ["p1", "p2", "p9"], ["p2", "p1"]
    found = compute_critical_difference(scores, rests, higher_is_better=True)
    assert found.reason == "blocks b2 and b4 share p1 and 1 more: their ranks are not independent"
    assert math.isnan(found.critical_difference)
    assert found.mean_ranks.isna().all()
    assert explain_dependence({"a": ["p1", "seed 0"], "b": ["p2", "seed 0"]}).startswith(
        "blocks a and b share seed 0:"
    )
    assert explain_dependence({"a": ["p1"], "b": []}) == "nothing is known of what block b rests on"
    assert explain_dependence({"a": ["p1"], "b": ["p2"]}) == ""


def test_too_little_for_friedman() -> None:
    full = np.random.default_rng(3).normal(size=(6, 3))
    holed = full.copy()
    holed[3, 1] = math.nan
    for data, words in (
        (full[:, :2], "2 methods, Friedman's test needs 3"),
        (full[:4], "4 blocks, at least 5 are needed"),
        (holed, "block b3 lacks a score"),
        (np.ones((6, 3)), "all methods are tied in every block"),
    ):
        scores = table(data)
        assert compute_critical_difference(scores, own(scores), higher_is_better=True).reason == words
    with pytest.raises(ValueError, match="got nothing for b0"):
        compute_critical_difference(table(full), {}, higher_is_better=True)
