"""What a comparison says in words, and that it says no more."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.compare import comparison_document, of_one, paired
from mribench.compare.differences import compared
from mribench.interfaces.table import Table
from mribench.report import load_run

SUBJECTS = tuple(f"s{k}" for k in range(10))
DIFFERENCE = {"seqinv": 0.05}


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    value = 0.6 + 0.03 * noise(subject) + 0.01 * noise(cell["method"], cell["seed"], subject)
    value += DIFFERENCE.get(cell["method"], 0.0)
    return value if metric == "dice" else 20 * (1 - value)


BENCHMARK = Benchmark(
    score,
    tasks={"tissue": task([DICE, HD95])},
    seeds=(0, 1, 2, 3, 4),
    subjects=SUBJECTS,
    methods=("base", "seqinv"),
)


def tables(
    root: Path, benchmark: Benchmark, *names: str, order: tuple[str, str] = ("seqinv", "base")
) -> list[Table]:
    benchmark.write(root)
    return comparison_document(of_one(load_run(root), root, *order), names).tables()


def verdicts(root: Path, benchmark: Benchmark, order: tuple[str, str] = ("seqinv", "base")) -> list[str]:
    benchmark.write(root)
    return [row.verdict for row in compared(paired(of_one(load_run(root), root, *order)))]


@pytest.mark.parametrize("order", [("seqinv", "base"), ("base", "seqinv")])
def test_the_better_one_is_named_whatever_the_order_and_direction(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    assert verdicts(tmp_path, BENCHMARK, order) == ["seqinv better", "seqinv better"]
    table = tables(tmp_path, BENCHMARK, "difference", order=order)[0]
    sign = -1 if order[0] == "seqinv" else 1
    dice, hd95 = (row[0].mean for row in table.cells)
    assert math.copysign(1, hd95) == sign
    assert math.copysign(1, dice) == -sign
    assert table.caption[0].startswith("seqinv better: tissue 100 % dice (interval ")
    assert " mm)." in table.caption[0]


def test_no_difference_is_shown_with_its_interval(tmp_path: Path) -> None:
    equal = replace(BENCHMARK, score=lambda cell, *key: score(cell | {"method": f"{cell['method']} "}, *key))
    assert verdicts(tmp_path, equal) == ["no difference shown"] * 2
    (table,) = tables(tmp_path, equal, "difference")
    assert re.match(
        r"No difference shown: tissue 100 % dice \(interval [+-]\d\.\d \[-\d\.\d, \d\.\d\] %\); tissue",
        table.caption[0],
    )


@pytest.mark.parametrize("seeds", [2, 4])
def test_too_few_seeds_name_no_winner(tmp_path: Path, seeds: int) -> None:
    few = replace(BENCHMARK, seeds=tuple(range(seeds)))
    assert verdicts(tmp_path, few) == ["too few seeds to tell methods apart"] * 2
    (table,) = tables(tmp_path, few, "difference")
    assert table.caption[0].startswith(f"Too few seeds to tell methods apart ({seeds} seeds; 5 are needed): ")
    assert [row[1].text for row in table.cells] == ["too few seeds"] * 2
    assert not any("better:" in sentence for sentence in table.caption)


def test_one_seed_is_about_these_checkpoints(tmp_path: Path) -> None:
    single = replace(BENCHMARK, seeds=(3,))
    assert verdicts(tmp_path, single) == ["these checkpoints only"] * 2
    (table,) = tables(tmp_path, single, "difference")
    assert table.caption[0].startswith(
        "These checkpoints only (one seed: another training may turn it round): "
    )


def test_one_subject_leaves_nothing_to_compare(tmp_path: Path) -> None:
    alone = replace(BENCHMARK, subjects=("s0",))
    assert verdicts(tmp_path, alone) == ["nothing to compare"] * 2
    made = tables(tmp_path, alone)
    assert made[0].caption[0] == "Nothing to compare: tissue 100 % dice; tissue 100 % hd95:max-directed."
    assert made[0].cells[0][2].text == "n/a"


def test_no_pair_in_common_in_a_cell(tmp_path: Path) -> None:
    def apart(cell: Cell, metric: str, subject: str, label: str):
        mine = (cell["method"] == "base") == (subject in SUBJECTS[:5])
        return score(cell, metric, subject, label) if mine else (math.nan, "failed", math.nan)

    separate = replace(BENCHMARK, score=apart)
    assert verdicts(tmp_path, separate) == ["nothing to compare"] * 2
    first = tables(tmp_path, separate)[0]
    assert [cell.text for cell in first.cells[0][:4]] == ["n/a", "nothing to compare", "n/a", "n/a"]
    assert first.columns[3].header == ("p, these", "checkpoints"), "no p of nothing"
    assert first.cells[0][7].text == "50"


def test_holm_can_take_back_what_an_interval_shows(tmp_path: Path) -> None:
    """Ten metrics of the same scores: the same p in each, ten times as large after correction."""
    metrics = [{**DICE, "id": f"m{k}"} for k in range(10)]

    def slight(cell: Cell, metric: str, subject: str, label: str) -> float:
        return (
            0.6
            + (cell["method"] == "seqinv") * (0.01 + 0.007 * noise(cell["seed"]))
            + 1e-4 * noise(subject, cell)
        )

    many = replace(BENCHMARK, score=slight, tasks={"tissue": task(metrics)}, seeds=(0, 1, 2, 3, 4, 5))
    many.write(tmp_path)
    rows = compared(paired(of_one(load_run(tmp_path), tmp_path, "seqinv", "base")))
    assert all(row.found.low > 0 for row in rows)
    assert {row.verdict for row in rows} == {"no difference shown"}
    alone = replace(many, tasks={"tissue": task(metrics[:1])}).write(tmp_path / "alone")
    (row,) = compared(paired(of_one(load_run(alone), alone, "seqinv", "base")))
    assert row.verdict == "seqinv better"
    (table,) = comparison_document(
        of_one(load_run(tmp_path), tmp_path, "seqinv", "base"), ["difference"]
    ).tables()
    assert any("Holm over the 10 rows of this table" in sentence for sentence in table.caption)


# Where it comes from


def test_a_difference_that_one_subject_makes_is_said(tmp_path: Path) -> None:
    def outlier(cell: Cell, metric: str, subject: str, label: str) -> float:
        value = 0.6 + 0.004 * noise(cell["method"], cell["seed"], subject)
        if cell["method"] == "seqinv":
            value += 0.4 if subject == "s7" else -0.005
        return value

    benchmark = replace(BENCHMARK, score=outlier, tasks={"tissue": task([DICE])})
    subjects, one_out = tables(tmp_path, benchmark, "subjects", "one-out")
    assert subjects.rows[0].header == ("s7",)
    assert subjects.cells[0][1].text == "seqinv"
    assert [cells[1].text for cells in subjects.cells[1:]].count("base") == 3
    assert one_out.caption[0] == "Driven by one subject: tissue 100 % dice: turns round without it (s7)."
    assert re.match(
        r"Much of it in one subject, by size: s7 has 8\d % of tissue 100 % dice\.", one_out.caption[1]
    )
    assert [cell.text for cell in one_out.cells[0][:2]] == ["turns round without it", "s7"]


def test_an_even_difference_is_driven_by_nobody(tmp_path: Path) -> None:
    (one_out,) = tables(tmp_path, BENCHMARK, "one-out")
    assert one_out.caption[0] == "No row is driven by one subject."
    assert not any(sentence.startswith("Much") for sentence in one_out.caption)


def test_one_site_and_one_sequence_are_said_once(tmp_path: Path) -> None:
    sites, sequences = tables(tmp_path, BENCHMARK, "sites", "sequences")
    assert sites.rows == sequences.rows == ()
    expected = "nothing to tell apart: tissue 100 %, dice; tissue 100 %, hd95:max-directed."
    assert sites.caption == (f"Only one test site each, so {expected}",)
    assert sequences.caption == (f"Only one train → test each, so {expected}",)


def test_parts_are_shown_as_exploratory_with_their_interaction(tmp_path: Path) -> None:
    parts = replace(
        BENCHMARK, tasks={"tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))}, transfer=True,
        seeds=(0, 1),
    )  # fmt: skip
    sites, sequences = tables(tmp_path, parts, "sites", "sequences")
    assert [row.header for row in sites.rows] == [("Guys",), ("HH",)]
    assert [row.header[0] for row in sequences.rows][:2] == ["T1w → T1w", "T1w → T2w"]
    for table in (sites, sequences):
        assert table.title.startswith("tissue 100 %, dice % ↑: seqinv − base by ")
        assert any(
            sentence.startswith("Exploratory: all are shown, none is chosen") for sentence in table.caption
        )
        assert any("does not show that the rows differ" in sentence for sentence in table.caption)
        said = "2 seeds: too few seeds to tell methods apart (5 are needed). Two seeds: no interval"
        assert said in " ".join(table.caption)
        assert table.cells[0][2].text == "reference"


def test_no_empty_masks_are_said(tmp_path: Path) -> None:
    (table,) = tables(tmp_path, BENCHMARK, "empty")
    assert table.rows == ()
    assert table.caption == ("No empty masks and no failed rows on either side.",)


def test_the_statuses_that_occur_have_columns(tmp_path: Path) -> None:
    def empty(cell: Cell, metric: str, subject: str, label: str):
        if subject == "s1" and cell["method"] == "seqinv":
            return (0.0, "ref-empty", 0.0) if label == "GM" else (math.nan, "both-empty", math.nan)
        return score(cell, metric, subject, label)

    (table,) = tables(tmp_path, replace(BENCHMARK, score=empty), "empty")
    assert [column.header[0] for column in table.columns][3:6] == ["ref-empty", "both-empty", "of rows"]
    assert [cell.text for cell in table.cells[0][3:6]] == ["5 | 0", "5 | 0", "100 | 100"]


def test_seeds_are_columns_with_their_range(tmp_path: Path) -> None:
    (table,) = tables(tmp_path, BENCHMARK, "seeds")
    assert [column.header for column in table.columns][2:] == [(f"seed {k}",) for k in range(5)]
    dice, hd95 = table.cells
    assert dice[1].text == hd95[1].text == "5 of 5"
    values = sorted(cell.mean for cell in dice[2:])
    assert dice[0].text == f"{100 * values[0]:+.1f} to {100 * values[-1]:+.1f}"
