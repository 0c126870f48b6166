"""The checks of a benchmark file: what holds, what fails, and what is said when something is missing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from command_line import call
from report_tables import material_of
from synthetic_results import DICE, HD95, Benchmark, Cell, raw_scores, task
from test_report_power import noise

from mribench.config import digest_config, load_benchmark
from mribench.errors import ConfigError, MRIBenchError
from mribench.report import load_run
from mribench.report.checks import Judged, judge_checks
from mribench.results.checks import BetterCheck, CheckSpec, LadderCheck, SameCheck

METHODS = ("low", "middle", "high", "again")
LEVEL = {"low": 0.5, "middle": 0.6, "high": 0.7, "again": 0.7}
SEQUENCES = ("T1w", "T2w")
SUBJECTS = tuple(f"s{place:02}" for place in range(12))


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    place = (cell["method"], cell["seed"], metric, cell["test_sequence"])
    lost = 0.2 * (cell["test_sequence"] == "T2w")
    if metric != "dice":
        return 10 * (1 - LEVEL[cell["method"]]) + 10 * lost + 0.1 * noise(1, *place, subject)
    return LEVEL[cell["method"]] - lost + noise(0.05, subject) + noise(0.01, *place, subject)


def benchmark(**changes: object) -> Benchmark:
    usual = {
        "tasks": {"tissue": task([DICE, HD95], (0.5, 1.0), tested=SEQUENCES)}, "transfer": True,
        "methods": METHODS, "seeds": tuple(range(5)), "subjects": SUBJECTS, "labels": ("GM",),
    }  # fmt: skip
    return Benchmark(score, **{**usual, **changes})  # type: ignore[arg-type]


SMALL = {"tasks": {"tissue": task([DICE], tested=SEQUENCES)}}


def judge(folder: Path, *checks: CheckSpec) -> list[Judged]:
    return judge_checks(material_of(load_run(folder)), checks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark().write(tmp_path_factory.mktemp("checks"))


def test_the_same_is_separated_nowhere_and_what_differs_is(folder: Path) -> None:
    same, other = judge(folder, SameCheck(same=["high", "again"]), SameCheck(same=["high", "middle"]))
    assert same.holds
    assert len(same.lines) == 2 * 2 * 2, "fractions, metrics, sequences"
    assert not other.holds
    assert not any(line.holds for line in other.lines)
    assert "after Holm over 4 rows" in other.lines[0].figures


def test_better_is_separated_in_the_right_direction(folder: Path) -> None:
    up, down, none, some = judge(
        folder,
        BetterCheck(better="high", than="low"),
        BetterCheck(better="low", than="high"),
        BetterCheck(better="high", than="again"),
        BetterCheck(better="high", than="low", test_sequences=["T2w"], metrics=["dice"], tasks=["tissue"]),
    )
    assert up.holds
    assert len(up.lines) == 2 * 2, (
        "metrics and sequences, at the largest fraction; distances are better short"
    )
    assert not any(line.holds for line in (*down.lines, *none.lines))
    assert [line.where for line in some.lines] == ["tissue 100 % dice, T1w → T2w, Guys"]
    assert some.lines[0].figures.startswith("+20."), "points"


def test_a_ladder_is_the_mean_over_its_cells(folder: Path) -> None:
    up, down, lengths = judge(
        folder,
        LadderCheck(ladder=["low", "middle", "high"]),
        LadderCheck(ladder=["low", "high", "middle"]),
        LadderCheck(ladder=["low", "middle", "high"], metric="hd95:max-directed", test_sequences=["T2w"]),
    )
    assert up.holds
    assert lengths.holds, "shorter is better"
    assert [line.holds for line in down.lines] == [True, True, True, True, False, True]
    scores = raw_scores(folder)
    mine = scores[scores["metric"].eq("dice") & scores["fraction"].eq(1) & scores["method"].eq("low")]
    assert f"{100 * mine['value'].mean():.1f} ± " in up.lines[0].figures
    assert "T1w → T1w" in up.note
    assert "5 seeds and 12 subjects" in up.note


def flat(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.5 + noise(0.05, subject, label)


def test_a_flat_ladder_leads_nowhere(tmp_path: Path) -> None:
    flat_run = Benchmark(flat, methods=METHODS, seeds=(0, 1), subjects=SUBJECTS).write(tmp_path)
    (ladder,) = judge(flat_run, LadderCheck(ladder=["low", "high"]))
    assert [line.holds for line in ladder.lines] == [True, True, True, False]


def test_what_is_missing_or_not_tested_fails_and_is_said(tmp_path: Path) -> None:
    checks = (
        SameCheck(same=["high", "again"]),
        BetterCheck(better="high", than="low"),
        LadderCheck(ladder=["low", "again"]),
    )
    few = judge(benchmark(**SMALL, seeds=(0, 1)).write(tmp_path / "few"), *checks)
    assert [judged.holds for judged in few] == [False, False, True], "a ladder tests nothing"
    assert few[0].lines[0].figures.endswith("not tested, with 2 seeds of 5")
    name = next(
        job["id"]
        for job in benchmark(**SMALL).jobs()
        if job["id"].startswith("again/") and "T2w" in job["id"]
    )
    cut = judge(benchmark(**SMALL, states={name: "failed"}).write(tmp_path / "cut"), *checks)
    assert [judged.holds for judged in cut][:2] == [False, True]
    assert any("again is partial (4 of 5 tests done)" in line.figures for line in cut[0].lines)


def nothing(cell: Cell, metric: str, subject: str, label: str) -> tuple[float, str, float]:
    return math.nan, "both-empty", math.nan


def test_cells_without_a_score_fail_every_check(tmp_path: Path) -> None:
    empty = Benchmark(nothing, methods=METHODS, seeds=tuple(range(5))).write(tmp_path)
    same, better, ladder = judge(
        empty,
        SameCheck(same=["high", "again"]),
        BetterCheck(better="high", than="low"),
        LadderCheck(ladder=["low", "high"]),
    )
    assert not any(judged.holds for judged in (same, better, ladder))
    assert same.lines[0].figures == "no scores"


def test_names_that_are_nowhere_are_refused(folder: Path) -> None:
    with pytest.raises(MRIBenchError, match="no cell of test sequence 'T3w'"):
        judge(folder, BetterCheck(better="high", than="low", test_sequences=["T3w"]))
    with pytest.raises(MRIBenchError, match="no cell of metric 'dise'"):
        judge(folder, LadderCheck(ladder=["high", "low"], metric="dise"))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("{same: [seqinv, twim]}", "checks.0: the benchmark has no row 'twim'"),
        ("{same: [seqinv]}", "checks.0.same"),
        ("{better: seqinv}", "checks.0.than: required"),
        ("{better: seqinv, than: scratch, tasks: [tisue]}", "checks.0.tasks: the benchmark has no task"),
        ("{ladder: [scratch, seqinv]}", "checks.0.task: required, as there are several tasks"),
        ("{nothing: 1}", "checks.0: expected a mapping with one of the keys same, better, ladder"),
        ("{same: [seqinv, scratch], tasks: [tissue]}", "checks.0.tasks: unknown key"),
    ],
)
def test_a_file_says_what_is_wrong_before_it_is_run(repository: Path, check: str, message: str) -> None:
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    with pytest.raises(ConfigError, match=message):
        load_benchmark(file, (f"checks=[{check}]",))


def test_the_command_judges_and_its_exit_code_says_so(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    methods = [f"methods.{name}={{views: seqinv, objective: simclr-recon}}" for name in METHODS]
    sets = [part for text in (*methods, "seeds=[0, 1, 2, 3, 4]") for part in ("--set", text)]
    checks = "checks=[{same: [high, again]}, {better: high, than: low}%s]"
    digest = digest_config(load_benchmark(file, sets[1::2]))
    benchmark(**SMALL).write(tmp_path / "tiny", digest)
    words = ("check", file, *sets, "--results", tmp_path, "--set")
    good = call(*words, checks % "")
    assert good.code == 0, good.err
    assert "2 of 2 checks hold" in good.out
    bad = call(*words, checks % ", {ladder: [high, low], task: tissue}")
    assert bad.code == 1
    assert "2 of 3 checks hold" in bad.out
    assert "fails" in bad.out
    assert call("check", file, "--results", tmp_path).code == 2, "nothing to check"
    assert call(*words, checks % "", "--set", "seeds=[7]").code == 2, "never run"
