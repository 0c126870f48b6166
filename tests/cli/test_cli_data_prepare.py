"""``mribench data prepare``."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from support_cli import refused

from mribench import cli
from mribench.results.records import JOB_SCHEMA, read_tables

SUMMARY = re.compile(
    r"(\d+) volumes prepared, (\d+) already there, (\d+) rebuilt, (\d+) failed; (\S+) GB of (\S+) GB in (\S+)"
)
VOLUMES = 3 + 3  # maps of two training subjects and one held out; T1w of two training subjects and one test


@pytest.fixture(autouse=True)
def volumes(tmp_path, monkeypatch) -> Path:
    """The folder of the store, apart from other tests'."""
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "volumes"


def counted(said) -> tuple[int, ...]:
    found = SUMMARY.search(said.out)
    assert found, said
    return tuple(int(group) for group in found.groups()[:4])


def arrays(volumes: Path) -> list[Path]:
    return sorted(volumes.glob("??/*/*.npy"))


def test_every_scan_of_the_file_is_prepared_once(mribench, file, volumes):
    said = mribench("data", "prepare", file, "--jobs", 1)
    assert said.code == 0, said
    assert counted(said) == (VOLUMES, 0, 0, 0)
    assert str(volumes) in said.out
    made = [json.loads(path.read_text())["body"]["made_of"] for path in volumes.glob("??/*/meta.json")]
    assert sorted(entry["what"] for entry in made) == ["image"] * 3 + ["maps"] * 3
    assert {entry["spacing_mm"] for entry in made} == {8.0}
    assert {entry["sequence"] for entry in made if entry["what"] == "image"} == {"T1w"}
    times = {path: path.stat().st_mtime_ns for path in arrays(volumes)}
    assert counted(mribench("data", "prepare", file)) == (0, VOLUMES, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in arrays(volumes)} == times


def test_labels_too(mribench, file, volumes):
    task = "{name: tissue-segmentation, decoder: {name: unet, features: [4], dropout: 0}}"
    said = mribench("data", "prepare", file, "--set", f"tasks.denoise.task={task}", "--jobs", 1)
    assert said.code == 0, said
    assert counted(said) == (VOLUMES + 3, 0, 0, 0)
    # another task on the same images: they are there, and need no label
    assert counted(mribench("data", "prepare", file, "--jobs", 1)) == (0, VOLUMES, 0, 0)


def test_a_run_reads_what_was_prepared_and_nothing_else(mribench, file, volumes, tmp_path):
    assert mribench("data", "prepare", file, "--jobs", 1).code == 0
    before = {path: path.stat().st_mtime_ns for path in arrays(volumes)}
    results = tmp_path / "results"
    assert mribench("run", file, "--results", results, "--executor", "inline").code == 0
    assert {path: path.stat().st_mtime_ns for path in arrays(volumes)} == before
    rows = read_tables(results.glob("bad/jobs/*/job.parquet"), JOB_SCHEMA)
    assert set(rows["kind"]) >= {"pretrain", "adapt", "evaluate"}
    for column in ("clipped_vox", "repaired_vox"):
        assert rows[column].notna().all(), f"{column} of every job"
        assert (rows[column] >= 0).all()


def test_several_processes(mribench, file, volumes, monkeypatch):
    from mribench.commands import data_prepare

    monkeypatch.setattr(data_prepare, "_WORTH_A_PROCESS", 2)
    said = mribench("data", "prepare", file, "--jobs", 2)
    assert said.code == 0, said
    assert counted(said) == (VOLUMES, 0, 0, 0)
    assert counted(mribench("data", "prepare", file, "--jobs", 1, "--verify")) == (0, VOLUMES, 0, 0)


def test_damage_is_mended(mribench, file, volumes):
    mribench("data", "prepare", file, "--jobs", 1)
    gone, flipped, _, unseen = arrays(volumes)[:4]
    gone.unlink()
    for path in (flipped, unseen):
        status, content = path.stat(), bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        if path == unseen:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    damaged = {path.parent for path in (gone, flipped)}
    only_by_checksum = {unseen.parent} - damaged
    rebuilt = counted(mribench("data", "prepare", file, "--jobs", 1))
    assert rebuilt == (0, VOLUMES - len(damaged), len(damaged), 0)
    rebuilt = counted(mribench("data", "prepare", file, "--jobs", 1, "--verify"))
    assert rebuilt == (0, VOLUMES - len(only_by_checksum), len(only_by_checksum), 0)
    assert counted(mribench("data", "prepare", file, "--jobs", 1, "--verify")) == (0, VOLUMES, 0, 0)


def test_a_scan_that_fails_is_named_and_the_others_are_prepared(mribench, damaged, volumes, monkeypatch):
    from mribench.data import prepare
    from mribench.errors import DataError

    path, _ = damaged("ixi", lambda folder: None)
    real = prepare.zscore
    calls = []

    def once(image):
        calls.append(1)
        if len(calls) == 1:
            raise DataError("the file is gone since the plan was made")
        return real(image)

    monkeypatch.setattr(prepare, "zscore", once)
    said = mribench("data", "prepare", path, "--jobs", 1)
    assert said.code == 1
    assert counted(said) == (VOLUMES - 1, 0, 0, 1)
    assert "failed: IXI:" in said.err or re.search(r"failed: \S+: the file is gone", said.err)
    assert "Traceback" not in said.err


def test_a_broken_file_is_left_out_by_name(mribench, damaged):
    def cut(folder: Path) -> None:
        image = next(folder.rglob("*T1*.nii.gz"))
        image.write_bytes(image.read_bytes()[:300])

    path, folder = damaged("ixi", cut)
    said = mribench("data", "prepare", path, "--jobs", 1)
    assert said.code == 0
    assert f"data.scans: IXI001: a scan is left out, it cannot be used: {folder}" in said.err
    assert counted(said) == (VOLUMES - 1, 0, 0, 0)


def test_missing_data_are_told(mribench, damaged, volumes):
    path, _ = damaged("ixi", shutil.rmtree)
    said = mribench("data", "prepare", path, "--jobs", 1)
    assert said.code == 1
    assert "waiting for data.scans: " in said.err
    assert counted(said) == (3, 0, 0, 0)


def test_what_has_no_room_is_told(mribench, file, volumes, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE_GB", "0.0003")
    said = mribench("data", "prepare", file, "--jobs", 1)
    assert said.code == 1
    assert re.search(r"not kept: [1-6] volumes; the cache takes at most 0\.0003 GB", said.err)
    assert sum(path.stat().st_size for path in volumes.rglob("*") if path.is_file()) <= 300_000


def test_clean(mribench, file, volumes):
    mribench("data", "prepare", file, "--jobs", 1)
    digests = volumes.parent / "files"
    assert digests.is_dir()
    said = mribench("data", "prepare", "--clean")
    assert said.code == 0
    assert re.fullmatch(rf"removing {VOLUMES} prepared volumes, 0\.\d+ GB, from {volumes}\n", said.out)
    assert not volumes.exists()
    assert digests.is_dir(), "nothing else is removed"
    again = mribench("data", "prepare", "--clean")
    assert (again.code, again.out) == (0, f"removing 0 prepared volumes, 0.000 GB, from {volumes}\n")


def test_wrong_use(mribench, tmp_path, monkeypatch, file):
    said = mribench("data", "prepare")
    assert said.code == 2
    assert "Missing argument 'FILE'" in said.err
    refused(mribench("data", "prepare", tmp_path / "no.yaml"), "no.yaml", None)
    refused(mribench("data", "prepare", file, "--set", "tasks.denoise.data=nobody"), "nobody", None)
    assert mribench("data", "prepare", file, "--jobs", 0).code == 2
    for more in ((file,), ("--verify",), ("--set", "a=b"), ("--jobs", 2)):
        said = mribench("data", "prepare", "--clean", *more)
        assert (said.code, said.out) == (2, "")
        assert "--clean" in said.err
    said = mribench("data", "prepare", tmp_path)
    assert said.code == 2
    assert "is a directory" in said.err
    monkeypatch.setenv("MRIBENCH_CACHE_GB", "plenty")
    refused(mribench("data", "prepare", file), "MRIBENCH_CACHE_GB is 'plenty'", "unset")


def test_help_has_examples(mribench):
    said = mribench("data", "prepare", "--help")
    assert said.code == 0
    assert "mribench data prepare benchmarks/quickstart.yaml" in said.out
    assert "prepare" in cli.cli.get_command(None, "data").list_commands(None)  # type: ignore[arg-type, union-attr]
