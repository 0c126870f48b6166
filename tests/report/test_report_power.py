"""Reports say how small a difference they could have seen, from the spread of their own scores."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from report_tables import leaderboard, material_of
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.report import load_run
from mribench.report.tables.power import power_frame, power_table

SEED_SD, REST_SD = 0.02, 0.05
SUBJECTS = tuple(f"s{place:02}" for place in range(24))


def noise(sd: float, *identity: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(identity).encode())).normal(0, sd))


def noisy(cell: Cell, metric: str, subject: str, label: str) -> float:
    place = (cell["method"], cell["seed"], metric)
    return 0.6 + noise(0.1, subject) + noise(SEED_SD, *place) + noise(REST_SD, *place, subject)


def write(folder: Path, seeds: int, **changes: object) -> Path:
    tasks = {"tissue": task([DICE, HD95], (0.1, 1.0))}
    methods = ("base", "seqaug", "seqinv")
    usual = {"tasks": tasks, "methods": methods, "seeds": tuple(range(seeds)), "subjects": SUBJECTS}
    return Benchmark(noisy, labels=("GM",), **{**usual, **changes}).write(folder)  # type: ignore[arg-type]


def test_the_spread_is_that_of_differences_and_subjects_cancel(tmp_path: Path) -> None:
    frame = power_frame(material_of(load_run(write(tmp_path, 12))))
    assert sorted(frame["metric"]) == ["dice", "dice", HD95["id"], HD95["id"]]
    assert frame["n_rows"].eq(3).all()
    assert frame["n_seeds"].eq(12).all()
    assert frame["n_subjects"].eq(24).all()
    assert frame["sd_residual"].mean() == pytest.approx(math.sqrt(2) * REST_SD, rel=0.1)
    assert frame["sd_seed"].mean() == pytest.approx(math.sqrt(2) * SEED_SD, rel=0.35)
    assert frame["sd_subject"].max() < 0.03, "what a subject adds to all methods is in no difference"
    assert (frame["lead"] > frame["mean"]).all()
    assert (frame["at_5_seeds"] > frame["at_10_seeds"]).all()
    assert (frame["at_10_seeds"] > frame["at_20_seeds"]).all()


def test_the_leaderboard_says_it_where_it_tests(tmp_path: Path) -> None:
    (power,) = power_table(material_of(load_run(write(tmp_path, 5))))
    (head,) = [row.header for row in power.rows if row.header == ("tissue", "100 %", "dice % ↑")]
    cell = power.cells[[row.header for row in power.rows].index(head)][6]
    assert cell is not None
    said = [
        text for text in leaderboard(load_run(tmp_path)).caption if text.startswith("Smallest difference")
    ]
    assert len(said) == 1
    assert f"tissue 100 % dice {100 * cell.mean:.1f} points" in said[0]


def test_below_five_seeds_it_says_what_five_would_see(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, 3))
    frame = power_frame(material_of(run))
    assert frame["mean"].isna().all()
    assert frame["at_5_seeds"].gt(0).all()
    assert not [text for text in leaderboard(run).caption if "Smallest difference" in text]
    (table,) = power_table(material_of(run))
    assert any("Below 5 seeds" in text for text in table.caption)


@pytest.mark.parametrize(
    ("seeds", "changes"), [(5, {"methods": ("base",)}), (5, {"subjects": ("one",)}), (1, {})]
)
def test_where_nothing_can_be_said_there_is_no_table(
    tmp_path: Path, seeds: int, changes: dict[str, object]
) -> None:
    assert power_table(material_of(load_run(write(tmp_path, seeds, **changes)))) == []


def test_a_plan_is_judged_by_the_spread_of_results(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = repository / "benchmarks" / "quickstart.yaml"
    seeds = ("--set", "seeds=[0, 1, 2, 3, 4]")
    results = write(tmp_path, 5)
    said = call("plan", file, *seeds, "--power", results, "--difference", "4")
    assert said.code == 0, said.err
    (row,) = [line for line in said.out.splitlines() if "tissue" in line and "dice" in line]
    rows, n_seeds, n_subjects, seen, seeds_wanted, subjects_wanted = [
        part.strip() for part in row.split("│")[4:10]
    ]
    assert (rows, n_seeds) == ("5", "5")
    assert n_subjects in ("8", "24"), "those of the plan, or of the results while the cohort is not made"
    assert seen.endswith("points")
    assert int(seeds_wanted) > 5
    assert subjects_wanted.startswith(">") or int(subjects_wanted) > int(n_subjects)
    few = call("plan", file, "--power", results)
    assert "below 5 seeds no row is separated from another" in few.out
    elsewhere = call("plan", repository / "benchmarks" / "defects.yaml", "--power", write(tmp_path / "x", 1))
    assert elsewhere.message.endswith("has two rows with two seeds there")
    assert call("plan", file, "--difference", "3").code == 2
