"""Damaged results through the whole command line: one sentence, a hint, and nothing lost."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support_cli import contents, refused

from mribench.results import SCHEMA, sound

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


def kinds_of_files(results: Path) -> dict[str, Path]:
    """Return one file of each name that jobs leave, but their logs and their leases."""
    files = sorted((results / "bad" / "jobs").glob("*/*"))
    return {path.name: path for path in files if path.name != "log.txt"}


def test_a_damaged_file_is_its_own_jobs_problem(mribench, finished, results, caplog):
    """What a loss of power leaves of a file that was not synced; every name that jobs leave in turn."""
    commands = views(results, finished[0]) | {"plan": ["plan", finished[0], "--results", results]}
    run = commands.pop("run")
    names = kinds_of_files(results)
    assert {"status.json", "job.json", "records.parquet", "encoder.safetensors"} <= names.keys()
    for number, path in enumerate(names.values()):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if number % 2 else b"")
        for name, arguments in commands.items():
            caplog.clear()
            said = mribench(*arguments)
            assert said.code == (1 if name == "status" else 0), (path.name, name, said.err)
            assert str(path) in "".join((said.out + said.err + caplog.text).split("\n")), (path.name, name)
        caplog.clear()
        said = mribench(*run)
        assert said.code == 0, (path.name, said.err)
        assert "damaged: " in caplog.text
        assert str(path) in caplog.text
        again = 0 if path.name == "job.json" else 1  # which is written anew from the plan
        assert re.search(rf"\b{again} jobs executed", said.out), path.name
        caplog.clear()
        assert mribench("status", results / "bad").code == 0, path.name


@pytest.mark.parametrize("loaded", [True, False], ids=["when loaded", "before the run"])
@pytest.mark.parametrize("kind", ["records.parquet", "encoder.safetensors", "head.safetensors"])
def test_a_flipped_bit_is_found_when_it_is_read(
    mribench, finished, results, caplog, monkeypatch, kind, loaded
):
    path = kinds_of_files(results)[kind]
    evaluated = sorted((results / "bad" / "jobs").glob("*/records.parquet"))
    scores = {rows: pd.read_parquet(rows) for rows in evaluated}
    whole = path.read_bytes()
    flip_middle(path)
    said = mribench("verify", results / "bad", "--sample", 1)
    assert said.code == 1
    assert f"{path} is not as it was written" in " ".join((said.out + said.err).split())
    if loaded:  # large files are not looked at before somebody asks for them
        monkeypatch.setattr(sound, "SMALL_BYTES", 0)
        for rows in evaluated:
            rows.unlink()
    said = mribench(*views(results, finished[0])["run"])
    assert said.code == 0, said.err
    assert loaded or f"{path} is not as it was written" in caplog.text
    assert path.read_bytes() == whole or kind == "records.parquet"
    for rows, expected in scores.items():
        pd.testing.assert_frame_equal(pd.read_parquet(rows), expected)


def flip_middle(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)


def test_all_that_a_job_needs_is_damaged(mribench, finished, results, caplog, monkeypatch):
    """It finds one file after the other, and waits each time until that one is made again."""
    evaluated = sorted((results / "bad" / "jobs").glob("*/records.parquet"))
    scores = {rows: pd.read_parquet(rows) for rows in evaluated}
    for path in sorted((results / "bad" / "jobs").glob("*/*.safetensors")):
        flip_middle(path)
    for rows in evaluated:
        rows.unlink()
    monkeypatch.setattr(sound, "SMALL_BYTES", 0)
    said = mribench(*views(results, finished[0])["run"])
    assert said.code == 0, said.err
    for rows, expected in scores.items():
        pd.testing.assert_frame_equal(pd.read_parquet(rows), expected)


def test_stray_files_are_left_alone(mribench, finished, results):
    (results / "bad" / "jobs" / "notes.txt").write_text("mine")
    (results / "bad" / "jobs" / "empty").mkdir()
    for name, arguments in views(results, finished[0]).items():
        assert mribench(*arguments).code == 0, name
    assert (results / "bad" / "jobs" / "notes.txt").read_text() == "mine"


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
        content = json.loads(plan.read_text())
        del content["seal"]
        plan.write_text(json.dumps(content | {"schema": 99}))
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


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"state": "zzz"}', '{"state": 3}', "\udcff"])
@pytest.mark.parametrize("name", ["report folder", "status"])
def test_a_status_of_another_form(mribench, finished, results, caplog, name, text):
    path = some(results, "evaluate") / "status.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = contents(results)
    said = mribench(*views(results, finished[0])[name])
    assert said.code == (1 if name == "status" else 0)
    assert str(path) in said.out + caplog.text
    assert contents(results) == before


@pytest.mark.parametrize("text", ["", "{", "{}", "[]"])
def test_a_lease_that_says_nothing_keeps_nobody_from_reading(mribench, finished, results, text):
    folder = some(results, "pretrain")
    (folder / "status.json").write_text('{"state": "running"}')
    (folder / "lease.json").write_text(text)
    for name in ("report folder", "status"):
        found = mribench(*views(results, finished[0])[name])
        assert (found.code, "lease" in found.err) == (0, False), found.err


@pytest.mark.parametrize("noted", ["digests", "older"])
@pytest.mark.parametrize("damage", ["page", "columns", "types"])
def test_records_of_another_form(mribench, finished, results, caplog, damage, noted):
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
    if noted == "older":  # which noted no digests
        status = path.with_name("status.json")
        content = json.loads(status.read_text())
        status.write_text(json.dumps({"state": "done", "written": content["written"]}))
    said = mribench("report", results / "bad")
    assert (said.code, "missing" in said.out) == (0, True), said.err
    assert str(path) in caplog.text


@pytest.mark.parametrize("text", ["{}", "[]", "null", "{", ""])
def test_a_marker_of_another_form(mribench, finished, results, caplog, text):
    marker = results / "bad" / "store.json"
    for name, arguments in {**views(results, finished[0]), "plan": plan_of(results, finished[0])}.items():
        marker.write_text(text)
        caplog.clear()
        assert mribench(*arguments).code == 0, name
        assert str(marker) in caplog.text, name
    assert mribench(*views(results, finished[0])["run"]).code == 0
    assert json.loads(marker.read_text())["schema"] == SCHEMA


@pytest.mark.parametrize("text", ["{}", "{"])
def test_a_marker_of_another_form_where_no_job_says_more(mribench, finished, results, text):
    for status in (results / "bad" / "jobs").glob("*/status.json"):
        status.unlink()
    (results / "bad" / "store.json").write_text(text)
    for arguments in (*views(results, finished[0]).values(), plan_of(results, finished[0])):
        _refused_safely(mribench(*arguments), "store.json")
    (results / "bad" / "store.json").write_text(f'{{"schema": {SCHEMA}}}')  # as the hint says
    assert mribench(*plan_of(results, finished[0])).code == 0


def plan_of(results, file):
    return ["plan", file, "--results", results]


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
    assert "IXI.csv" in "".join(said.out.split())  # wherever a long path is broken
    assert "covariates are left out" in " ".join(said.out.split()), remark
