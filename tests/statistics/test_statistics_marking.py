"""Which cells are marked, and what the caption then claims."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import leaderboard, render_run
from scipy import stats
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.report import RunData, load_run
from mribench.report.tables.grids import TRANSFER
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.statistics import estimate_mean_and_se, mark

METHODS = ("a", "b", "c", "d")
SEEDS = (0, 1, 2, 3, 4)
LEVEL = {"a": 0.80, "b": 0.799, "c": 0.70, "d": 0.60, "identity": 0.9}
NOISE = np.random.default_rng(7).normal(0, 0.005, (5, 5, 12))


def noisy(cell: Cell, metric: str, subject: str, label: str) -> float:
    who = (*METHODS, "identity").index(cell["method"])
    value = LEVEL[cell["method"]] + NOISE[who, cell["seed"] or 0, int(subject)]
    return 100 * (1 - value) if metric == HD95["id"] else value


def run_of(root: Path, **changes: Any) -> RunData:
    usual: dict[str, Any] = {
        "tasks": {"tissue": task([DICE, HD95])}, "methods": METHODS, "seeds": SEEDS, "labels": ("GM",),
        "subjects": tuple(map(str, range(12))), "references": ("identity",),
    }  # fmt: skip
    return load_run(Benchmark(**{"score": noisy} | usual | changes).write(root))


def marks_of(run: RunData, metric: str = "dice") -> dict[str, str]:
    frame = cell_frame(run, LEADERBOARD)
    frame = frame[frame["metric"] == metric]
    return dict(zip(frame["row"], frame["mark"], strict=True))


def test_ties_share_bold_from_five_seeds_on(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    expected = {"a": "best", "b": "best", "c": "second", "d": "none", "identity": "none"}
    assert marks_of(run) == expected
    assert marks_of(run, HD95["id"]) == expected
    assert set(cell_frame(run, LEADERBOARD).query("arm != 'identity'")["mark_style"]) == {"tested"}


def test_the_ties_are_those_of_holms_tests(tmp_path: Path) -> None:
    """By hand: paired crossed t-tests of all pairs, and Holm's correction."""
    p = {}
    for i in range(4):
        for k in range(i + 1, 4):
            table = (LEVEL[METHODS[i]] + NOISE[i]) - (LEVEL[METHODS[k]] + NOISE[k])
            mean, se, df = estimate_mean_and_se(table)
            p[METHODS[i], METHODS[k]] = 2 * stats.t.sf(abs(mean / se), df)
    adjusted: dict[tuple[str, str], float] = {}
    largest = 0.0
    for rank, (pair, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, value * (len(p) - rank)))
        adjusted[pair] = largest
    assert [pair for pair, value in adjusted.items() if value >= 0.05] == [("a", "b")]
    assert marks_of(run_of(tmp_path))["b"] == "best"


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3)])
def test_with_fewer_seeds_marks_are_plain(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    run = run_of(tmp_path, seeds=seeds)
    assert sorted(marks_of(run).values()) == ["best", "none", "none", "none", "second"]
    assert marks_of(run) == marks_of(dataclasses.replace(run, marking="paper"))
    caption = " ".join(leaderboard(run).caption)
    assert "Bold: best; underlined: second" in caption
    assert "Holm" not in caption


def test_plain_marks_can_be_asked_for(tmp_path: Path) -> None:
    run = dataclasses.replace(run_of(tmp_path), marking="paper")
    frame = cell_frame(run, LEADERBOARD)
    trained = frame[(frame["metric"] == "dice") & (frame["arm"] != "identity")]
    assert trained["mark"].tolist() == mark(trained["mean"].tolist(), higher_is_better=True)
    assert sorted(trained["mark"]) == ["best", "none", "none", "second"]
    caption = " ".join(leaderboard(run).caption)
    assert "differences are not tested" in caption
    assert "Holm" not in caption


def test_no_marks_at_all(tmp_path: Path) -> None:
    run = dataclasses.replace(run_of(tmp_path), marking="none")
    assert set(marks_of(run).values()) == {"none"}
    text = str(render_run(run, ["leaderboard", "transfer", "invariance"], "markdown"))
    assert "**" not in text
    assert "<ins>" not in text
    assert "Bold" not in text


def test_asking_for_other_marks_forgets_nothing(tmp_path: Path) -> None:
    """What was computed is shared between copies of a run: not the marks."""
    run = run_of(tmp_path)
    tested = marks_of(run)
    plain = marks_of(dataclasses.replace(run, marking="paper"))
    assert tested != plain
    assert marks_of(run) == tested


def test_a_frame_can_be_changed_without_changing_the_next(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    frame = cell_frame(run, LEADERBOARD)
    frame["mean"] = math.nan
    assert cell_frame(run, LEADERBOARD)["mean"].notna().all()


def test_the_caption_of_tested_marks(tmp_path: Path) -> None:
    caption = " ".join(leaderboard(run_of(tmp_path)).caption)
    assert "the best and all not separated from it" in caption
    assert "Holm" in caption
    assert "familywise error 5 %" in caption
    assert "not tested" not in caption
    assert "too few seeds" not in caption


def test_incomplete_cells_are_in_no_test(tmp_path: Path) -> None:
    states = {"b/frozen/tissue/T1w/1/subset0/seed4/test/Guys/T1w": "todo"}
    marks = marks_of(run_of(tmp_path, states=states))
    assert marks == {"a": "best", "b": "none", "c": "second", "d": "none", "identity": "none"}


def test_each_place_is_a_family(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        turned = cell["test_sequence"] == "T2w"
        value = noisy(cell, metric, subject, label)
        return 1 - value if turned else value

    tasks = {"tissue": task([DICE], sequences=("T1w", "T2w"))}
    run = run_of(tmp_path, score=score, tasks=tasks, transfer=True, references=())
    frame = cell_frame(run, TRANSFER)
    for (_, tested), family in frame.groupby(["train_sequence", "test_sequence"]):
        marks = dict(zip(family["row"], family["mark"], strict=True))
        best = {"T1w": {"a", "b"}, "T2w": {"d"}}[str(tested)]
        assert {row for row, found in marks.items() if found == "best"} == best


def test_without_any_cell_there_are_no_marks(tmp_path: Path) -> None:
    run = run_of(tmp_path, no_data=True)
    assert set(marks_of(run).values()) == {"none"}


# Categories, which the score rows hold for speed


def test_texts_of_scores_are_categories_and_change_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert run.scores["subject"].dtype == "category"
    plain = run.scores.astype(dict.fromkeys(run.scores.select_dtypes("category").columns, "str"))
    plain["train_sequence"] = run.scores["train_sequence"].astype(object)
    other = dataclasses.replace(run, scores=plain)
    for question in (LEADERBOARD, TRANSFER):
        pd.testing.assert_frame_equal(
            cell_frame(run, question), cell_frame(other, question), check_exact=True, check_dtype=False
        )
