"""Damaged results through the whole command line: one sentence, a hint, and nothing lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support_cli import contents, refused

from mribench.results import SCHEMA

# Damaged results


def some(results: Path, kind: str) -> Path:
    """Return the folder of the first job of a kind."""
    folders = sorted((results / "bad" / "jobs").iterdir())
    return next(f for f in folders if json.loads((f / "job.json").read_text())["kind"] == kind)


def views(results: Path, file: Path) -> dict[str, list[object]]:
    return {
        "run": ["run", file, "--results", results, "--executor", "inline"],
        "report file": ["report", file, "--results", results],
        "report folder": ["report", results / "bad"],
        "status": ["status", results / "bad"],
    }


def test_the_undamaged_results_are_shown_by_all(mribench, finished, results):
    before = contents(results)
    for name, arguments in views(results, finished[0]).items():
        assert mribench(*arguments).code == 0, name
    assert contents(results) == before


@pytest.mark.parametrize("text", ["", "{", "\udcff"], ids=["empty", "cut", "binary"])
@pytest.mark.parametrize("name", ["run", "report file", "report folder", "status"])
def test_a_damaged_status(mribench, finished, results, name, text):
    path = some(results, "evaluate") / "status.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = contents(results)
    refused(mribench(*views(results, finished[0])[name]), f"cannot read {path}", "delete its folder")
    assert contents(results) == before


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null"])
def test_a_damaged_specification(mribench, finished, results, text):
    path = some(results, "pretrain") / "job.json"
    path.write_text(text)
    before = contents(results)
    for name in ("status", "report"):
        assert mribench(name, results / "bad").code == 0  # which need none
    assert mribench("run", finished[0], "--results", results, "--executor", "inline").code == 0
    assert contents(results) == before


def test_stray_files_are_left_alone(mribench, finished, results):
    (results / "bad" / "jobs" / "notes.txt").write_text("mine")
    (results / "bad" / "jobs" / "empty").mkdir()
    for name, arguments in views(results, finished[0]).items():
        assert mribench(*arguments).code == 0, name
    assert (results / "bad" / "jobs" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("damage", ["empty", "cut", "gone"])
@pytest.mark.parametrize("name", ["run", "report file", "report folder"])
def test_damaged_records(mribench, finished, results, name, damage):
    path = some(results, "evaluate") / "records.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(b"" if damage == "empty" else content[:-30])
    before = contents(results)
    said = mribench(*views(results, finished[0])[name])
    refused(said, str(path), None)
    if damage == "gone" and name != "run":
        refused(said, f"{path} is not there, though its job is done", "delete its folder and run")
    assert contents(results) == before


def test_damaged_results_are_repaired_as_the_hint_says(mribench, finished, results):
    folder = some(results, "evaluate")
    whole = pd.read_parquet(folder / "records.parquet")
    (folder / "records.parquet").write_bytes(b"")
    assert "delete its folder and run" in mribench("report", results / "bad").hint
    shutil.rmtree(folder)
    assert mribench("run", finished[0], "--results", results, "--executor", "inline").code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "records.parquet"), whole)


def test_results_of_another_version(mribench, finished, results):
    (results / "bad" / "store.json").write_text('{"schema": 99}')
    before = contents(results)
    for name in views(results, finished[0]):
        said = mribench(*views(results, finished[0])[name])
        refused(said, "holds results of schema version 99", "the mribench that wrote them")
    (results / "bad" / "store.json").unlink()  # the report can do without it
    before.pop("bad/store.json")
    for name in ("report file", "report folder"):
        assert mribench(*views(results, finished[0])[name]).code == 0
    for plan in (results / "bad" / "plans").glob("*.json"):
        plan.write_text(json.dumps(json.loads(plan.read_text()) | {"schema": 99}))
    for name in ("report file", "report folder"):
        said = mribench(*views(results, finished[0])[name])
        refused(said, "schema version 99", "the mribench that wrote it")
    assert contents(results) == before


@pytest.mark.parametrize("place", ["results", "results/bad", "results/bad/jobs", "results/bad/plans"])
def test_a_file_in_the_way_of_the_results(mribench, file, tmp_path, place):
    blocked = tmp_path / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("precious")
    said = mribench("run", file, "--results", tmp_path / "results", "--executor", "inline")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert str(tmp_path / "results") in said.err
    assert "--results" in said.err
    assert blocked.read_text() == "precious"


# Damage that is JSON or Parquet and still not what it should be


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"state": "zzz"}', '{"state": 3}'])
@pytest.mark.parametrize("name", ["run", "report folder", "status"])
def test_a_status_of_another_form(mribench, finished, results, name, text):
    path = some(results, "evaluate") / "status.json"
    path.write_text(text)
    before = contents(results)
    refused(mribench(*views(results, finished[0])[name]), str(path), "delete its folder")
    assert contents(results) == before


@pytest.mark.parametrize("text", ["", "{", "{}", "[]"])
def test_a_lease_that_says_nothing_keeps_nobody_from_reading(mribench, finished, results, text):
    folder = some(results, "pretrain")
    (folder / "status.json").write_text('{"state": "running"}')
    (folder / "lease.json").write_text(text)
    for name in ("report folder", "status"):
        found = mribench(*views(results, finished[0])[name])
        assert (found.code, "lease" in found.err) == (0, False), found.err


@pytest.mark.parametrize("damage", ["page", "columns", "types"])
def test_records_of_another_form(mribench, finished, results, damage):
    path = some(results, "evaluate") / "records.parquet"
    if damage == "page":
        file = pq.ParquetFile(path)
        chunk = file.metadata.row_group(0).column(file.schema_arrow.names.index("value"))
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        content = path.read_bytes()
        path.write_bytes(content[:start] + bytes(60) + content[start + 60 :])
    elif damage == "columns":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    else:
        pd.read_parquet(path).assign(value="x").to_parquet(path)
    # never the folder of all results, which the hint says to delete
    refused(mribench("report", results / "bad"), str(path), "delete its folder")


@pytest.mark.parametrize("text", ["{}", "[]", "null", "{", ""])
def test_a_marker_of_another_form(mribench, finished, results, text):
    (results / "bad" / "store.json").write_text(text)
    for name in views(results, finished[0]):
        _refused_safely(mribench(*views(results, finished[0])[name]), "store.json")
    _refused_safely(mribench("plan", finished[0], "--results", results), "store.json")
    (results / "bad" / "store.json").write_text(f'{{"schema": {SCHEMA}}}')  # as the hint says
    for name, arguments in views(results, finished[0]).items():
        assert mribench(*arguments).code == 0, name


def _refused_safely(said, message):
    """Check a refusal whose hint gives nothing up: the folder is that of all results."""
    refused(said, message, None)
    assert said.hint
    assert "delete" not in said.hint


@pytest.mark.parametrize("text", ["", "{", "\udcff", "[" * 100_000], ids=["empty", "cut", "binary", "deep"])
def test_a_plan_that_is_no_json(mribench, finished, results, text):
    (path,) = (results / "bad" / "plans").glob("*.json")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = contents(results)
    for name in ("report file", "report folder"):
        said = mribench(*views(results, finished[0])[name])
        _refused_safely(said, f"cannot read {path}")
        assert "run the benchmark again: done jobs are kept" in said.hint
    assert contents(results) == before
    path.rename(results / "plan.json")
    said = mribench("run", finished[0], "--results", results, "--executor", "inline")
    assert " 4 done before" in said.out
    assert mribench("report", results / "bad").code == 0


@pytest.mark.parametrize("text", [f'{{"schema": {SCHEMA}}}', f'{{"schema": {SCHEMA}, "jobs": 3}}'])
def test_a_plan_of_another_form(mribench, results, text):
    (path,) = (results / "bad" / "plans").glob("*.json")
    path.write_text(text)
    refused(mribench("report", results / "bad"), str(path), "again")


@pytest.mark.parametrize("place", ["bad", "bad/jobs"])
def test_a_file_in_the_way_of_what_is_planned_or_shown(mribench, finished, results, place):
    shutil.rmtree(results / place)
    (results / place).write_text("precious")
    said = mribench("plan", finished[0], "--results", results)
    refused(said, str(results / "bad"), None)


def test_a_table_of_demographics_that_is_none_costs_the_covariates_only(mribench, damaged, tmp_path):
    path, _ = damaged("ixi", lambda r: (r / "IXI.csv").write_text("garbage\n1\n"))
    assert mribench("plan", path, "--results", tmp_path / "r").code == 0
    said = mribench("data", "check", path)
    (remark,) = [line for line in said.out.splitlines() if line.startswith("remark")]
    assert "IXI.csv" in said.out
    assert "covariates are left out" in " ".join(said.out.split()), remark
