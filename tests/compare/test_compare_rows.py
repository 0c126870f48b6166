"""Score rows held by the cell and seed that they are of, beside the same found row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from mribench.compare.rows import CELL, COLUMNS, Rows, by_cell
from mribench.interfaces.table_source import Question
from mribench.results.cells import LEADERBOARD, selected
from mribench.results.manifest import Manifest, PlannedTask
from mribench.statistics.scores import list_keys

SEQUENCES = ("T1w", "T2w")
TASK = PlannedTask(
    task="some-task", dataset="ixi", label="tissues", fractions=(1.0,), train_sequences=SEQUENCES,
    test_sequences=SEQUENCES, sites=("Guys", "HH"), metrics=(),
)  # fmt: skip
MANIFEST = Manifest(
    benchmark="synthetic", file="", created="", profiles=("corrected",), seeds=(0, 1, 2), methods=(),
    arms=("frozen",), reference_arms=(), tasks={"tissue": TASK}, jobs=(),
)  # fmt: skip
QUESTIONS = (
    LEADERBOARD,
    Question(in_domain=False, own_sequence=True, average_sequences=True),
    Question(in_domain=True, own_sequence=False),
)


def scores(drop: float = 0.0, *, categorical: bool = False) -> pd.DataFrame:
    """Rows in no order, of trained cells and of one that nothing was trained for; some are left out."""
    sites, names, seeds, subjects = ("Guys", "HH"), ("T1w", "T2w"), (0.0, 1.0, 2.0), "abc"
    usual = {"method": "m", "arm": "frozen", "profile": "corrected", "task": "tissue", "dataset": "ixi"}
    usual |= {"train_site": "Guys", "fraction": 1.0, "subset_seed": 0.0, "session": "", "metric": "dice"}
    usual |= {"unit": "", "status": "ok", "penalty": 0.5}
    rows = [
        usual | {"test_site": site, "train_sequence": a, "test_sequence": b, "seed": seed, "subject": who}
        for site, a, b, seed, who in itertools.product(sites, names, names, seeds, subjects)
    ]
    none = dict.fromkeys(("train_site", "train_sequence", "fraction", "subset_seed", "seed"))
    rows += [row | none for row in rows[:6]]
    frame = pd.DataFrame(rows)[COLUMNS].sample(frac=1 - drop, random_state=3)
    texts = [name for name in COLUMNS if frame[name].dtype not in (np.dtype(float),)]
    return frame.astype(dict.fromkeys(texts, "category")) if categorical else frame


@pytest.mark.parametrize("categorical", [False, True])
def test_every_row_points_at_its_own_cell_and_seed(categorical: bool) -> None:
    frame = scores(categorical=categorical)
    rows = by_cell(frame)
    assert list_keys(rows.heads.iloc[rows.place], [*CELL, "seed"]) == list_keys(frame, [*CELL, "seed"])
    assert len(set(list_keys(rows.heads, [*CELL, "seed"]))) == len(rows.heads) == 2 * 2 * 2 * 3 + 1
    assert rows.cells == list_keys(rows.heads, CELL)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_a_question_of_the_cells_is_one_of_the_rows(question: Question, drop: float) -> None:
    frame = scores(drop, categorical=True)
    found = by_cell(frame).asked(MANIFEST, question)
    expected = selected(frame, MANIFEST, question)
    assert list(found.scores.index) == list(expected.index)
    assert 0 < len(found.scores) < len(frame)
    assert list_keys(found.heads.iloc[found.place], CELL) == list_keys(found.scores, CELL)


def test_keeping_twice_is_keeping_both() -> None:
    rows = by_cell(scores())
    rng = np.random.default_rng(0)
    first = rng.random(len(rows.heads)) < 0.6
    once = rows.kept(first)
    second = rng.random(len(once.heads)) < 0.6
    both = first.copy()
    both[first] = second
    twice, direct = once.kept(second), rows.kept(both)
    pd.testing.assert_frame_equal(twice.scores, direct.scores)
    pd.testing.assert_frame_equal(twice.heads, direct.heads)
    assert list(twice.place) == list(direct.place)
    assert rows.kept(np.ones(len(rows.heads), bool)) is rows
    nothing = rows.kept(np.zeros(len(rows.heads), bool))
    assert (len(nothing.heads), len(nothing.scores), nothing.cells) == (0, 0, [])


def slowly_whole(rows: Rows, columns: list[str]) -> pd.DataFrame:
    """Keep the rows of a seed that has, in its group, every cell that any seed of the group has."""
    frame = rows.scores
    group, seed, cell = (list_keys(frame, names) for names in (columns, ["seed"], CELL))
    every, here = {}, {}
    for g, s, c in zip(group, seed, cell, strict=True):
        every.setdefault(g, set()).add(c)
        here.setdefault((g, s), set()).add(c)
    return frame[[here[g, s] == every[g] for g, s in zip(group, seed, strict=True)]]


@pytest.mark.parametrize("drop", [0.0, 0.6, 0.8])
@pytest.mark.parametrize("columns", [["task", "fraction", "test_site"], ["task", "fraction"], [*CELL]])
def test_seeds_that_lack_a_cell_are_dropped_whole(drop: float, columns: list[str]) -> None:
    rows = by_cell(scores(drop))
    found = rows.whole_seeds(columns)
    expected = slowly_whole(rows, columns)
    assert list(found.scores.index) == list(expected.index)
    assert (len(expected) < len(rows.scores)) == (drop > 0 and columns != [*CELL])


def test_no_rows_have_no_cells() -> None:
    rows = by_cell(scores().iloc[:0])
    assert (rows.cells, len(rows.place)) == ([], 0)
    assert len(rows.whole_seeds(["task"]).scores) == 0
