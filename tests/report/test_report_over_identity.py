"""The table ``over-identity``: paired differences to the unchanged input."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import render_run
from scipy import stats
from synthetic_results import DICE, PSNR, REFERENCES, Benchmark, Cell, task

from mribench.report import Material, load_run
from mribench.report.tables.over_identity import over_identity_frame, over_identity_table

SUBJECTS = ("a", "b", "c", "d", "e")
HARD = dict(zip(SUBJECTS, (18.0, 25.0, 31.0, 22.0, 40.0), strict=True))
GAIN = {"base": 1.0, "seqinv": 2.0, "scratch": 0.5, "random-frozen": -1.5}


def noise(*what: Any) -> float:
    return float(np.random.default_rng([ord(c) for c in "/".join(map(str, what))]).normal(0, 0.3))


def psnr(cell: Cell, metric: str, subject: str, label: str) -> float:
    """Subjects differ by 22 dB, methods by 1: only a paired difference sees that."""
    if cell["method"] == "identity":
        return HARD[subject]
    return (
        HARD[subject] + GAIN[cell["method"]] + noise(cell["method"], cell["seed"], subject, cell["fraction"])
    )


def benchmark(**changed: Any) -> Benchmark:
    usual: dict[str, Any] = {
        "tasks": {"denoise": task([PSNR], (0.1, 1.0))},
        "references": REFERENCES,
        "subjects": SUBJECTS,
        "labels": ("",),
        "seeds": (0, 1, 2),
    }
    return Benchmark(psnr, **(usual | changed))


def row(frame: pd.DataFrame, name: str, fraction: float) -> pd.Series:
    (found,) = (
        cells for _, cells in frame[(frame["row"] == name) & (frame["fraction"] == fraction)].iterrows()
    )
    return found


def expected(method: str, fraction: float, seeds: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Seeds × subjects of differences, from the formula and not from the files."""
    return np.array(
        [[GAIN[method] + noise(method, seed, subject, fraction) for subject in SUBJECTS] for seed in seeds]
    )


def test_the_mean_is_of_paired_differences_and_its_error_is_free_of_subjects(tmp_path: Path) -> None:
    frame = over_identity_frame(Material(load_run(benchmark().write(tmp_path))))
    assert set(frame["row"]) == {"base", "seqinv", "scratch", "random-frozen"}
    assert set(frame["metric"]) == {"Δ psnr:range"}
    for method in GAIN:
        for fraction in (0.1, 1.0):
            found, table = row(frame, method, fraction), expected(method, fraction)
            assert found["mean"] == pytest.approx(table.mean(), abs=1e-12)
            assert found["se"] < 0.5 < np.std(list(HARD.values())) / math.sqrt(5)
            assert found["low"] < table.mean() < found["high"]
            assert (found["n_seeds"], found["n_subjects"]) == (3, 5)
            assert found["p_above"] == pytest.approx((table > 0).mean())
            assert found["scope"] == "too few seeds"


def test_one_seed_is_students_paired_t(tmp_path: Path) -> None:
    frame = over_identity_frame(Material(load_run(benchmark(seeds=(0,)).write(tmp_path))))
    table = expected("seqinv", 1.0, (0,))[0]
    known = stats.ttest_1samp(table, 0)
    found = row(frame, "seqinv", 1.0)
    assert (found["low"], found["high"]) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found["p"] == pytest.approx(known.pvalue)
    assert found["scope"] == "these checkpoints"


def test_a_subject_without_an_identity_score_is_left_out_and_counted(tmp_path: Path) -> None:
    def partly(cell: Cell, metric: str, subject: str, label: str) -> Any:
        if cell["method"] == "identity" and subject == "b":
            return (math.nan, "failed", math.nan)
        return psnr(cell, metric, subject, label)

    frame = over_identity_frame(Material(load_run(benchmark_of(partly).write(tmp_path))))
    found = row(frame, "base", 1.0)
    kept = np.delete(expected("base", 1.0), 1, axis=1)
    assert found["mean"] == pytest.approx(kept.mean(), abs=1e-12)
    assert (found["n_subjects"], found["n_missing_pairs"]) == (4, 3)


def benchmark_of(score: Any) -> Benchmark:
    made = benchmark()
    made.score = score
    return made


def test_without_identity_scores_cells_are_missing_and_not_zero(tmp_path: Path) -> None:
    states = {"identity/denoise/test/Guys/T1w": "todo"}
    run = load_run(benchmark(states=states).write(tmp_path))
    frame = over_identity_frame(Material(run))
    assert set(frame["status"]) == {"missing"}
    assert frame["mean"].isna().all()
    assert "+" not in "".join(render_run(run, ["over-identity"], "markdown").splitlines()[2:9])


def test_only_tasks_with_identity_are_shown(tmp_path: Path) -> None:
    both = {"denoise": task([PSNR], (1.0,)), "tissue": task([DICE], (1.0,))}
    made = benchmark(tasks=both, references=("scratch",))
    run = load_run(made.write(tmp_path))
    table = over_identity_table(Material(run))
    assert not table.rows
    assert table.caption == ("Nothing is planned: no task has the reference arm identity.",)
    assert over_identity_frame(Material(run)).empty
    header, *rows = str(render_run(run, ["over-identity"], "csv")).splitlines()
    assert header.split(",").count("low") == 1
    assert not rows


def test_it_is_shown_with_sign_and_interval_in_the_benchmarks_order(tmp_path: Path) -> None:
    run = load_run(benchmark().write(tmp_path))
    text = render_run(run, ["over-identity"], "markdown")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    names = [line.split("|")[1].strip() for line in lines if "[" in line]
    assert names == ["base", "seqinv", "scratch", "random-frozen"]
    (base,) = (line for line in lines if line.startswith("| base"))
    mean = expected("base", 0.1).mean()
    assert f"{mean:+.2f} " in base
    assert "Δ psnr:range dB ↑" in text
    assert "input as it is, on the same subjects, on the site and sequence trained on" in text
    assert "Mean ± SE" not in text
    assert "3 seeds: too few seeds to tell methods apart." in text


def test_no_table_ends_a_sentence_twice(tmp_path: Path) -> None:
    run = load_run(benchmark().write(tmp_path))
    text = render_run(run, ["leaderboard", "over-identity", "transfer", "budget", "at-a-glance"], "markdown")
    assert isinstance(text, str)
    assert text.count("over seeds × subjects") == 1
    assert ".." not in text


def test_the_export_has_the_interval_and_the_cohort(tmp_path: Path) -> None:
    run = load_run(benchmark().write(tmp_path))
    cells = pd.read_csv(io.StringIO(render_run(run, ["over-identity"], "csv")))
    assert len(cells) == 8
    assert set(cells["dataset"]) == {"ixi"}
    assert (cells["low"] < cells["mean"]).all()
    assert (cells["mean"] < cells["high"]).all()
    assert cells["p"].between(0, 1).all()
    both = json.loads(render_run(run, ["leaderboard", "over-identity"], "json"))["cells"]
    board = [cell for cell in both if cell["table"] == "leaderboard"]
    assert all(cell["p"] is None for cell in board)
    assert len(board) == 10


def test_marks_of_other_tables_do_not_change(tmp_path: Path) -> None:
    run = load_run(benchmark(seeds=(0, 1, 2, 3, 4)).write(tmp_path))
    before = render_run(run, ["leaderboard"], "csv")
    assert set(over_identity_frame(Material(run))["mark"]) == {"none"}
    assert render_run(run, ["leaderboard"], "csv") == before
    assert set(over_identity_frame(Material(run))["scope"]) == {"methods"}
