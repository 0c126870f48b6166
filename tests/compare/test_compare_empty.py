"""The table ``empty``: what is left without empty masks, and what it speaks of."""

from __future__ import annotations

import math
import zlib
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_results import HD95, Benchmark, Cell, task

from mribench.compare import comparison_document, of_one, paired
from mribench.compare.empty import Counts, counts
from mribench.interfaces.table import Table
from mribench.report import load_run

SUBJECTS = tuple(f"s{k}" for k in range(8))
SEEDS = (0, 1, 2, 3, 4)
PENALTY = 90.0
Who = tuple[str, int, str]


def value(method: str, seed: int, subject: str) -> float:
    key = repr((method, seed, subject)).encode()
    return 10.0 + float(np.random.default_rng(zlib.crc32(key)).normal()) - 2 * (method == "seqinv")


def benchmark(
    empty: Container[Who], failed: Container[Who] = (), seeds: tuple[int, ...] = SEEDS
) -> Benchmark:
    """One label, one metric in mm; some (method, seed, subject) have an empty mask, some failed."""

    def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        who = (cell["method"], -1 if cell["seed"] is None else cell["seed"], subject)
        if who in failed:
            return (math.nan, "failed", math.nan)
        return (math.nan, "pred-empty", PENALTY) if who in empty else value(*who)

    return Benchmark(score, tasks={"tissue": task([HD95])}, seeds=seeds, subjects=SUBJECTS, labels=("GM",))


def made(found: Benchmark, root: Path, second: str = "base") -> tuple[Counts, Table, dict[str, object]]:
    found.write(root)
    pair = of_one(load_run(root), root, "seqinv", second)
    document = comparison_document(pair, ["empty"])
    (row,) = counts(paired(pair))
    (table,) = document.tables()
    (tidy,) = document.cells().to_dict("records")
    return row, table, tidy


def texts(table: Table) -> list[str]:
    return [cell.text for cell in table.cells[0] if cell is not None]


def test_a_seed_in_which_every_subject_is_empty_does_not_drop_out(tmp_path: Path) -> None:
    everyone = {("base", seed, name) for seed in (0, 1, 2, 3) for name in SUBJECTS}
    row, table, tidy = made(benchmark(everyone), tmp_path)
    assert (row.without.n_seeds, row.without.n_subjects, row.without.scope) == (5, 0, "nothing")
    assert math.isnan(row.without.difference)
    assert math.isnan(row.without.low)
    assert texts(table)[:3] == ["n/a", "5 × 0", "nothing left"]
    assert (tidy["n_seeds_without"], tidy["n_subjects_without"], tidy["scope_without"]) == (5, 0, "nothing")
    assert table.caption[0] == "5 seeds: about the methods, not only these checkpoints."


def test_an_empty_mask_under_any_seed_takes_its_subject(tmp_path: Path) -> None:
    empty = {("base", 0, "s1"), ("base", 3, "s1"), ("seqinv", 4, "s6"), ("base", 2, "s0")}
    row, table, tidy = made(benchmark(empty), tmp_path)
    left = [name for name in SUBJECTS if name not in ("s0", "s1", "s6")]
    expected = [value("seqinv", s, name) - value("base", s, name) for s in SEEDS for name in left]
    assert row.without.difference == pytest.approx(np.mean(expected))
    assert (row.without.n_seeds, row.without.n_subjects) == (5, 5)
    assert table.columns[2].header == ("speaks of",)
    assert texts(table)[1:4] == ["5 × 5", "methods", "1 | 3"]
    assert tidy["without"] == pytest.approx(np.mean(expected))
    assert tidy["scope_without"] == tidy["scope"] == "methods"


@pytest.mark.parametrize(("seeds", "scope"), [((0,), "these checkpoints"), ((0, 1), "too few seeds")])
def test_the_scope_is_shown(tmp_path: Path, seeds: tuple[int, ...], scope: str) -> None:
    _, table, tidy = made(benchmark({("base", 0, "s1")}, seeds=seeds), tmp_path)
    assert texts(table)[1:3] == [f"{len(seeds)} × 7", scope]
    assert tidy["scope_without"] == scope
    assert ("valid for these checkpoints only" in table.caption[0]) == (len(seeds) == 1)


def test_one_subject_that_is_left_is_said(tmp_path: Path) -> None:
    empty = {("seqinv", 1, name) for name in SUBJECTS[1:]}
    row, table, _ = made(benchmark(empty), tmp_path)
    assert texts(table)[1:3] == ["5 × 1", "one subject left"]
    expected = np.mean([value("seqinv", s, "s0") - value("base", s, "s0") for s in SEEDS])
    assert row.without.difference == pytest.approx(expected)
    assert math.isnan(row.without.low)


def test_a_seed_without_any_score_is_in_neither_difference(tmp_path: Path) -> None:
    """A seed that failed as a whole is out before empty masks are asked for; its masks take nobody."""
    failed = {("base", 2, name) for name in SUBJECTS}
    row, table, _ = made(benchmark({("seqinv", 2, "s4"), ("seqinv", 0, "s5")}, failed), tmp_path)
    assert (row.found.n_seeds, row.found.n_subjects) == (4, 8)
    assert (row.without.n_seeds, row.without.n_subjects, row.without.scope) == (4, 7, "too few seeds")
    assert texts(table)[2] == "too few seeds"


def test_failures_alone_leave_the_difference_as_it_is(tmp_path: Path) -> None:
    row, table, _ = made(benchmark((), {("base", 2, "s3")}), tmp_path)
    assert row.any
    assert row.without.difference == pytest.approx(row.found.difference)
    assert texts(table)[1:3] == ["5 × 7", "methods"]


def test_what_nothing_was_trained_for_takes_its_subject_under_every_seed(tmp_path: Path) -> None:
    with_identity = replace(benchmark({("identity", -1, "s2")}), references=("identity",))
    row, table, _ = made(with_identity, tmp_path, "identity")
    left = [name for name in SUBJECTS if name != "s2"]
    expected = [value("seqinv", s, name) - value("identity", -1, name) for s in SEEDS for name in left]
    assert row.without.difference == pytest.approx(np.mean(expected))
    assert texts(table)[1:3] == ["5 × 7", "methods"]


def test_nothing_shared_is_nothing_left(tmp_path: Path) -> None:
    row, table, _ = made(benchmark((), {("base", s, name) for s in SEEDS for name in SUBJECTS}), tmp_path)
    assert texts(table)[:3] == ["n/a", "0 × 0", "nothing left"]
    assert row.without.scope == "nothing"
    assert table.caption[0] == "Nothing to compare."
