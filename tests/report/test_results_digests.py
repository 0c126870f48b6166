"""Results of other splits are never averaged with, nor set beside, those of the newest one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_tables import render_run
from specifications import content, evaluate_spec, keep, spec_of
from synthetic_results import DICE, Benchmark, Cell, task

from mribench.errors import StoreError
from mribench.report import RunData, load_run
from mribench.results.digests import Recorded, recorded
from mribench.results.records import JOB_SCHEMA, write_table
from mribench.results.specification import JobSpec

OLD, NEW = "a" * 16, "b" * 16


def by_seed(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.1 * (1 + (cell["seed"] or 0))


def split_of(job: dict[str, Any], test: str, training: str = "t", pretraining: str = "p") -> str:
    return {"evaluate": test, "adapt": training, "pretrain": pretraining}[str(job["kind"])]


def specify(root: Path, benchmark: Benchmark, *digests: str, prints: dict[str, str] | None = None) -> None:
    """Write what every job of a benchmark was computed from into its ``job.json``."""
    for job in benchmark.jobs():
        if (folder := root / "jobs" / job["key"]).exists():
            spec = spec_of(job["kind"], split_digest=split_of(job, *digests))
            keep(folder, spec, job["id"], content(fingerprints=prints or {}))


def two_plans(
    root: Path,
    older: tuple[str, ...],
    newer: tuple[str, ...],
    prints: tuple[dict[str, str] | None, dict[str, str] | None] = (None, None),
    **differing: Any,
) -> RunData:
    """Seeds 0 and 1 of one plan, then seed 2 of another; return both together."""
    usual = {"methods": ("base",)}
    first = Benchmark(by_seed, seeds=(0, 1), created="2026-01-01", **usual)
    second = Benchmark(by_seed, **{"seeds": (2,), "created": "2026-02-01", "salt": "new"} | usual | differing)
    for benchmark, digest, made, files in (
        (first, OLD, older, prints[0]), (second, NEW, newer, prints[1]),
    ):  # fmt: skip
        benchmark.write(root, digest)
        specify(root, benchmark, *made, prints=files)
    return load_run(root)


def shown(run: RunData) -> dict[str, set[float]]:
    return {str(name): set(group) for name, group in run.scores.groupby("method")["seed"]}


def test_the_same_split_is_one_cell(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("x",), ("x",))
    assert shown(run) == {"base": {0, 1, 2}}
    assert run.mixed == ()
    assert run.superseded == 0


def test_seeds_of_another_test_set_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("abcabcabcabc",), ("defdefdefdef",))
    assert shown(run) == {"base": {2}}
    assert run.scores["value"].unique() == pytest.approx([0.3])
    (sentence,) = run.mixed
    assert sentence == (
        "tissue, Guys, T1w: test results of 2 splits; seeds 0, 1 (digest abcabcab) are left out,"
        " seed 2 (digest defdefde) is shown"
    )
    assert run.superseded == 0, "they are not replaced by newer ones"
    assert json.loads(render_run(run, ["leaderboard"], "json") or "")["mixed"] == [sentence]
    assert sentence in (render_run(run, ["leaderboard"], "markdown") or "")


def test_each_plan_alone_is_untouched(tmp_path: Path) -> None:
    two_plans(tmp_path, ("abc",), ("def",))
    assert shown(load_run(tmp_path, OLD)) == {"base": {0, 1}}
    assert load_run(tmp_path, OLD).mixed == ()


@pytest.mark.parametrize(
    ("newer", "sentence"),
    [
        (("x", "other", "p"), "tissue trained on T1w, 100 %: training results of 2 splits"),
        (("x", "t", "other"), "base: pretraining results of 2 splits"),
    ],
)
def test_another_training_set_is_another_result(
    tmp_path: Path, newer: tuple[str, ...], sentence: str
) -> None:
    run = two_plans(tmp_path, ("x", "t", "p"), newer)
    assert shown(run) == {"base": {2}}
    assert len(run.mixed) == 1
    assert run.mixed[0].startswith(f"{sentence}; seeds 0, 1 (digest ")


def test_other_files_of_the_same_subjects(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("x",), ("x",), ({"s": "1"}, {"s": "2"}))
    assert shown(run) == {"base": {2}}
    # the same synthetic files stand for tests, training and pretraining; the first comparison says it
    assert len(run.mixed) == 1
    assert run.mixed[0].startswith("tissue, Guys, T1w: test results of 2 versions of the files; seeds 0, 1")


def test_files_that_an_older_mribench_did_not_record_are_not_held_against_it(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("x",), ("x",), (None, {"s": "2"}))
    assert shown(run) == {"base": {0, 1, 2}}
    assert run.mixed == ()


def test_methods_are_compared_on_the_same_subjects_only(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("abc",), ("def",), seeds=(0, 1), methods=("new",))
    assert shown(run) == {"new": {0, 1}}
    (sentence,) = run.mixed
    assert "base seeds 0, 1 (digest abc) are left out, new seeds 0, 1 (digest def) are shown" in sentence


def test_methods_may_be_pretrained_on_their_own_data(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("x", "t", "p"), ("x", "t", "q"), seeds=(0, 1), methods=("new",))
    assert shown(run) == {"base": {0, 1}, "new": {0, 1}}
    assert run.mixed == ()


def test_profiles_have_splits_of_their_own(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("abc",), ("def",), profile="paper")
    assert len(run.scores["profile"].unique()) == 2
    assert run.mixed == ()


def test_what_was_run_again_with_the_new_split_is_replaced_not_mixed(tmp_path: Path) -> None:
    run = two_plans(tmp_path, ("abc",), ("def",), seeds=(0, 1))
    assert shown(run) == {"base": {0, 1}}
    assert run.mixed == ()
    assert run.superseded == 2


def test_a_seed_that_is_planned_with_the_new_split_is_missing_not_old(tmp_path: Path) -> None:
    todo = {
        job["id"]: "todo"
        for job in Benchmark(by_seed, methods=("base",)).jobs()
        if "seed1" in job["id"] and job["kind"] == "evaluate"
    }
    assert todo
    run = two_plans(tmp_path, ("abc",), ("def",), seeds=(0, 1, 2), states=todo)
    assert shown(run) == {"base": {0, 2}}
    assert dict(zip(run.cells["seed"], run.cells["state"], strict=True)) == {0: "done", 1: "todo", 2: "done"}
    assert "seed 1 (digest abc) is left out, seeds 0, 2 (digest def) are shown" in run.mixed[0]


def test_only_the_sites_that_changed_lose_results(tmp_path: Path) -> None:
    two = {"tissue": task([DICE], sites=("Guys", "HH"))}
    usual: dict[str, Any] = {"tasks": two, "methods": ("base",)}
    first = Benchmark(by_seed, seeds=(0,), created="2026-01-01", **usual)
    second = Benchmark(by_seed, seeds=(1,), created="2026-02-01", **usual)
    for benchmark, digest in ((first, OLD), (second, NEW)):
        benchmark.write(tmp_path, digest)
        specify(tmp_path, benchmark, "same")
    for job in second.jobs():
        if "/test/HH/" in job["id"]:
            keep(tmp_path / "jobs" / job["key"], evaluate_spec(split_digest="changed"), job["id"])
    run = load_run(tmp_path)
    seeds = {site: set(group) for site, group in run.scores.groupby("test_site")["seed"]}
    assert seeds == {"Guys": {0, 1}, "HH": {1}}
    assert [text.split(":")[0] for text in run.mixed] == ["tissue, HH, T1w"]


def test_without_a_specification_the_job_row_says_it(tmp_path: Path) -> None:
    first = Benchmark(by_seed, methods=("base",), seeds=(0,), created="2026-01-01")
    second = Benchmark(by_seed, methods=("base",), seeds=(1,), created="2026-02-01")
    for benchmark, plan, digest in ((first, OLD, "abc"), (second, NEW, "def")):
        benchmark.write(tmp_path, plan)
        for job in benchmark.jobs():
            row = {"job_key": job["key"], "id": job["id"], "kind": job["kind"]}
            row["split_digest"] = split_of(job, digest)
            write_table(tmp_path / "jobs" / job["key"] / "job.parquet", [row], JOB_SCHEMA)
    run = load_run(tmp_path)
    assert shown(run) == {"base": {1}}
    assert "seed 0 (digest abc) is left out, seed 1 (digest def) is shown" in run.mixed[0]


def test_three_splits_are_all_named(tmp_path: Path) -> None:
    for seed, digest in enumerate(("abc", "def", "ghi")):
        benchmark = Benchmark(
            by_seed,
            methods=("base",),
            seeds=(seed,),
            created=f"2026-0{seed + 1}-01",
            references=("identity",),
        )
        benchmark.write(tmp_path, digest[0] * 16)
        specify(tmp_path, benchmark, digest)
    run = load_run(tmp_path)
    # identity has no seed: its one result is that of the last plan, and fits it
    assert shown(run)["base"] == {2}
    (sentence,) = run.mixed
    assert "results of 3 splits; seed 0 (digest abc), seed 1 (digest def) are left out" in sentence


# What a job's folder says, for reports and comparisons


def job_folder(root: Path, row: str | None, spec: JobSpec | None, **prints: str) -> Path:
    folder = root / "jobs" / "key"
    folder.mkdir(parents=True)
    write_table(
        folder / "job.parquet", [{"job_key": "key", "kind": "evaluate", "split_digest": row}], JOB_SCHEMA
    )
    if spec:
        keep(folder, spec, made_of=content(fingerprints=prints))
    return folder


@pytest.mark.parametrize(
    ("specified", "row", "known", "split"),
    [
        (True, "row", "read", "spec"),
        (False, "row", None, "row"),
        (False, "row", "read", "read"),
        (False, "row", float("nan"), "row"),
        (False, None, None, ""),
    ],
)
def test_the_specification_counts_before_the_row(
    tmp_path: Path, specified: bool, row: str | None, known: Any, split: str
) -> None:
    spec = evaluate_spec(split_digest="spec") if specified else None
    assert recorded(job_folder(tmp_path, row, spec), known) == Recorded(split)


def test_files_are_read_by_cohort_and_subject(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, None, evaluate_spec(split_digest="x"), b="2", a="1")
    found = recorded(folder)
    assert found == Recorded("x", {(0, "a"): "1", (0, "b"): "2"})
    assert found.version == Recorded("y", {(0, "a"): "1", (0, "b"): "2"}).version != ""


def test_what_cannot_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = job_folder(tmp_path, "row", evaluate_spec())
    (folder / "job.json").write_text("{")
    assert recorded(folder) == Recorded("row"), "its row has the split too"
    assert "job.json" in caplog.text
    (folder / "job.json").unlink()
    (folder / "job.parquet").unlink()
    with pytest.raises(StoreError, match=r"job\.parquet is not there"):
        recorded(folder)


@pytest.mark.parametrize(
    ("first", "second", "what", "fits"),
    [
        (Recorded("a"), Recorded("a"), "", True),
        (Recorded(), Recorded(), "", True),
        (Recorded("a"), Recorded(), "", False),
        (Recorded("a" * 9), Recorded("b" * 9), "subjects differ (digests aaaaaaaa and bbbbbbbb)", False),
        (Recorded("a", {"s": "1"}), Recorded("a"), "", True),
        (Recorded("a", {"s": "1", "t": "2"}), Recorded("a", {"s": "1", "t": "2"}), "", True),
        (Recorded("a", {"s": "1", "t": "2"}), Recorded("a", {"s": "1", "t": "3"}),
         "files differ for 1 of 2 subjects", False),
    ],
)  # fmt: skip
def test_results_fit_unless_something_is_known_to_differ(
    first: Recorded, second: Recorded, what: str, fits: bool
) -> None:
    """An unknown split fits no known one within a report; between folders it is not held against it."""
    assert (first.contradicts(second), second.contradicts(first)[:14]) == (what, what[:14])
    assert first.fits(second) == second.fits(first) == fits
    assert (hash(first) == hash(second)) or first != second
