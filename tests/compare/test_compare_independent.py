"""A comparison beside what plain loops and statsmodels make of the Parquet files on disk."""

from __future__ import annotations

import functools
import io
import itertools
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from synthetic_results import DICE, HD95, Benchmark, Cell, raw_scores, task

from mribench.compare import Paired, comparison_document, of_one, paired
from mribench.compare.differences import compared
from mribench.compare.empty import counts
from mribench.compare.subjects import people
from mribench.compare.where import by_seed, by_sequence, by_site
from mribench.report import load_run, render

SUBJECTS = tuple(f"s{k}" for k in range(7))
SEQUENCES = ("T1w", "T2w")
EMPTY = {"pred-empty": 90.0, "ref-empty": 70.0}


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    """Scores with empty masks of both kinds, a label that is nowhere, and failures under one seed."""
    who = (cell["method"], cell["seed"], subject)
    if who == ("base", 1, "s3"):
        return (math.nan, "failed", math.nan)
    if (subject, label) == ("s4", "WM"):
        return (math.nan, "both-empty", math.nan)
    if metric != "dice" and subject == "s5" and label == "GM" and cell["method"] == "seqinv":
        status = "pred-empty" if cell["seed"] == 0 else "ref-empty"
        return (math.nan, status, EMPTY[status])
    place = tuple(
        cell[k] for k in ("test_site", "train_sequence", "test_sequence", "fraction", "subset_seed")
    )
    value = 0.6 + 0.05 * noise(subject) + 0.02 * noise(*who[:2]) + 0.03 * noise(*who, *place, label)
    value += 0.02 * (cell["method"] == "seqinv") * (1 + (cell["test_sequence"] == "T2w"))
    return value if metric == "dice" else 30 * (1 - value)


BENCHMARK = Benchmark(
    score,
    tasks={"tissue": task([DICE, HD95], (0.1, 1.0), SEQUENCES, ("Guys", "HH"))},
    seeds=(0, 1, 2),
    subset_seeds=(0, 1),
    subjects=SUBJECTS,
    sessions=("a", "b"),
    transfer=True,
)


def compare(benchmark: Benchmark, root: Path, *order: str) -> Paired:
    benchmark.write(root)
    return paired(of_one(load_run(root), root, *(order or ("seqinv", "base"))))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BENCHMARK.write(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def found(root: Path) -> Paired:
    return paired(of_one(load_run(root), root, "seqinv", "base"))


@functools.cache
def raw(root: Path) -> pd.DataFrame:
    return raw_scores(root)


Counting = Callable[[Any], float]


def with_penalty(row: Any) -> float:
    return float(row.penalty)


def table_of(
    root: Path, metric: str, fraction: float, pairs: set[tuple[str, str]] | None = None,
    site: str = "Guys", counting: Counting = with_penalty,
) -> pd.DataFrame:  # fmt: skip
    """Differences, seeds × the subjects that both have under all of them, by loops over the rows."""
    pairs = pairs or {(name, name) for name in SEQUENCES}
    values: dict[Any, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    failed = set()
    for row in raw(root).itertuples(index=False):
        here = (row.train_sequence, row.test_sequence) in pairs and row.test_site == site
        if not here or row.metric != metric or row.fraction != fraction:
            continue
        who = (row.method, int(row.seed), row.subject)
        if row.status == "failed":
            failed.add(who)
        values[who][row.train_sequence, row.test_sequence, row.subset_seed][row.session].append(counting(row))
    means = {
        who: np.nanmean([np.nanmean([np.nanmean(x) for x in place.values()]) for place in places.values()])
        for who, places in values.items()
        if who not in failed
    }
    seeds = sorted({seed for _, seed, _ in means})
    rows = {
        s: {
            name: means["seqinv", s, name] - means["base", s, name]
            for name in SUBJECTS
            if ("seqinv", s, name) in means and ("base", s, name) in means
        }
        for s in seeds
    }
    return pd.DataFrame.from_dict(rows, orient="index").dropna(axis=1)


def half_of(table: pd.DataFrame) -> float:
    """Half the interval, from statsmodels' two-way analysis of variance; by subjects alone with one seed."""
    if len(table) == 1:
        values = table.to_numpy()[0]
        return float(stats.ttest_1samp(values, 0).confidence_interval(0.95).high - values.mean())
    long = table.rename_axis("seed").reset_index().melt("seed", var_name="subject", value_name="d")
    square = anova_lm(ols("d ~ C(seed) + C(subject)", long).fit())["mean_sq"]
    terms = square["C(seed)"], max(0.0, square["C(subject)"] - square["Residual"])
    quantiles = [stats.t.ppf(0.975, n - 1) for n in table.shape]
    return math.sqrt(sum(q**2 * v / table.size for q, v in zip(quantiles, terms, strict=True)))


# The difference


def test_the_difference_and_its_interval_from_the_files(root: Path, found: Paired) -> None:
    rows = compared(found)
    assert len(rows) == 4
    for row in rows:
        table = table_of(root, row.place.metric, row.place.where["fraction"])
        assert list(table.columns) == [name for name in SUBJECTS if name != "s3"], "failed under one seed"
        assert row.found.difference == pytest.approx(table.to_numpy().mean(), abs=1e-12)
        half = half_of(table)
        assert (row.found.high - row.found.low) / 2 == pytest.approx(half, rel=1e-9)
        assert (row.found.n_seeds, row.found.n_subjects, row.found.n_missing_pairs) == (3, 6, 1)
        assert row.found.p_above == pytest.approx((table.to_numpy() > 0).mean())
        assert (row.found.p < 0.05) == (abs(row.found.difference) > half)
    adjusted = multipletests([row.found.p for row in rows], method="holm")[1]
    assert [row.p_adjusted for row in rows] == pytest.approx(list(adjusted))


@pytest.mark.parametrize("seeds", [(4,), (0, 1), (0, 1, 2, 3, 4, 5)])
def test_one_two_and_six_seeds_from_the_files(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    tasks = {"tissue": task([DICE], (1.0,), SEQUENCES)}
    few = replace(BENCHMARK, seeds=seeds, tasks=tasks, transfer=False, subset_seeds=(0,))
    (row,) = compared(compare(few, tmp_path))
    table = table_of(tmp_path, "dice", 1.0)
    assert row.found.n_seeds == len(table) == len(seeds)
    assert row.found.difference == pytest.approx(table.to_numpy().mean())
    if len(seeds) == 2:
        assert math.isnan(row.found.low)
        assert (row.found.seed_low, row.found.seed_high) == pytest.approx(tuple(sorted(table.mean(axis=1))))
    else:
        assert row.found.high - row.found.difference == pytest.approx(half_of(table))
    said = {1: "these checkpoints only", 2: "too few seeds to tell methods apart"}
    assert said.get(len(seeds), row.verdict) == row.verdict
    assert len(seeds) < 5 or row.verdict in ("seqinv better", "base better", "no difference shown")


def dropped(row: Any) -> float:
    return math.nan if row.status in EMPTY else float(row.penalty)


def fixed(row: Any) -> float:
    return {"pred-empty": 256.0, "ref-empty": math.nan}.get(row.status, float(row.penalty))


@pytest.mark.parametrize(("defect", "counting"), [("dropped-failures", dropped), ("fixed-penalty", fixed)])
def test_the_policy_of_the_profile_holds(tmp_path: Path, defect: str, counting: Counting) -> None:
    tasks = {"tissue": task([DICE, HD95], (1.0,), SEQUENCES)}
    shown = replace(
        BENCHMARK, tasks=tasks, transfer=False, profile="as-released", shown={defect: "s"}, subset_seeds=(0,)
    )
    dice, hd95 = compared(compare(shown, tmp_path))
    expected, usual = (table_of(tmp_path, HD95["id"], 1.0, counting=c) for c in (counting, with_penalty))
    assert hd95.found.difference == pytest.approx(expected.to_numpy().mean())
    assert hd95.found.high - hd95.found.difference == pytest.approx(half_of(expected))
    assert abs(expected.to_numpy().mean() - usual.to_numpy().mean()) > 0.5, "the policies differ"
    assert dice.found.difference == pytest.approx(table_of(tmp_path, "dice", 1.0).to_numpy().mean())


# Parts that add up


def test_each_part_from_the_files(root: Path, found: Paired) -> None:
    for part in by_site(found, None):
        table = table_of(root, part.place.metric, 1.0, site=part.here)
        assert part.found.difference == pytest.approx(table.to_numpy().mean())
        assert part.found.high - part.found.difference == pytest.approx(half_of(table))
    for part in by_sequence(found, 0.1):
        trained, tested = part.here.split(" → ")
        table = table_of(root, part.place.metric, 0.1, {(trained, tested)})
        assert part.found.difference == pytest.approx(table.to_numpy().mean())
        assert part.found.high - part.found.difference == pytest.approx(half_of(table))


@pytest.mark.parametrize("fraction", [0.1, 1.0])
def test_seeds_subjects_and_own_sequences_average_to_the_difference(found: Paired, fraction: float) -> None:
    whole = {row.place.metric: row.found.difference for row in compared(found, fraction)}
    for row in by_seed(found, fraction):
        assert np.mean(list(row.means.values())) == pytest.approx(whole[row.place.metric])
    for one in people(found, fraction):
        assert one.rows["difference"].mean() == pytest.approx(whole[one.place.metric])
        assert one.rows["share"].sum() == pytest.approx(1.0)
        assert len(one.rows) == 6
    for metric, difference in whole.items():
        own = [
            part.found.difference
            for part in by_sequence(found, fraction)
            if part.place.metric == metric and len(set(part.here.split(" → "))) == 1
        ]
        assert len(own) == 2
        assert np.mean(own) == pytest.approx(difference)


def test_site_of_the_leaderboard_is_the_reference(found: Paired) -> None:
    whole = {row.place.metric: row.found for row in compared(found, 1.0)}
    first = {part.place.metric: part for part in by_site(found, 1.0) if part.change.how == "reference"}
    assert {part.here for part in first.values()} == {"Guys"}
    assert {name: part.found for name, part in first.items()} == whole


def test_the_statuses_are_those_in_the_files(root: Path, found: Paired) -> None:
    rows = raw(root)
    own = rows[(rows["train_sequence"] == rows["test_sequence"]) & (rows["test_site"] == "Guys")]
    for row in counts(found):
        here = own[(own["metric"] == row.place.metric) & (own["fraction"] == row.place.where["fraction"])]
        for method, side in (("seqinv", row.first), ("base", row.second)):
            mine = here[here["method"] == method]
            expected = mine["status"].value_counts().to_dict()
            assert side == {name: expected.get(name, 0) for name in side if name != "rows"} | {
                "rows": len(mine)
            }


# A side is what tables call by its name


def test_rows_of_a_side_are_those_with_its_label(tmp_path: Path) -> None:
    many = replace(
        BENCHMARK, arms=("frozen", "finetune"), references=("scratch", "identity"), seeds=(0,),
        tasks={"tissue": task([DICE])}, methods=("base", "base (finetune) ", "seqinv"),
        score=lambda cell, *_: 0.5 + 0.01 * len(cell["method"]),
    )  # fmt: skip
    many.write(tmp_path, "a" * 16)
    replace(many, profile="paper", salt="p").write(tmp_path, "b" * 16)
    run = load_run(tmp_path)
    seen = 0
    for profile in ("corrected", "paper"):
        for name, method, arm in (
            ("base", "base", "frozen"), ("seqinv (finetune)", "seqinv", "finetune"),
            ("scratch", "scratch", "scratch"), ("base (finetune) ", "base (finetune) ", "frozen"),
        ):  # fmt: skip
            pair = of_one(run, tmp_path, f"{name} [{profile}]", f"base (finetune) [{profile}]")
            mine = pair.first.scores
            expected = run.scores[
                run.scores["method"].eq(method)
                & run.scores["arm"].eq(arm)
                & run.scores["profile"].eq(profile)
            ]
            pd.testing.assert_frame_equal(mine, expected)
            seen += len(mine)
    assert seen > 0


# What is written


def test_json_is_strict_and_markdown_shows_the_same_numbers(root: Path, found: Paired) -> None:
    document = comparison_document(found.pair)
    content = json.loads(str(render(document, "json")), parse_constant=lambda name: pytest.fail(name))
    rows = [cell for cell in content["cells"] if cell["table"] == "difference"]
    expected = [row.found.difference for row in compared(found)]
    assert [row["difference"] for row in rows] == pytest.approx(expected, abs=1e-14)
    tables = str(render(document, "markdown")).split("## ")
    (shown,) = [text for text in tables if text.startswith("seqinv − base: the difference")]
    lines = [line for line in shown.splitlines() if line.startswith("| tissue")]
    assert len(lines) == 4
    for line, row in zip(lines, rows, strict=True):
        scale, digits = (100, 1) if row["metric"] == "dice" else (1, 2)
        assert f"{scale * row['difference']:+.{digits}f} \\[" in line
        assert f"{scale * row['mean_first']:.{digits}f}" in line
    csv = pd.read_csv(io.StringIO(str(render(document, "csv"))))
    low = csv.loc[csv["table"] == "difference", "low"].tolist()
    assert low == pytest.approx([row["low"] for row in rows], abs=1e-14)


HOSTILE = ('a,b"c', "=1+1", "line\nbreak", "| pipe |", "μ–∑ [x]", "a (finetune)", " ")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_one_name_in_every_format(tmp_path: Path, name: str) -> None:
    evil = replace(
        BENCHMARK, methods=(name, "base"), seeds=(0,), tasks={"tissue": task([DICE])},
        subjects=(name, "b", "c"), sessions=("",), subset_seeds=(0,), transfer=False,
        score=lambda cell, metric, subject, label: 0.5 + 0.1 * (cell["method"] == name) + 0.01 * len(subject),
    )  # fmt: skip
    found = compare(evil, tmp_path, name, "base")
    (row,) = compared(found)
    assert row.found.difference == pytest.approx(0.1)
    document = comparison_document(found.pair)
    content = json.loads(str(render(document, "json")))
    assert content["first"]["name"] == name
    people = [cell["subject"] for cell in content["cells"] if cell["table"] == "subjects"]
    assert sorted(people) == sorted([name, "b", "c"])
    csv = pd.read_csv(io.StringIO(str(render(document, "csv"))), keep_default_na=False)
    assert sorted(csv.loc[csv["table"] == "subjects", "subject"]) == sorted(people)
    lines = str(render(document, "markdown")).splitlines()
    blocks = [list(block) for table, block in itertools.groupby(lines, lambda line: line[:1] == "|") if table]
    assert len(blocks) >= 6
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block}) == 1, "a name made a column"
        assert all(line.endswith("|") for line in block), "a name broke a row"
