"""What writers that died left is deleted, and nothing of those who live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mribench.results import JobStatus, Lease, Store, replace_file
from mribench.results.lease import LEASE, STALE_S
from mribench.results.status import write_status
from mribench.results.store import CHECKPOINT
from mribench.results.sweep import find_hidden, sweep


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "bench")
    made.open()
    return made


def leave(path: Path, age_s: float) -> Path:
    """Leave a file that was written some time ago."""
    path.write_text("{")
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("name", [".job.json.0123abcd.tmp", ".slurm.json.tmp", ".lease.0123.now"])
@pytest.mark.parametrize("place", ["", "plans", "jobs/k"])
def test_a_hidden_file_is_swept_when_it_is_old(store: Store, place: str, name: str) -> None:
    store.make_directory("k")
    old, young = leave(store.root / place / name, 2 * STALE_S), store.root / place / f".x{name}"
    leave(young, STALE_S / 2)
    assert list(find_hidden(store.root)) == [old]
    sweep(store)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_writer_that_was_swept_while_it_was_frozen_writes_again(store: Store) -> None:
    swept: list[Path] = []

    def write(temporary: Path) -> None:
        temporary.write_text("whole")
        if not swept:
            leave(temporary, 2 * STALE_S)
            sweep(store)
            swept.append(temporary)
            assert not temporary.exists()

    replace_file(store.root / "plans" / "a.json", write)
    assert (store.root / "plans" / "a.json").read_text() == "whole"


def test_a_job_that_died_after_it_was_done_leaves_nothing(store: Store) -> None:
    """Its process is killed between the word that it is done and the end of its lease."""
    directory = store.make_directory("k")
    code = (
        "import os, signal, sys; from pathlib import Path; from mribench.results import Lease, JobStatus;"
        "from mribench.results.status import write_status; folder = Path(sys.argv[1]);"
        "lease = Lease.acquire(folder); (folder / 'checkpoint.safetensors').write_bytes(b'x');"
        "write_status(folder, JobStatus('done'), lease.attempt.replace); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, directory], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {LEASE, CHECKPOINT} < {path.name for path in directory.iterdir()}
    sweep(store)
    assert [path.name for path in directory.iterdir()] == ["status.json"]
    assert store.is_done("k")


@pytest.mark.parametrize(("age_s", "swept"), [(2 * STALE_S, True), (STALE_S / 2, False)])
def test_an_heir_of_a_lease_that_is_gone_goes(store: Store, age_s: float, swept: bool) -> None:
    directory = store.make_directory("k")
    write_status(directory, JobStatus("done"))
    heir = leave(directory / ".lease.0123.heir", age_s)
    sweep(store)
    assert heir.exists() != swept
    assert not (directory / LEASE).exists()


@pytest.mark.parametrize("state", ["done", "running"])
def test_what_a_living_process_needs_is_left(store: Store, state: str) -> None:
    directory = store.make_directory("k")
    lease = Lease.acquire(directory)
    assert lease is not None
    (directory / CHECKPOINT).write_bytes(b"x")
    write_status(directory, JobStatus("done" if state == "done" else "running"), lease.attempt.replace)
    before = sorted(directory.rglob("*"))
    sweep(store)
    assert sorted(directory.rglob("*")) == before
    assert lease.owned()


def test_a_checkpoint_of_a_job_that_is_not_done_is_left(store: Store) -> None:
    directory = store.make_directory("k")
    (directory / CHECKPOINT).write_bytes(b"x")
    write_status(directory, JobStatus("interrupted"))
    sweep(store)
    assert (directory / CHECKPOINT).exists()


def test_a_folder_that_was_half_deleted_goes(store: Store) -> None:
    grave = store.root / "jobs" / ".k.deleted"
    grave.mkdir()
    (grave / "records.parquet").write_bytes(b"x")
    then = grave.stat().st_mtime - 2 * STALE_S
    os.utime(grave, (then, then))
    sweep(store)
    assert not grave.exists()
