"""What stands in the table ``defects``: effects that the scores were made with."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import leaderboard, render_run, table_names
from rich.console import Console
from scipy import stats
from synthetic_results import DICE, HD95, PSNR, REFERENCES, Benchmark, Cell, task

from mribench.report import RunData, load_run
from mribench.report.tables.defect_effects import defects_frame
from mribench.report.tables.defects import defects_table
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.results.manifest import read_manifest
from mribench.results.merged import merge, policy_of, profile_sentence

L1 = {"id": "psnr:l1", "unit": "dB", "higher_is_better": True}
BASE = {"base": 0.5, "seqinv": 0.6, "scratch": 0.4, "random-frozen": 0.3, "identity": 0.2}
SUBJECT = {name: 0.1 * place for place, name in enumerate("abcdefgh")}
UNIT_PEAK = {"metrics": {"psnr:range": "psnr:l1"}}
DROPOUT = {"active-dropout": {"profile": "corrected+active-dropout"}}


def plain(cell: Cell, metric: str, subject: str, label: str) -> float:
    return BASE[cell["method"]] + SUBJECT[subject] + 0.02 * (cell["seed"] or 0)


def shifted(by: Mapping[str, float], seed: float = 0.0) -> Any:
    """Scores that a defect shifts by an amount for each method, and more at a later seed."""

    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        value = plain(cell, metric, subject, label)
        return value + (by[cell["method"]] + seed * cell["seed"] if "+" in cell["profile"] else 0.0)

    return score


def one(run: RunData, **where: Any) -> Any:
    frame = defects_frame(run)
    for name, value in where.items():
        frame = frame[frame[name].eq(value)]
    assert len(frame) == 1
    return frame.iloc[0]


def text_of(run: RunData, name: str = "defects") -> str:
    console = Console(file=io.StringIO(), width=300, force_terminal=False)
    with console.capture() as capture:
        render_run(run, [name], "terminal", console)
    return capture.get()


def test_the_effect_of_jobs_that_differ(tmp_path: Path) -> None:
    by = {"base": 0.10, "seqinv": 0.20, "scratch": 0.30}
    benchmark = Benchmark(
        shifted(by, 0.01), measured=DROPOUT, references=("scratch", "identity"), tables=("defects",),
        seeds=(0, 1, 2),
    )  # fmt: skip
    run = load_run(benchmark.write(tmp_path))
    found = one(run)
    # arms averaged: 0.2 at seed 0, 0.21 and 0.22 at the next; no subject or residual part
    assert found["difference"] == pytest.approx(0.21)
    assert found["se"] == pytest.approx(0.01 / math.sqrt(3))
    low, high = stats.t.interval(0.95, 2, 0.21, 0.01 / math.sqrt(3))  # the seeds' term alone
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert found["without"] == pytest.approx((0.5 + 0.6 + 0.4) / 3 + 0.1 + 0.02)
    assert (found["n_arms"], found["n_seeds"], found["n_subjects"], found["how"]) == (3, 3, 3, "paired")
    assert (found["status"], found["verdict"]) == ("ok", "flatters")
    assert (found["gap_first"], found["gap_second"]) == ("seqinv", "base")  # frozen arms only
    assert (found["gap_without"], found["gap_with_defect"]) == pytest.approx((0.1, 0.2))
    text = text_of(run)
    assert "+21.0 [18.5, 23.5]" in text
    assert "+10.0 (seqinv - base: +10.0 → +20.0)" in text
    assert "3×3×3 paired" in text
    assert "active-dropout: what active-dropout does." in text
    two = load_run(replace(benchmark, seeds=(0, 1)).write(tmp_path / "two"))
    assert (one(two)["verdict"], math.isnan(one(two)["low"])) == ("", True)
    assert "+20.5 (seeds: +20.0, +21.0)" in text_of(two)
    assert "Two seeds: no interval" in text_of(two)


def test_without_the_defect_is_the_mean_of_the_leaderboard(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))}
    benchmark = Benchmark(shifted({"base": 0.1, "seqinv": 0.2}), tasks, measured=DROPOUT, transfer=True)
    run = load_run(benchmark.write(tmp_path))
    board = cell_frame(run, LEADERBOARD)
    frame = defects_frame(run)
    assert frame["fraction"].tolist() == [0.1, 1.0]
    for _, row in frame.iterrows():
        means = board.loc[board["fraction"] == row["fraction"], "mean"]
        assert row["without"] == pytest.approx(means.mean())
        assert row["jobs_expected"] == row["jobs_done"] == 2 * 2 * 2  # methods, seeds, sequences


@pytest.mark.parametrize(
    ("metric", "shift", "verdict"),
    [
        (DICE, 0.1, "flatters"),
        (DICE, -0.1, "harms"),
        (HD95, 0.1, "harms"),
        (HD95, -0.1, "flatters"),
        (DICE, 0.0, ""),
    ],
)
def test_the_verdict_follows_the_direction(
    tmp_path: Path, metric: dict[str, Any], shift: float, verdict: str
) -> None:
    benchmark = Benchmark(
        shifted(dict.fromkeys(BASE, shift)), {"t": task([metric])}, measured=DROPOUT, seeds=(0, 1, 2),
        references=("identity",),
    )  # fmt: skip
    assert one(load_run(benchmark.write(tmp_path)))["verdict"] == verdict


def test_an_interval_over_zero_has_no_verdict(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        return plain(cell, metric, subject, label) + (
            {"a": 0.2, "b": -0.1, "c": 0.0}[subject] if "+" in cell["profile"] else 0.0
        )

    found = one(load_run(Benchmark(score, measured=DROPOUT, seeds=(0, 1, 2)).write(tmp_path)))
    assert found["low"] < 0 < found["high"]
    assert found["verdict"] == ""


def test_other_test_subjects_are_compared_unpaired(tmp_path: Path) -> None:
    label = "corrected+sorted-prefix-splits"
    benchmark = Benchmark(
        plain, methods=("base",), seeds=(0,), subjects=tuple("abcd"), subjects_of={label: tuple("defgh")},
        measured={"sorted-prefix-splits": {"profile": label}},
    )  # fmt: skip
    run = load_run(benchmark.write(tmp_path))
    found = one(run)
    first, second = (
        np.array([BASE["base"] + SUBJECT[who] for who in people]) for people in ("abcd", "defgh")
    )
    half = math.sqrt(
        sum(stats.t.ppf(0.975, x.size - 1) ** 2 * x.var(ddof=1) / x.size for x in (first, second))
    )
    moved = second.mean() - first.mean()
    assert found["how"] == "unpaired"
    assert found["se"] == pytest.approx(moved / stats.ttest_ind(second, first, equal_var=False).statistic)
    assert (found["low"], found["high"]) == pytest.approx((moved - half, moved + half))
    text = text_of(run)
    assert "1×1×(4|5) unpaired" in text
    assert "unpaired (other test subjects)" in text


def test_variants_stand_in_no_other_table(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE], sequences=("T1w", "T2w"))}
    plain_run = Benchmark(plain, tasks, references=REFERENCES, transfer=True)
    varied = replace(plain_run, score=shifted(dict.fromkeys(BASE, 9.0)), measured=DROPOUT)
    without, run = load_run(plain_run.write(tmp_path / "a")), load_run(varied.write(tmp_path / "b"))
    assert len(run.variants) == len(run.variant_scores) / 6 > 0
    for name in ("leaderboard", "transfer", "paper-1", "budget"):
        assert render_run(run, [name], "markdown") == render_run(without, [name], "markdown")
        assert render_run(run, [name], "csv") == render_run(without, [name], "csv")
    assert [row.header[0] for row in leaderboard(run).rows] == ["base", "seqinv", *REFERENCES]
    assert run.superseded == 0


def test_variants_of_several_plans_are_united_and_never_a_profile_of_their_own(tmp_path: Path) -> None:
    Benchmark(shifted(dict.fromkeys(BASE, 0.1)), measured=DROPOUT).write(tmp_path, "a" * 16)
    Benchmark(plain, created="2026-02-01").write(tmp_path, "b" * 16)
    run = load_run(tmp_path)
    assert run.manifest.variants == ("corrected+active-dropout",)
    assert [row.header[0] for row in leaderboard(run).rows] == ["base", "seqinv"]
    assert one(run)["difference"] == pytest.approx(0.1)


def test_a_variant_that_is_run_as_a_benchmark_too_is_a_row_and_still_measured(tmp_path: Path) -> None:
    score = shifted(dict.fromkeys(BASE, 0.1))
    Benchmark(score, measured=DROPOUT).write(tmp_path, "a" * 16)
    own = Benchmark(score, profile="corrected+active-dropout", shown={"active-dropout": "x"}, salt="own")
    own.write(tmp_path, "b" * 16)
    run = load_run(tmp_path)
    assert "base [corrected+active-dropout]" in [row.header[0] for row in leaderboard(run).rows]
    assert one(run)["difference"] == pytest.approx(0.1)


def test_only_what_is_done_on_both_sides_counts(tmp_path: Path) -> None:
    benchmark = Benchmark(shifted({"base": 0.1, "seqinv": 0.5}), measured=DROPOUT)
    benchmark.states = {
        "+active-dropout/seqinv/frozen/tissue/T1w/1/subset0/seed0/test/Guys/T1w": "todo",
        "+active-dropout/seqinv/frozen/tissue/T1w/1/subset0/seed1/test/Guys/T1w": "failed",
    }
    run = load_run(benchmark.write(tmp_path))
    found = one(run)
    assert (found["difference"], found["n_arms"]) == (pytest.approx(0.1), 1)
    assert (found["without"], found["status"]) == (pytest.approx(0.5 + 0.1 + 0.01), "partial")
    text = text_of(run)
    assert "(partial 2/4)" in text
    assert "Incomplete: rows partial: 1." in text
    assert "it broke" in text


def test_a_half_done_arm_is_compared_on_the_same_cells(tmp_path: Path) -> None:
    """Sequences differ by 0.4: comparing T1w with the mean of both would be off by 0.2."""

    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        value = plain(cell, metric, subject, label) + (0.4 if cell["train_sequence"] == "T2w" else 0.0)
        return value + (0.1 if "+" in cell["profile"] else 0.0)

    benchmark = Benchmark(
        score, {"tissue": task([DICE], sequences=("T1w", "T2w"))}, ("base",), seeds=(0,), measured=DROPOUT
    )
    benchmark.states = {"+active-dropout/base/frozen/tissue/T2w/1/subset0/seed0/test/Guys/T2w": "todo"}
    found = one(load_run(benchmark.write(tmp_path)))
    assert found["difference"] == pytest.approx(0.1)
    assert found["without"] == pytest.approx(0.6)


def test_nothing_run_yet_is_missing(tmp_path: Path) -> None:
    measured = {
        **DROPOUT,
        "dropped-failures": {},
        "pooled-rows": {},
        "unit-peak": {"metrics": {"psnr:range": "psnr:l1"}},
    }
    tasks = {"lesion": task([HD95]), "denoise": task([PSNR, L1])}
    run = load_run(Benchmark(plain, tasks, measured=measured, no_data=True).write(tmp_path))
    table = defects_table(run)
    assert {cells[2].status for cells in table.cells if cells[2]} == {"missing"}
    assert "missing" in text_of(run)
    assert json.loads(render_run(run, ["defects"], "json") or "")["cells"][0]["status"] == "missing"


def test_a_metric_in_place_of_another(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        value = 10 * plain(cell, metric, subject, label)
        return value - (2.0 + SUBJECT[subject] if metric == "psnr:l1" else 0.0)

    measured = {"unit-peak": UNIT_PEAK}
    tasks = {"denoise": task([PSNR, L1]), "tissue": task([DICE])}
    run = load_run(Benchmark(score, tasks, measured=measured, references=("identity",)).write(tmp_path))
    found = one(run)
    assert (found["metric"], found["replaced_by"], found["task"]) == ("psnr:range", "psnr:l1", "denoise")
    assert found["difference"] == pytest.approx(-2.1)
    assert found["se"] == pytest.approx(0.1 / math.sqrt(3))  # of the subjects: every seed shows the same
    assert found["n_arms"] == 2  # identity has no seed
    assert "psnr:range → psnr:l1 dB ↑" in text_of(run)
    alone = Benchmark(score, {"denoise": task([PSNR])}, measured=measured)
    assert "no task is scored by both psnr:range and psnr:l1" in text_of(
        load_run(alone.write(tmp_path / "b"))
    )


def lesions(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    if metric == "dice":
        return 0.5
    if cell["method"] == "seqinv" and subject in "ab":
        return (math.nan, "pred-empty", 100.0)
    return 10.0 + SUBJECT[subject]


POLICIES: dict[str, dict[str, Any]] = {"dropped-failures": {}, "fixed-penalty": {}}


def test_policies_on_empty_masks(tmp_path: Path) -> None:
    benchmark = Benchmark(
        lesions, {"lesion": task([DICE, HD95])}, labels=("lesion",), subjects=tuple("abcd"),
        measured=POLICIES, references=("identity",),
    )  # fmt: skip
    run = load_run(benchmark.write(tmp_path))
    assert set(defects_frame(run)["metric"]) == {HD95["id"]}  # in mm only
    dropped, fixed = one(run, defect="dropped-failures"), one(run, defect="fixed-penalty")
    base, seqinv = 10.15, (200 + 20.5) / 4
    assert dropped["without"] == fixed["without"] == pytest.approx((base + seqinv) / 2)
    assert dropped["with_defect"] == pytest.approx((base + 10.25) / 2)
    assert fixed["difference"] == pytest.approx((256 - 100) / 2 / 2)
    assert (dropped["verdict"], dropped["how"]) in {("flatters", "bootstrap"), ("", "bootstrap")}
    assert dropped["low"] <= dropped["difference"] <= dropped["high"]
    assert (dropped["gap_first"], dropped["gap_second"]) == ("base", "seqinv")
    assert "bootstrap: percentiles of 2000 resamples" in text_of(run)
    assert text_of(run) == text_of(load_run(tmp_path))


def test_no_empty_mask_and_nothing_left_are_said(tmp_path: Path) -> None:
    tasks = {"lesion": task([HD95])}
    none = Benchmark(plain, tasks, measured={"dropped-failures": {}})
    found = load_run(none.write(tmp_path / "none"))
    assert one(found)["difference"] == 0.0
    assert "2×2×3 no empty mask" in text_of(found)
    gone = Benchmark(lambda *_: (math.nan, "pred-empty", 100.0), tasks, measured={"dropped-failures": {}})
    assert "nothing is left of base, seqinv" in text_of(load_run(gone.write(tmp_path / "gone")))
    dice = Benchmark(plain, measured={"dropped-failures": {}})
    assert "no task has a metric in mm" in text_of(load_run(dice.write(tmp_path / "dice")))


def seeds_alone(cell: Cell, metric: str, subject: str, label: str) -> float:
    """Scores whose seeds differ for all rows alike in the method base, and not at all in seqinv."""
    return SUBJECT[subject] + (0.1 * cell["seed"] if cell["method"] == "base" else 0.0)


def test_false_findings_between_seeds(tmp_path: Path) -> None:
    benchmark = Benchmark(
        seeds_alone, seeds=(0, 1, 2), subjects=tuple("abcdefgh"), measured={"pooled-rows": {}}
    )
    run = load_run(benchmark.write(tmp_path))
    found = one(run)
    assert (found["n_significant"], found["n_tests"], found["n_test_rows"]) == (3, 6, 16)
    assert (found["without"], found["with_defect"]) == (0.05, 0.5)
    low, high = stats.beta.ppf(0.025, 3, 4), stats.beta.ppf(0.975, 4, 3)  # Clopper and Pearson
    assert (found["low"], found["high"]) == pytest.approx((low - 0.05, high - 0.05))
    assert found["verdict"] == "misleads"
    text = text_of(run)
    assert "3/6 tests of 16 rows" in text
    assert "pairs share seeds" in text
    single = replace(benchmark, seeds=(0,)).write(tmp_path / "single")
    assert "needs 2 seeds or more" in text_of(load_run(single))
    few = replace(benchmark, subjects=("a", "b")).write(tmp_path / "few")
    assert "tests of 4 rows, too few rows" in text_of(load_run(few))


def test_a_defect_that_changes_no_job_and_a_benchmark_that_measures_none(tmp_path: Path) -> None:
    run = load_run(Benchmark(plain).write(tmp_path / "none"))
    table = defects_table(run)
    assert table.rows == ()
    assert "Nothing is planned" in text_of(run)
    assert {"defects", "budget"} <= set(table_names(run))
    benchmark = Benchmark(plain, measured=DROPOUT)
    path = benchmark.write(tmp_path / "nothing") / "plans" / "0123456789abcdef.json"
    manifest = json.loads(path.read_text())
    manifest["jobs"] = [job for job in manifest["jobs"] if not job["id"].startswith("+")]
    path.write_text(json.dumps(manifest))
    assert "active-dropout changes no job of this benchmark." in text_of(load_run(tmp_path / "nothing"))


def test_every_format_has_the_interval(tmp_path: Path) -> None:
    benchmark = Benchmark(
        shifted({"base": 0.1, "seqinv": 0.2}, 0.01), measured={**DROPOUT, "pooled-rows": {}}, seeds=(0, 1, 2)
    )
    run = load_run(benchmark.write(tmp_path))
    row = one(run, defect="active-dropout")
    markdown = render_run(run, ["defects"], "markdown") or ""
    assert rf"{100 * row['difference']:+.1f} \[{100 * row['low']:.1f}, {100 * row['high']:.1f}\]" in markdown
    csv = pd.read_csv(io.StringIO(render_run(run, ["leaderboard", "defects"], "csv") or ""))
    cells = json.loads(render_run(run, ["leaderboard", "defects"], "json") or "")["cells"]
    assert list(cells[0]) == list(csv.columns)
    mine = csv[csv["table"].eq("defects") & csv["row"].eq("active-dropout")].iloc[0]
    for name, column in (("mean", "difference"), ("low", "low"), ("high", "high"), ("without", "without")):
        assert mine[name] == pytest.approx(row[column], rel=1e-12)
    assert (mine["verdict"], mine["how"], mine["n_arms"]) == ("flatters", "paired", 2)
    assert "verdict" not in (render_run(run, ["leaderboard"], "csv") or "").splitlines()[0].split(",")


def test_two_profiles_measure_apart(tmp_path: Path) -> None:
    Benchmark(shifted(dict.fromkeys(BASE, 0.1)), measured=DROPOUT).write(tmp_path, "a" * 16)
    other = Benchmark(
        shifted(dict.fromkeys(BASE, 0.3)), measured={"active-dropout": {"profile": "paper+active-dropout"}},
        profile="paper", salt="p",
    )  # fmt: skip
    other.write(tmp_path, "b" * 16)
    frame = defects_frame(load_run(tmp_path)).set_index("row")
    assert frame["difference"].to_dict() == pytest.approx(
        {"active-dropout [corrected]": 0.1, "active-dropout [paper]": 0.3}
    )


@pytest.mark.parametrize(
    ("shown", "mean", "sentence"),
    [
        ({}, (200 + 20.5) / 4, "one empty counts as the metric's penalty (4 rows)"),
        ({"dropped-failures": "s"}, 10.25, "one empty drops out of metrics in mm (policy dropped): 4 rows"),
        ({"fixed-penalty": "s", "dropped-failures": "s"}, (512 + 20.5) / 4, "(policy 256mm): 4 rows"),
    ],
)
def test_the_policy_of_the_profile_holds_in_the_tables(
    tmp_path: Path, shown: dict[str, str], mean: float, sentence: str
) -> None:
    benchmark = Benchmark(
        lesions, {"lesion": task([DICE, HD95])}, labels=("lesion",), subjects=tuple("abcd"), shown=shown,
        profile="as-released" if shown else "corrected",
    )  # fmt: skip
    run = load_run(benchmark.write(tmp_path))
    table = leaderboard(run)
    cells = dict(zip((column.header[2] for column in table.columns), table.cells[1], strict=True))
    assert cells["hd95:max-directed mm ↓"].mean == pytest.approx(mean)  # type: ignore[union-attr]
    assert cells["dice % ↑"].mean == 0.5  # type: ignore[union-attr]
    assert sentence in " ".join(table.caption)
    names = ", ".join(sorted(shown))
    expected = (
        f"Profile: as-released, reproducing the known defects: {names}." if shown else "Profile: corrected."
    )
    for name in ("leaderboard", "budget", "transfer", "paper-1"):
        assert expected in text_of(run, name)


def test_profiles_with_other_policies_keep_theirs(tmp_path: Path) -> None:
    tasks = {"lesion": task([HD95])}
    common = Benchmark(lesions, tasks, ("seqinv",), labels=("lesion",), subjects=tuple("abcd"))
    common.write(tmp_path, "a" * 16)
    replace(common, profile="as-released", shown={"dropped-failures": "s"}, salt="r").write(
        tmp_path, "b" * 16
    )
    table = leaderboard(load_run(tmp_path))
    means = {
        row.header[0]: cells[0].mean for row, cells in zip(table.rows, table.cells, strict=True) if cells[0]
    }
    assert means == pytest.approx({"seqinv [corrected]": 55.125, "seqinv [as-released]": 10.25})
    caption = " ".join(table.caption)
    assert "; or, by profile, one empty drops out" in caption
    assert "Profile: corrected; as-released, reproducing the known defects: dropped-failures." in caption


def test_manifests_without_defects_are_read(tmp_path: Path) -> None:
    path = Benchmark(plain).write(tmp_path) / "plans" / "0123456789abcdef.json"
    merged = merge([read_manifest(path)])
    assert (merged.variants, merged.measured_defects) == ((), ())
    assert policy_of(merged, "corrected") is policy_of(merged, "x") is None
    assert profile_sentence({"a": [], "b": []}) == "Profile: a, b."
    assert profile_sentence({"as-released": ["y", "x"]}) == (
        "Profile: as-released, reproducing the known defects: x, y."
    )
