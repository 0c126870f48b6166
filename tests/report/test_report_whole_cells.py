"""What is averaged is the same for every seed and method, whatever jobs failed; profiles stay apart."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import page, render_run
from scipy import stats
from synthetic_results import DICE, PSNR, Benchmark, Cell, cells_of, task

from mribench.report import Material, load_run
from mribench.report.tables.over_identity import over_identity_frame
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.results.records import JOB_SCHEMA, write_table
from mribench.statistics.difference import estimate_difference
from mribench.statistics.scores import average_subjects

SUBJECTS = ("a", "b", "c", "d")
SEEDS = (0, 1, 2, 3, 4, 5)
LEVEL = {"T1w": 0.9, "T2w": 0.5}
LOST = "seqinv/frozen/tissue/T2w/1/subset0/seed2/test/Guys/T2w"


def wobble(*what: Any) -> float:
    return float(np.random.default_rng([ord(c) for c in "/".join(map(str, what))]).normal(0, 0.01))


def dice(cell: Cell, metric: str, subject: str, label: str) -> float:
    gain = 0.01 * (cell["method"] == "seqinv")
    return LEVEL[cell["test_sequence"]] + gain + wobble(cell["seed"], subject, cell["test_sequence"], label)


def benchmark(**changed: Any) -> Benchmark:
    usual: dict[str, Any] = {
        "tasks": {"tissue": task([DICE], sequences=("T1w", "T2w"))},
        "subjects": SUBJECTS,
        "seeds": SEEDS,
        "states": {LOST: "failed"},
    }
    return Benchmark(dice, **(usual | changed))


def expected(method: str, seeds: tuple[int, ...]) -> np.ndarray:
    """Seeds × subjects, both sequences averaged."""
    cells = [{"method": method, "seed": seed, "test_sequence": name} for seed in seeds for name in LEVEL]
    flat = [
        np.mean([dice(cell, "dice", subject, label) for label in ("GM", "WM")])
        for cell in cells
        for subject in SUBJECTS
    ]
    return np.reshape(flat, (len(seeds), 2, len(SUBJECTS))).mean(axis=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return load_run(benchmark().write(tmp_path_factory.mktemp("lost")))


def test_a_seed_that_lacks_a_sequence_is_left_out_of_the_mean(run) -> None:
    frame = cell_frame(run, LEADERBOARD).set_index("row")
    kept = tuple(seed for seed in SEEDS if seed != 2)
    assert frame.loc["seqinv", "mean"] == pytest.approx(expected("seqinv", kept).mean(), abs=1e-12)
    assert frame.loc["seqinv", ["n_seeds", "n_missing_pairs", "status"]].tolist() == [5, 4, "partial"]
    assert frame.loc["base", "mean"] == pytest.approx(expected("base", SEEDS).mean(), abs=1e-12)


def test_the_page_compares_what_both_have(run, tmp_path) -> None:
    values = Material(run, None).values
    found = estimate_difference(values[values["row"].eq("seqinv")], values[values["row"].eq("base")])
    assert found.difference == pytest.approx(0.01, abs=1e-12)
    assert (found.n_seeds, found.n_pairs) == (5, 20)
    text = re.sub(r"<[^>]+>", " ", page(run))
    assert "70.0" in text
    assert "74." not in text


def test_a_method_without_a_sequence_is_not_compared_on_the_other(tmp_path) -> None:
    lost = {LOST.replace("seed2", f"seed{seed}"): "failed" for seed in SEEDS}
    run = load_run(benchmark(states=lost).write(tmp_path))
    frame = cell_frame(run, LEADERBOARD).set_index("row")
    assert frame.loc["seqinv", "mean"] == pytest.approx(0.91, abs=0.02), "what is there, flagged"
    assert frame.loc["seqinv", "status"] == "partial"
    assert frame.loc["seqinv", "mark"] == "none"
    values = Material(run, None).values
    assert values.loc[values["row"].eq("seqinv"), "value"].isna().all()
    assert values.loc[values["row"].eq("base"), "value"].notna().all()


def test_subjects_without_a_scan_are_averaged_over_what_they_have(tmp_path) -> None:
    def partly(cell: Cell, metric: str, subject: str, label: str) -> float:
        return dice(cell, metric, subject, label)

    made = benchmark(states={})
    made.score = partly
    root = made.write(tmp_path)
    for key, cell in cells_of(root).items():
        path = root / "jobs" / key / "records.parquet"
        rows = pd.read_parquet(path)
        if cell["test_sequence"] == "T2w":  # the second subject has no T2w scan, whatever the method
            rows[rows["subject"].ne("b")].to_parquet(path)
    frame = cell_frame(load_run(root), LEADERBOARD).set_index("row")
    assert frame.loc["base", ["n_subjects", "n_missing_pairs"]].tolist() == [4, 0]
    table = expected("base", SEEDS)
    own = [
        [
            np.mean(
                [
                    dice({"method": "base", "seed": s, "test_sequence": "T1w"}, "", "b", x)
                    for x in ("GM", "WM")
                ]
            )
            for s in SEEDS
        ]
    ]
    table[:, 1] = own[0]
    assert frame.loc["base", "mean"] == pytest.approx(table.mean(), abs=1e-12)


@pytest.mark.parametrize("within", [["sequence"], ["sequence", "subset"]])
def test_every_cell_of_a_person_is_wanted_of_each_seed(within: list[str]) -> None:
    grid = pd.MultiIndex.from_product(
        [["A", "B"], [0, 1], ["x", "y"], ["T1w", "T2w"], [0, 1]],
        names=["method", "seed", "subject", "sequence", "subset"],
    ).to_frame(index=False)
    scores = grid.assign(penalty=1.0, status="ok", unit="", session="", label="")
    gone = scores["method"].eq("A") & scores["seed"].eq(1) & scores["sequence"].eq("T2w")
    never = scores["method"].eq("B") & scores["subject"].eq("y") & scores["sequence"].eq("T2w")
    scores = scores[~(gone | never)]
    own = average_subjects(scores, ["method"], within).set_index(["method", "seed", "subject"])["value"]
    assert own.isna().to_dict() == {(m, s, p): (m, s) == ("A", 1) for m in "AB" for s in (0, 1) for p in "xy"}
    compared = average_subjects(scores, ["method"], within, across=["method"])
    assert compared.set_index(["method", "seed", "subject"])["value"].isna().to_dict() == {
        (m, s, p): (m, s) == ("A", 1) or (m, p) == ("B", "y") for m in "AB" for s in (0, 1) for p in "xy"
    }


def psnr(cell: Cell, metric: str, subject: str, label: str) -> float:
    base = {"a": 20.0, "b": 30.0, "c": 25.0, "d": 35.0}[subject] + (
        5.0 if cell["profile"] == "other" else 0.0
    )
    return base if cell["method"] == "identity" else base + 1.0 + (cell["seed"] or 0) / 10 + wobble(subject)


def two_profiles(root: Path) -> Any:
    made = Benchmark(
        psnr, {"denoise": task([PSNR])}, ("base",), references=("identity",), subjects=SUBJECTS, labels=("",)
    )
    made.write(root, "0" * 16)
    dataclasses.replace(made, profile="other", salt="other").write(root, "1" * 16)
    return load_run(root)


def test_each_profile_gains_over_its_own_identity(tmp_path) -> None:
    run = two_profiles(tmp_path)
    assert len(run.manifest.profiles) == 2
    frame = over_identity_frame(Material(run))
    assert sorted(frame["row"]) == ["base [corrected]", "base [other]"]
    assert frame["mean"].tolist() == pytest.approx([1.05 + np.mean([wobble(s) for s in SUBJECTS])] * 2)
    assert "gain over identity" in page(run).lower()


def test_marks_are_among_the_rows_of_one_profile(tmp_path) -> None:
    made = benchmark(states={}, seeds=(0, 1))
    made.write(tmp_path, "0" * 16)
    dataclasses.replace(made, profile="other", salt="other").write(tmp_path, "1" * 16)
    run = load_run(tmp_path)
    frame = cell_frame(run, LEADERBOARD)
    for _, rows in frame.groupby("profile"):
        assert rows.set_index("method")["mark"].to_dict() == {"base": "second", "seqinv": "best"}
    assert "Marks are among the rows of one profile." in render_run(run, ["leaderboard"], "markdown")
    assert set(pd.read_csv(io.StringIO(render_run(run, [], "csv")))["profile"]) == {"corrected", "other"}


def test_cells_have_their_interval(tmp_path) -> None:
    frame = cell_frame(load_run(benchmark(seeds=(0,), states={}).write(tmp_path)), LEADERBOARD)
    base = frame.set_index("row").loc["base"]
    table = expected("base", (0,))[0]
    known = stats.t.interval(0.95, len(SUBJECTS) - 1, table.mean(), stats.sem(table))
    assert (base["low"], base["high"]) == pytest.approx(known)


def test_captions_and_data_say_with_what_versions(tmp_path) -> None:
    root = benchmark(states={}, seeds=(0, 1)).write(tmp_path)
    keys = sorted(path.parent for path in root.glob("jobs/*/records.parquet"))

    def ran_with(folder: Path, versions: str) -> None:
        row = pd.read_parquet(folder / "job.parquet").to_dict("records")[0]
        kept = {name: value for name, value in row.items() if not pd.isna(value)}
        write_table(folder / "job.parquet", [kept | {"versions": versions}], JOB_SCHEMA)

    for folder in keys:
        ran_with(folder, "mribench=0.1.0 torch=2.6.0")
    text = render_run(load_run(root), ["leaderboard"], "markdown")
    assert "Versions: mribench 0.1.0, torch 2.6.0." in text
    ran_with(keys[0], "mribench=0.1.0 torch=2.7.0")
    run = load_run(root)
    assert "Jobs of 2 sets of versions: mribench=0.1.0 torch=2.6.0; " in render_run(
        run, ["leaderboard"], "markdown"
    )
    said = json.loads(render_run(run, ["leaderboard"], "json"))
    assert said["versions"] == ["mribench=0.1.0 torch=2.6.0", "mribench=0.1.0 torch=2.7.0"]
