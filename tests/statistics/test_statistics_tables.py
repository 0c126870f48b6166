"""Tables of many groups at once, against one group at a time in pandas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from score_frames import draw, groups_of, judge, means_of

from mribench.statistics.difference import estimate_table_difference
from mribench.statistics.scores import average_subjects, estimate, estimate_means, number_groups
from mribench.statistics.tables import align_groups, align_tables, make_table, split_tables
from mribench.statistics.ties import adjust_holm, claim_marks, mark


def rows_of_groups(seed: int = 0, groups: int = 7) -> pd.DataFrame:
    """Groups with seeds and subjects of their own, some pairs gone, in a random order; one key is null."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(groups):
        seeds = rng.choice(9, 1 + number % 4, replace=False)
        subjects = [f"s{n}" for n in rng.choice(30, 3 + number, replace=False)]
        part = means_of(rng.normal(size=(len(seeds), len(subjects))), seeds, subjects)
        part = part.assign(task=f"t{number // 2}", fraction=None if number == 3 else number / 10)
        parts.append(part.sample(frac=0.9, random_state=number))
    counts = {"n_rows": 3, "n_failed": 0, "n_empty": 1, "n_both_empty": 2, "n_few": 0}
    return pd.concat(parts).sample(frac=1.0, random_state=seed).assign(**counts).reset_index(drop=True)


@pytest.mark.parametrize("categorical", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_each_table_is_what_pandas_makes_of_its_group(seed: int, *, categorical: bool) -> None:
    rows = rows_of_groups(seed)
    if categorical:
        rows["subject"] = rows["subject"].astype("category")
    heads, number = number_groups(rows, ["task", "fraction"])
    tables = split_tables(rows, number, len(heads))
    assert len(tables) == len(heads) == 7
    for k, (task, fraction) in enumerate(heads.itertuples(index=False, name=None)):
        same = rows["fraction"].isna() if pd.isna(fraction) else rows["fraction"].eq(fraction)
        group = rows[rows["task"].eq(task) & same].astype({"subject": str})
        wide = group.pivot(index="seed", columns="subject", values="value")
        np.testing.assert_array_equal(tables[k].values, wide.to_numpy())
        assert list(tables[k].seeds) == list(wide.index)
        assert list(tables[k].subjects) == list(wide.columns)


def test_groups_are_numbered_as_they_come() -> None:
    rows = pd.DataFrame({"task": ["b", "a", "b", None, "a", None]})
    heads, number = number_groups(rows, ["task"])
    assert number.tolist() == [0, 1, 0, 2, 1, 2]
    assert heads["task"].tolist()[:2] == ["b", "a"]
    assert pd.isna(heads["task"][2])
    every, one = number_groups(rows, [])
    assert (len(every), one.tolist()) == (1, [0] * 6)


def test_doubles_in_any_group_are_refused() -> None:
    rows = rows_of_groups()
    doubled = pd.concat([rows, rows.iloc[[5]]], ignore_index=True)
    heads, number = number_groups(doubled, ["task", "fraction"])
    with pytest.raises(ValueError, match="one value per seed and subject"):
        split_tables(doubled, number, len(heads))


def test_an_infinite_score_stays_in_a_mean_and_counts_as_none_in_a_comparison() -> None:
    rows = means_of([[1.0, math.inf, 3.0], [1.0, 2.0, 5.0]]).assign(
        n_rows=1, n_failed=0, n_empty=0, n_both_empty=0, n_few=0
    )
    assert estimate(rows).mean == math.inf
    assert estimate(rows).n_missing_pairs == 0
    assert math.isinf(make_table(rows).values[0, 1])
    found = align_groups({"A": rows, "B": means_of([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])})
    assert np.isnan(found.cube[0, 0, 1])
    assert found.complete().cube.shape == (2, 2, 2)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_of_groups_are_those_of_each_alone(seed: int) -> None:
    rows = rows_of_groups(seed)
    together = estimate_means(rows, ["task", "fraction"])
    for number, found in together.iterrows():
        same = (
            rows["fraction"].isna() if pd.isna(found["fraction"]) else rows["fraction"].eq(found["fraction"])
        )
        alone = estimate(rows[rows["task"].eq(found["task"]) & same])
        for name in ("mean", "se", "df", "n_subjects", "n_subjects_total", "n_seeds", "n_rows", "n_empty"):
            np.testing.assert_equal(found[name], getattr(alone, name), f"{number} {name}")


def test_an_estimate_of_nothing() -> None:
    empty = means_of(np.empty((0, 0)))
    nothing = pd.DataFrame(
        columns=["seed", "subject", "value", "n_rows", "n_failed", "n_empty", "n_both_empty", "n_few"]
    )
    assert empty.empty
    found = estimate(nothing)
    assert math.isnan(found.mean)
    assert (found.n_seeds, found.n_subjects, found.n_rows) == (0, 0, 0)


@pytest.mark.parametrize("shape", [(3, 5, 12), (4, 2, 9), (2, 6, 20), (1, 5, 5), (3, 1, 8)])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_family_is_judged_by_the_differences_of_its_pairs(
    shape: tuple[int, int, int], *, higher_is_better: bool
) -> None:
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        cube = draw(rng, shape) + rng.normal(0, 3, (shape[0], 1, 1))
        family = judge(groups_of(cube), higher_is_better=higher_is_better)
        order = sorted(range(shape[0]), key=lambda k: -cube[k].mean() if higher_is_better else cube[k].mean())
        assert family.names == ["ABCDEFGH"[k] for k in order]
        pairs = itertools.combinations(order, 2)
        p_values = [estimate_table_difference(cube[i] - cube[k]).p for i, k in pairs]
        if family.style == "tested":
            np.testing.assert_allclose(family.p_adjusted, adjust_holm(p_values), rtol=1e-12)
            expected = claim_marks(
                cube[order].mean(axis=(1, 2)), family.separated, higher_is_better=higher_is_better
            )
            assert family.marks == expected
        else:
            assert np.isnan(family.p_adjusted).all()
            means = cube[order].mean(axis=(1, 2)).tolist()
            assert family.marks == mark(means, higher_is_better=higher_is_better)


def test_tables_of_other_seeds_and_subjects_are_aligned_as_frames_are() -> None:
    first = means_of([[1.0, 2.0], [3.0, 4.0]], seeds=[4, 2], subjects=["x", "y"])
    second = means_of([[5.0, 6.0, 7.0]], seeds=[2], subjects=["y", "z", "x"])
    found = align_tables({"A": make_table(first), "B": make_table(second)})
    assert list(found.seeds) == [2, 4]
    place = {name: k for k, name in enumerate(found.subjects)}
    assert found.cube[0, 0, place["x"]] == 3.0
    assert found.cube[1, 0, place["x"]] == 7.0
    assert np.isnan(found.cube[1, 1]).all()
    assert np.isnan(found.cube[0, :, place["z"]]).all()


def by_hand(scores: pd.DataFrame, within: list[str]) -> dict[tuple[object, ...], float]:
    """Labels, then sessions, then the columns of ``within``, averaged in turn by plain loops."""
    found: dict[tuple[object, ...], dict[tuple[object, ...], dict[object, list[float]]]] = {}
    for row in scores.itertuples():
        inner = tuple(getattr(row, name) for name in within)
        place = found.setdefault((row.method, row.seed, row.subject), {}).setdefault(inner, {})
        place.setdefault(row.session, []).append(row.penalty)
    return {
        key: float(np.mean([np.mean([np.mean(v) for v in sessions.values()]) for sessions in inner.values()]))
        for key, inner in found.items()
    }


@pytest.mark.parametrize("within", [[], ["sequence"], ["sequence", "subset"]])
def test_subjects_of_unequal_counts_are_averaged_level_by_level(within: list[str]) -> None:
    rng = np.random.default_rng(3)
    grid = pd.MultiIndex.from_product(
        [["m1", "m2"], [0, 1], ["a", "b", "c"], ["T1w", "T2w"], [0, 1], ["1", "2"], ["GM", "WM", "CSF"]],
        names=["method", "seed", "subject", "sequence", "subset", "session", "label"],
    ).to_frame(index=False)
    kept = grid.sample(frac=0.6, random_state=1)
    scores = kept.assign(
        penalty=rng.normal(size=len(kept)), value=0.0, status="ok", unit="", metric="dice"
    )  # its index has gaps, as that of selected rows has
    expected = by_hand(scores, within)
    for frame in (
        scores,
        scores.astype(dict.fromkeys(("method", "subject", "sequence", "session"), "category")),
    ):
        found = average_subjects(frame, ["method"], within)
        assert len(found) == len(expected)
        for row in found.itertuples():
            assert row.value == pytest.approx(expected[row.method, row.seed, row.subject], abs=1e-13)
        assert found["n_rows"].sum() == len(scores)
        assert not any(isinstance(kind, pd.CategoricalDtype) for kind in found.dtypes)
