"""``mribench verify`` and ``mribench plan --why``: what they say, and how they end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support_cli import Mribench, contents, refused

from mribench.cli.verify import _KINDS
from mribench.verify import KINDS

COUNT = 4  # 1 pretrain, 1 adapt, 2 evaluate: the method and identity


def flat(text: str) -> str:
    return " ".join(text.split())


def a_job(results: Path, kind: str, part: str = "") -> Path:
    for folder in (results / "bad/jobs").iterdir():
        specification = json.loads((folder / "job.json").read_text())
        if specification["kind"] == kind and part in specification["id"]:
            return folder
    raise AssertionError(kind)


def spoil(path: Path) -> None:
    """Change the first value of the score rows."""
    rows = pq.read_table(path)
    values = rows.to_pylist()
    values[0]["value"] += 1.5
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
    spoil(a_job(results, "evaluate", "identity") / "records.parquet")
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
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 9'))
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
    assert mribench("verify", where / "bad", "--tolerance", -1).code == 2
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
    adapt = "seqinv/frozen/denoise/T1w/100%/subset0/seed0"
    (line,) = [text for text in lines if text.startswith(f"{adapt}: ")]
    assert line == (
        f"{adapt}: adapt.batch_size 2 → 1; a job that it builds on: seqinv/pretrain/seed0"
        " (pretrain.lr 0.001 → 0.005)"
    )
    assert lines[-1] == "4 job(s) match: 4 stale", "identity is scored with options of adapt too"


def test_why_of_some_jobs(mribench: Mribench, finished: tuple[Path, Path]) -> None:
    file, results = finished
    options = ("plan", file, "--results", results)
    said = mribench(*options, "--set", "seeds=[0, 1]", "--why", "*/pretrain/*")
    assert said.out.splitlines()[-1] == "2 job(s) match: 1 done, 1 never run"
    assert "stale" not in said.out
    refused(mribench(*options, "--why", "nothing"), "--why nothing: no job has such a name", None)


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
