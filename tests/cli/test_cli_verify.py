"""``mribench verify`` and ``mribench plan --why``: what they say, and how they end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from older_results import forget_digests
from support_cli import Mribench, contents, refused

from mribench.cli.results import _KINDS
from mribench.results import SCHEMA
from mribench.verify import KINDS

COUNT = 4  # 1 pretrain, 1 adapt, 2 evaluate: the method and identity


@pytest.fixture
def results(results: Path) -> Path:
    """A copy of the results without digests, which would find whatever a test changes."""
    forget_digests(results)
    return results


def flat(text: str) -> str:
    return " ".join(text.split())


def a_job(results: Path, kind: str, part: str = "") -> Path:
    for folder in (results / "bad/jobs").iterdir():
        specification = json.loads((folder / "job.json").read_text())
        if specification["kind"] == kind and part in specification["id"]:
            return folder
    raise AssertionError(kind)


def spoil(path: Path, *columns: str) -> None:
    """Add to columns of the first score row."""
    rows = pq.read_table(path)
    values = rows.to_pylist()
    for column in columns:
        values[0][column] += 1.5
    pq.write_table(type(rows).from_pylist(values, schema=rows.schema), path)


def test_all_come_out_the_same(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    before = contents(finished[1])
    said = mribench("verify", finished[1] / "bad", "--all")
    assert said.code == 0, said
    text = flat(said.out)
    assert f"{COUNT} of {COUNT} done jobs verified: {COUNT} same; files of all done jobs: consistent." in text
    assert "inconsistent" not in text
    assert len(re.findall(r"^\d/4 same: ", said.out, re.MULTILINE)) == COUNT
    assert contents(finished[1]) == before


def test_a_file_names_its_results(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    file, results = finished
    said = mribench("verify", file, "--results", results, "--kind", "evaluate", "--only", "identity/*")
    assert said.code == 0, said
    assert f"1 of {COUNT} done jobs verified: 1 same" in flat(said.out)


def test_the_sample_is_drawn_by_the_seed(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    drawn = {}
    for seed in (0, 0, 1, 2, 3, 4, 5):
        said = mribench("verify", finished[1] / "bad", "--kind", "evaluate", "--sample", 1, "--seed", seed)
        assert said.code == 0
        (job,) = re.findall(r"^1/1 same: (.*)$", said.out, re.MULTILINE)
        assert drawn.setdefault(seed, job) == job
    assert len(set(drawn.values())) == 2


def test_an_edited_score(mribench: Mribench, results: Path) -> None:
    spoil(a_job(results, "evaluate", "identity") / "records.parquet", "value", "penalty")
    said = mribench("verify", results / "bad", "--kind", "evaluate")
    assert said.code == 1
    text = flat(said.out)
    assert "2 of 4 done jobs verified: 1 same, 1 differs;" in text
    assert re.search(r"differs: identity/denoise/\S+: records.parquet: 1 of 1 rows differ, most by 1.5", text)
    assert mribench("verify", results / "bad", "--kind", "evaluate", "--tolerance", 2).code == 0


def test_contradictions_are_found_outside_the_sample(mribench: Mribench, results: Path) -> None:
    folder = a_job(results, "pretrain")
    specification = json.loads((folder / "job.json").read_text())
    specification["payload"]["pretrain"]["steps"] = 1000
    (folder / "job.json").write_text(json.dumps(specification))
    said = mribench("verify", results / "bad", "--kind", "evaluate", "--only", "identity/*")
    assert said.code == 1
    text = flat(said.out)
    assert "inconsistent: seqinv/pretrain/seed0: job.json was changed" in text
    assert "1 same; files of all done jobs: 1 of them contradict themselves." in text


@pytest.mark.parametrize("column", ["value", "penalty"])
def test_what_is_reported_is_not_what_was_measured(mribench: Mribench, results: Path, column: str) -> None:
    spoil(a_job(results, "evaluate", "frozen") / "records.parquet", column)
    said = mribench("verify", results / "bad", "--kind", "evaluate", "--only", "identity/*")
    assert said.code == 1
    assert "are ok and count something else than their value" in flat(said.out)
    assert "files of all done jobs: 1 of them contradict themselves." in flat(said.out)


@pytest.mark.parametrize("text", ["{", '{"state": "great"}'])
@pytest.mark.parametrize("kind", ["evaluate", ""])
def test_damaged_states_are_named_though_nothing_else_is_done(
    mribench: Mribench, results: Path, text: str, kind: str
) -> None:
    folders = [
        folder
        for folder in (results / "bad/jobs").iterdir()
        if kind in json.loads((folder / "job.json").read_text())["kind"]
    ]
    for folder in folders:
        (folder / "status.json").write_text(text)
    said = mribench("verify", results / "bad", *(("--kind", kind) if kind else ()))
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    for folder in folders:
        assert str(folder / "status.json") in said.out
    end = f"0 of {COUNT - len(folders)} done jobs verified; files of all done jobs: consistent; jobs whose"
    assert f"{end} state cannot be read: {len(folders)}." in flat(said.out)


@pytest.mark.parametrize("name", ["data", "profile", "subjects", "task"])
def test_a_payload_that_lacks_a_key(mribench: Mribench, results: Path, name: str) -> None:
    path = a_job(results, "evaluate", "identity") / "job.json"
    specification = json.loads(path.read_text())
    del specification["payload"][name]
    path.write_text(json.dumps(specification))
    said = mribench("verify", results / "bad", "--kind", "evaluate", "--only", "identity/*")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    for outcome in ("inconsistent", "not rerun"):
        line = next(text for text in said.out.splitlines() if text.startswith(f"{outcome}: identity/"))
        assert f"{path} is not the specification of a job: payload.{name} is missing" in line


def test_control_characters_of_edited_files_are_spelled_out(mribench: Mribench, results: Path) -> None:
    folder = a_job(results, "evaluate", "identity")
    table = pq.read_table(folder / "records.parquet")
    rows = [{**row, "subject": "\x1b[31mred\x07", "value": 7.0} for row in table.to_pylist()]
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), folder / "records.parquet")
    (plan,) = (results / "bad/plans").glob("*.json")
    name = json.loads((folder / "job.json").read_text())["id"]
    plan.write_text(plan.read_text().replace(json.dumps(name), json.dumps(f"{name}\x1b]0;[red]\x9b")))
    said = mribench("verify", results / "bad", "--kind", "evaluate")
    assert said.code == 1
    assert not {"\x1b", "\x9b", "\x07"} & set(said.out + said.err)
    assert "rows of \\x1b[31mred\\x07, who was not asked for" in flat(said.out)
    assert f"differs: {name}\\x1b]0;[red]\\x9b" in flat(said.out)
    said = mribench("verify", results / "bad", "--only", "x/*")
    assert "\x1b" not in said.hint


def test_data_that_are_gone(mribench: Mribench, finished: tuple[Path, Path], results: Path) -> None:
    folder = a_job(results, "evaluate", "identity")
    specification = json.loads((folder / "job.json").read_text())
    specification["payload"]["data"]["root"] = "nowhere/at/all"
    (folder / "job.json").write_text(json.dumps(specification))
    said = mribench("verify", results / "bad", "--only", "identity/*")
    assert said.code == 1
    assert re.search(r"not rerun: identity/\S+: data ixi: .*nowhere/at/all", flat(said.out))
    assert "1 of 4 done jobs verified: 1 not rerun" in flat(said.out)


@pytest.mark.parametrize("name", ["store.json", "plans/*.json"])
def test_a_foreign_schema_is_refused(mribench: Mribench, results: Path, name: str) -> None:
    (path,) = (results / "bad").glob(name)
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 9'))
    refused(mribench("verify", results / "bad"), "of schema version 9, this mribench reads", None)


def test_wrong_use(mribench: Mribench, finished: tuple[Path, Path], results: Path, tmp_path: Path) -> None:
    file, where = finished
    refused(mribench("verify", where), "holds no results", "give one benchmark's folder: bad")
    refused(mribench("verify", where / "bad", "--set", "seeds=[1]"), "--set goes with a benchmark FILE", None)
    refused(mribench("verify", where / "bad", "--only", "x/*"), "no done job has such a name", "for example")
    refused(
        mribench("verify", file, "--results", where, "--set", "seeds=[7]"), "no run with these settings", None
    )
    refused(mribench("verify", tmp_path / "none.yaml"), "none.yaml", None)
    assert mribench("verify", where / "bad", "--sample", 0).code == 2
    for tolerance in ("nan", "inf", "-inf", "-1", "1e999"):
        said = mribench("verify", where / "bad", "--tolerance", tolerance)
        refused(said, "--tolerance: expected a finite number ≥ 0, got ", "leave it out")
    assert mribench("verify", where / "bad", "--tolerance", "some").code == 2
    for status in (results / "bad/jobs").glob("*/status.json"):
        status.unlink()
    refused(mribench("verify", results / "bad"), "is done", "mribench run FILE")


def test_the_help_names_every_kind_of_job() -> None:
    assert set(KINDS) <= set(_KINDS)


# why a job runs again


def test_why_says_what_changed_down_to_the_key(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    file, results = finished
    sets = ("--set", "defaults.pretrain.lr=0.005", "--set", "tasks.denoise.adapt.batch_size=1")
    said = mribench("plan", file, "--results", results, *sets, "--why")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert "seqinv/pretrain/seed0: pretrain.lr 0.001 → 0.005" in lines
    adapt = "seqinv/frozen/denoise/T1w/100%/seed0"
    (line,) = [text for text in lines if text.startswith(f"{adapt}: ")]
    assert line == (
        f"{adapt}: adapt.batch_size 2 → 1; a job that it builds on: seqinv/pretrain/seed0"
        " (pretrain.lr 0.001 → 0.005)"
    )
    assert lines[-1] == "4 jobs that match: 4 stale", "identity is scored with options of adapt too"


def test_why_of_some_jobs(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    file, results = finished
    options = ("plan", file, "--results", results)
    said = mribench(*options, "--set", "seeds=[0, 1]", "--why", "*/pretrain/*")
    assert said.out.splitlines()[-1] == "2 jobs that match: 1 done, 1 never run"
    assert "stale" not in said.out
    refused(mribench(*options, "--why", "nothing"), "--why nothing: no job has such a name", None)


def test_why_before_the_file_is_every_job_of_it(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    file, results = finished
    said = mribench("plan", "--why", file, "--results", results)
    assert said.code == 0, said
    assert said.out == mribench("plan", file, "--why", "--results", results).out
    assert said.out.splitlines()[-1] == f"{COUNT} jobs that match: {COUNT} done"
    for arguments in (["--why"], ["--why", "identity/*"], ["--jobs"]):
        said = mribench("plan", *arguments)
        assert said.code == 2
        assert "Missing argument 'FILE'" in said.err


def test_why_names_changed_files(
    mribench: Mribench, finished: tuple[Path, Path], cohorts: Path, tmp_path: Path
) -> None:
    import nibabel as nib

    file, results = finished
    copy = Path(shutil.copytree(cohorts / "ixi", tmp_path / "ixi"))
    scan = next(copy.rglob("*IXI*T1*.nii*"))
    image = nib.load(scan)
    nib.save(nib.Nifti1Image(image.get_fdata(dtype="float32") * 1.01, image.affine), scan)
    moved = tmp_path / "bad.yaml"
    moved.write_text(file.read_text().replace(str(cohorts / "ixi"), str(copy)))
    said = mribench("plan", moved, "--results", results, "--why")
    assert re.search(r"^\S+: files of subject \S*IXI\d+", said.out, re.MULTILINE), said.out
    assert "data" not in "".join(line for line in said.out.splitlines() if line.startswith("stale"))


def test_why_tells_a_failure(mribench: Mribench, finished: tuple[Path, Path], results: Path) -> None:
    path = a_job(results, "pretrain") / "status.json"
    status = json.loads(path.read_text()) | {"state": "failed", "reason": "out of memory"}
    path.write_text(json.dumps(status))
    said = mribench("plan", finished[0], "--results", results, "--why")
    assert "seqinv/pretrain/seed0: failed before: out of memory" in said.out.splitlines()
