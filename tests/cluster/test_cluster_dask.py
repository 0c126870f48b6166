"""A benchmark through Dask workers that die: `make test-cluster` runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from cluster_lab import DONE_ALREADY, Lab
from slurm_cluster import PATIENCE_S

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")


@pytest.fixture
def workers() -> Iterator[distributed.LocalCluster]:
    """A cluster of somebody else's: two workers."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


def find_jobs(lab: Lab) -> list[psutil.Process]:
    """Return the processes of somebody's jobs that Dask workers have started."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            own = any(word.startswith(f"{lab.results.resolve()}/") for word in words)
            if own and "--until-eof" in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_rows_are_the_same_where_workers_die(
    workers: distributed.LocalCluster, cache: Path, expected: pd.DataFrame, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, cache)
    executor = f"dask:scheduler={workers.scheduler_address}"
    run = lab.start(executor)
    for enough in (2, 6):
        wait_until(lambda enough=enough: lab.statuses().count("done") >= enough and bool(find_jobs(lab)))
        victim = find_jobs(lab)[0]
        os.kill(victim.ppid(), signal.SIGKILL)
        # it has no worker any more: it stops by itself, after its next step
        psutil.wait_procs([victim], timeout=PATIENCE_S)
        assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
    said, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, said
    pd.testing.assert_frame_equal(lab.rows(), expected)
    _, said = lab.run(executor)
    assert DONE_ALREADY in said, said
    assert workers.status.name == "running", "somebody else's workers are left to them"
    assert not find_jobs(lab)


def start_part(folder: Path, part: str, *words: object) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker as its owner does: by Dask's command line."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{part}", "--no-dashboard", *map(str, words)]
    with (folder / f"{part}.txt").open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)


def test_a_scheduler_that_dies_is_waited_for(cache: Path, expected: pd.DataFrame, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    lab, address = Lab(tmp_path / "results", cache), f"tcp://127.0.0.1:{port}"
    scheduler = start_part(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", port)
    worker = start_part(tmp_path, "worker", address, "--nthreads", 1, "--no-nanny")
    try:
        run = lab.start(f"dask:scheduler={address}")
        wait_until(lambda: lab.statuses().count("done") >= 2 and bool(find_jobs(lab)))
        scheduler.kill()
        scheduler.wait()
        worker.wait(60)
        scheduler = start_part(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", port)
        worker = start_part(tmp_path, "worker", address, "--nthreads", 1, "--no-nanny")
        said, _ = run.communicate(timeout=900)
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
    assert run.returncode == 0, said
    pd.testing.assert_frame_equal(lab.rows(), expected)


def test_interrupting_ends_the_jobs_and_the_next_run_goes_on(
    cache: Path, expected: pd.DataFrame, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, cache)
    run = lab.start("dask")
    wait_until(lambda: "running" in lab.statuses() and lab.statuses().count("done") >= 1)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130, said
    assert not find_jobs(lab), "no job outlives it"
    code, said = lab.run("dask")
    assert code == 0, said
    pd.testing.assert_frame_equal(lab.rows(), expected)


def test_a_scheduler_that_is_not_there_is_said(cache: Path, tmp_path: Path) -> None:
    code, said = Lab(tmp_path, cache).run("dask:scheduler=tcp://127.0.0.1:9")
    assert code == 2, said
    assert "no scheduler answers at tcp://127.0.0.1:9" in said, said
