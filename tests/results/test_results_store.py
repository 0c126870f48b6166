"""The results directory: schema, permissions, status, atomic files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mribench.errors import StoreError
from mribench.interfaces.executor import Cause
from mribench.results import JobStatus, Lease, Store, read_json, replace_file, write_json
from mribench.results.status import DIED, write_status


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "results" / "bench")
    made.open()
    return made


def test_open_twice_keeps_everything(store: Store) -> None:
    write_json(store.make_directory("k") / "job.json", {"id": "a"})
    store.open()
    assert read_json(store.directory("k") / "job.json") == {"id": "a"}


def test_other_schema_is_refused_with_a_hint(store: Store) -> None:
    (store.root / "store.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(StoreError, match="schema version 99") as caught:
        store.open()
    assert "--results" in caught.value.hint


def test_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot make the results directory"):
        Store(tmp_path / "file" / "bench").open()


def test_status_follows_the_job(store: Store) -> None:
    directory = store.make_directory("k")
    assert store.status("k").state == "todo"
    lease = Lease.acquire(directory)
    assert lease is not None
    assert store.status("k").state == "running"
    write_status(directory, JobStatus("running"))
    assert store.status("k").state == "running"
    lease.release()
    assert store.status("k") == JobStatus("interrupted", DIED, cause=Cause.INFRASTRUCTURE)
    write_status(directory, JobStatus("interrupted", "stopped"))
    write_status(directory, JobStatus("failed", "because", "trace", hint="do this."))
    assert store.status("k") == JobStatus("failed", "because", "trace", hint="do this.")
    assert store.status("k").said == "because (do this)"
    assert not store.is_done("k")
    write_status(directory, JobStatus("done"))
    assert store.is_done("k")


def test_a_process_that_died_before_its_first_word_is_known_to_have_died(store: Store) -> None:
    directory = store.make_directory("k")
    subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import os, pathlib, sys; from mribench.results import Lease;"
                "Lease.acquire(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
            ),
            str(directory),
        ],
        check=False,
        timeout=60,
    )
    assert (directory / "lease.json").exists()
    assert not (directory / "status.json").exists()
    assert store.status("k") == JobStatus("interrupted", DIED, cause=Cause.INFRASTRUCTURE)


def test_unknown_job_is_to_do(store: Store) -> None:
    assert store.status("nobody").state == "todo"


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def half(temporary: Path) -> None:
        temporary.write_text("{")
        raise RuntimeError("killed in the middle")

    with pytest.raises(RuntimeError):
        replace_file(path, half)
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_full_disk_is_a_store_error(tmp_path: Path) -> None:
    def full(temporary: Path) -> None:
        temporary.touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        replace_file(tmp_path / "a", full)


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_damaged_json_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "status.json").write_text(content)
    with pytest.raises(StoreError, match=r"status\.json"):
        read_json(tmp_path / "status.json")


def test_missing_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"job\.json is not there"):
        read_json(tmp_path / "job.json")
