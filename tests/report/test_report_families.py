"""Rows of a column are compared over the same seeds and subjects; what has no interval, and failures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import leaderboard, render_run
from scipy import stats
from synthetic_results import DICE, HD95, Benchmark, Cell, task
from test_results_digests import NEW, OLD

from mribench.report import RunData, load_run
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.statistics.ranges import place_ends

SUBJECTS = tuple(f"s{k:02d}" for k in range(20))
NOISE = np.random.default_rng(3).normal(0, 0.01, (4, 10, 20))
METHODS = ("a", "b", "c", "easy")
RANGED = DICE | {"value_range": [0, 1]}


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    """Subjects get harder with their number; ``easy`` cannot do the last four, and is no better elsewhere."""
    number = SUBJECTS.index(subject)
    if cell["method"] == "easy" and number >= 16:
        return math.nan, "failed", math.nan
    return plain(cell, number)


def plain(cell: Cell, number: int) -> float:
    noise = NOISE[METHODS.index(cell["method"]), cell["seed"], number]
    return float(0.9 - 0.02 * number + noise + 0.004 * METHODS.index(cell["method"]))


def run_of(root: Path, **changes: Any) -> RunData:
    usual: dict[str, Any] = {"methods": METHODS, "subjects": SUBJECTS, "labels": ("GM",), "seeds": (0, 1, 2)}
    return load_run(Benchmark(**{"score": score} | usual | changes).write(root))


def cells_of(run: RunData) -> pd.DataFrame:
    return cell_frame(run, LEADERBOARD).set_index("row")


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2), (0, 1, 2, 3, 4)])
def test_who_fails_on_the_hardest_subjects_is_not_compared(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    run = run_of(tmp_path, seeds=seeds)
    found = cells_of(run)
    assert found["mean"].idxmax() == "easy", "over what it could do"
    assert found.loc["easy", ["out", "mark", "mark_style"]].tolist() == ["16 of 20 subjects", "none", ""]
    assert set(found["out"].drop("easy")) == {""}
    assert "best" in set(found["mark"].drop("easy"))
    assert found["n_subjects"].drop("easy").eq(20).all()
    text = str(render_run(run, ["leaderboard"], "markdown"))
    assert "16/20" in text
    assert "Not compared, for what they lack and others have: easy (tissue, dice: 16 of 20 subjects)." in text


def of_seeds(root: Path, **seeds: tuple[int, ...]) -> RunData:
    """Plans of one benchmark whose methods have other seeds."""
    for digest, (methods, numbers) in zip((OLD, NEW), seeds.items(), strict=True):
        Benchmark(
            lambda cell, metric, subject, label: plain(cell, SUBJECTS.index(subject)),
            methods=tuple(methods), subjects=SUBJECTS, labels=("GM",), seeds=numbers, salt=methods,
            created=f"2026-01-0{1 + (digest == NEW)}",
        ).write(root, digest)  # fmt: skip
    return load_run(root)


def test_one_row_with_four_seeds_leaves_the_others_their_tests(tmp_path: Path) -> None:
    found = cells_of(of_seeds(tmp_path, ab=(0, 1, 2, 3, 4), c=(0, 1, 2, 3)))
    assert found.loc["c", ["out", "mark"]].tolist() == ["4 of 5 seeds", "none"]
    assert found["mark_style"].drop("c").eq("tested").all()
    assert found.loc["a", "n_seeds"] == 5


def test_a_row_with_more_seeds_is_shown_over_those_of_the_others(tmp_path: Path) -> None:
    found = cells_of(of_seeds(tmp_path, abc=(0, 1, 2, 3, 4), a=tuple(range(5, 10))))
    assert found["n_seeds"].tolist() == [5, 5, 5]
    assert found["mark_style"].eq("tested").all()
    cell = {"method": "a"}
    expected = np.mean([plain(cell | {"seed": s}, k) for s in range(5) for k in range(20)])
    assert found.loc["a", "mean"] == pytest.approx(expected)
    assert found.loc["a", "out"] == ""


def test_two_seeds_show_their_own_means_in_place_of_an_interval(tmp_path: Path) -> None:
    tasks = {"tissue": task([RANGED])}
    run = run_of(
        tmp_path, seeds=(0, 1), methods=("a", "b"), references=("identity",), tasks=tasks,
        score=lambda cell, metric, subject, label: (
            plain(cell, SUBJECTS.index(subject)) if cell["seed"] is not None else 0.5
        ),
    )  # fmt: skip
    found = cells_of(run)
    own = [np.mean([plain({"method": "a", "seed": s}, k) for k in range(20)]) for s in (0, 1)]
    assert found.loc["a", ["seed_low", "seed_high"]].tolist() == pytest.approx(sorted(own))
    assert found.loc[["a", "b"], ["low", "high"]].isna().all(axis=None)
    (cell,) = leaderboard(run).cells[0]
    assert cell is not None
    assert cell.interval is None
    assert cell.seeds == pytest.approx(sorted(own))
    gain = str(render_run(run, ["over-identity"], "markdown"))
    low, high = (f"{100 * (value - 0.5):+.1f}" for value in sorted(own))
    assert f"(seeds: {low}, {high})" in gain
    assert "Two seeds: no interval; the two seeds' own means stand in its place." in gain


def test_one_subject_is_no_plural(tmp_path: Path) -> None:
    assert "tissue: 1 subject;" in str(
        render_run(run_of(tmp_path, subjects=SUBJECTS[:1]), ["leaderboard"], "markdown")
    )


def test_an_interval_stays_in_the_range_of_its_metric(tmp_path: Path) -> None:
    tasks = {"tissue": task([RANGED]), "lesion": task([HD95 | {"value_range": [0, None]}])}
    spread = np.random.default_rng(5).normal(0, 1, 20)

    def far(cell: Cell, metric: str, subject: str, label: str) -> float:
        lucky = (0.0, -2.0, 3.0)[cell["seed"]]
        place = SUBJECTS.index(subject)
        good = 1 / (1 + math.exp(-3 - lucky - spread[place]))
        return good if metric == "dice" else 20 * (1 - good) + 1

    found = cell_frame(run_of(tmp_path, tasks=tasks, methods=("a",), score=far), LEADERBOARD)
    dice, hd95 = (found[found["task"].eq(name)].iloc[0] for name in ("tissue", "lesion"))
    assert 0 < dice["low"] < dice["mean"] < dice["high"] < 1
    assert math.isnan(hd95["high"]) or 0 < hd95["low"] < hd95["mean"] < hd95["high"]
    table = np.array([[far({"seed": s}, "dice", name, "") for name in SUBJECTS] for s in range(3)])
    of_seeds = stats.t.ppf(0.975, 2) * table.mean(axis=1).std(ddof=1) / math.sqrt(3)
    assert dice["mean"] + of_seeds > 1, "where equal halves would leave it"
    assert place_ends(dice["mean"], of_seeds, (0.0, 1.0))[1] < 1


def test_failures_are_shown_in_two_parts(tmp_path: Path) -> None:
    def failing(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        if (cell["method"], cell["seed"], subject) == ("b", 1, "s03"):
            return math.nan, "pred-empty", 280.0
        return 20 * (1 - plain(cell, SUBJECTS.index(subject)))

    benchmark = Benchmark(
        failing,
        {"lesion": task([HD95])},
        methods=("a", "b"),
        subjects=SUBJECTS,
        labels=("GM",),
        seeds=(0, 1, 2),
    )
    run = load_run(benchmark.write(tmp_path))
    found = cells_of(run)
    assert found.loc["b", "failure_share"] == pytest.approx(1 / 60)
    assert math.isnan(found.loc["b", "low"])
    assert found.loc["b", "without_low"] < found.loc["b", "without_mean"] < found.loc["b", "without_high"]
    assert found.loc["b", "mean"] > found.loc["b", "without_high"], "the penalty is in the mean that ranks"
    assert found.loc["a", "low"] == found.loc["a", "without_low"]
    (said,) = [text for text in leaderboard(run).caption if text.startswith("Failures")]
    assert "b, lesion 100 %, hd95:max-directed: 1.7 % [0.0, " in said
    assert "(n=19)" in said
    assert "; " not in said.partition("would be): ")[2], "one cell alone failed"
    csv = str(render_run(run, ["leaderboard"], "csv")).splitlines()[0].split(",")
    assert {"failure_share", "failure_low", "failure_high", "without_mean", "n_subjects_without"} <= set(csv)


def test_a_score_of_an_image_cannot_fail(tmp_path: Path) -> None:
    tasks = {"denoise": task([DICE]) | {"label": None}, "tissue": task([DICE]) | {"label": "tissue"}}
    found = cell_frame(run_of(tmp_path, tasks=tasks, methods=("a",)), LEADERBOARD).set_index("task")
    assert math.isnan(found.loc["denoise", "failure_high"])
    assert 0 < found.loc["tissue", "failure_high"] < 0.3


def test_a_reason_of_several_lines_is_one_sentence_and_its_hint_stands_apart(tmp_path: Path) -> None:
    states = {"a/frozen/tissue/T1w/1/subset0/seed1/test/Guys/T1w": "failed"}
    benchmark = Benchmark(score, methods=("a",), subjects=SUBJECTS, labels=("GM",), states=states)
    root = benchmark.write(tmp_path)
    for path in root.glob("jobs/*/status.json"):
        path.write_text(path.read_text().replace('"it broke"', '"it broke:\\n  badly.", "hint": "mend it."'))
    (said,) = [text for text in leaderboard(load_run(root)).caption if text.startswith("Failed jobs")]
    assert said.endswith("T1w: it broke: badly (mend it).")
