"""``status``, ``cancel``, ``retry``, ``clean``, and runs that are limited, collected or called off."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support_cli import contents

from mribench.commands.run import _describe_time
from mribench.execute.watcher import Summary
from mribench.interfaces.executor import Cause
from mribench.results import Lease
from mribench.results.status import JobStatus, write_status


def folder_of(results: Path, kind: str) -> Path:
    folders = sorted((results / "bad" / "jobs").iterdir())
    return next(f for f in folders if json.loads((f / "job.json").read_text())["kind"] == kind)


def fail(results: Path, kind: str = "evaluate") -> Path:
    folder = folder_of(results, kind)
    write_status(folder, JobStatus("failed", "no such thing", "Traceback: here", Cause.BUG))
    return folder


def test_status_counts_by_kind_and_says_when_it_ends(mribench, results):
    said = mribench("status", results / "bad").out
    assert re.search(r"pretrain\s*│\s*1 of 1 │", said)
    assert said.splitlines()[-1] == "4 of 4 done"
    folder = folder_of(results, "pretrain")
    lease = Lease.acquire(folder)
    write_status(folder, JobStatus("running"))
    lease.beat(31, 58, 2.5)
    said = mribench("status", results / "bad").out
    assert "seqinv/pretrain/seed0: 31 of 58 steps, 2.5 steps/s" in said
    assert "about 11 s left, heartbeat 0 s ago, on " in said
    assert re.search(r"3 of 4 done, 1 running; about \d+ s left, until \w{3} \d\d:\d\d", said)
    lease.release()
    said = mribench("status", results / "bad").out
    assert "interrupted [infrastructure]: seqinv/pretrain/seed0: its process died" in said


def test_status_says_when_nothing_tells_the_time(mribench, results):
    folder = folder_of(results, "pretrain")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    said = mribench("status", results / "bad").out
    assert "3 of 4 done, 1 to do; time left: unknown until one job of each kind is done" in said


def test_status_watches_until_interrupted(finished):
    command = [sys.executable, "-m", "mribench", "status", str(finished[1] / "bad"), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        for _ in range(2):
            assert any("4 of 4 done" in line for line in iter(watching.stdout.readline, ""))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0


def test_a_failed_job_is_shown_and_retried_by_the_next_run(mribench, finished, results):
    folder = fail(results)
    said = mribench("status", results / "bad", "--failed")
    assert said.code == 1
    assert "failed [bug]: " in said.out
    assert "Traceback: here" in said.out
    wrong = mribench("retry", results / "bad", "identity/denoise")
    assert (wrong.code, "no job in" in wrong.err, "did you mean" in wrong.err) == (2, True, True)
    assert "1 job to do again" in mribench("retry", results / "bad", "*").out
    assert not (folder / "status.json").exists()
    assert "0 jobs to do again" in mribench("retry", results / "bad", "*").out


def test_collect_shows_what_is_there_and_runs_nothing(mribench, finished, results):
    fail(results)
    before = contents(results / "bad" / "jobs")
    said = mribench("run", finished[0], "--results", results, "--collect")
    assert said.code == 1
    assert "denoise" in said.out
    assert "4 jobs: 3 done, 1 failed; nothing was run" in said.out
    assert contents(results / "bad" / "jobs") == before


def test_how_a_file_is_run_is_in_no_key(mribench, finished, results):
    plans = len(list((results / "bad/plans").iterdir()))
    changes = ("executor=inline", "threads=2", "max_runtime=3h", "checkpoint_every=5m")
    sets = [word for change in changes for word in ("--set", f"execution.{change}")]
    said = mribench("run", finished[0], "--results", results, *sets)
    assert "0 jobs executed (0), 4 done before" in said.out, said.err
    assert len(list((results / "bad/plans").iterdir())) == plans, "they are the same settings"


def test_clean_lists_first_and_deletes_what_no_result_needs(mribench, finished, results):
    assert "0 items, 0 B would be deleted" in mribench("clean", results / "bad").out
    failed = fail(results)
    done = folder_of(results, "pretrain")
    (done / "checkpoint.safetensors").write_bytes(bytes(1500))
    stale = results / "bad" / "jobs" / ("0" * 32)
    stale.mkdir()
    write_status(stale, JobStatus("done"))
    held = results / "bad" / "jobs" / ("1" * 32)
    held.mkdir()
    lease = Lease.acquire(held)
    half, fresh = done / ".job.parquet.1234.tmp", done / ".job.parquet.5678.tmp"
    for path in (half, fresh):
        path.write_bytes(b"12")
    os.utime(half, (0, 0))
    before = contents(results)
    said = mribench("clean", results / "bad").out
    assert "checkpoints: 1 (1.5 kB)" in said
    assert "4 items" in said
    assert "--yes does it" in said
    assert contents(results) == before
    only = mribench("clean", results / "bad", "--what", "checkpoints", "--yes").out
    assert "deleted: 1 item, 1.5 kB" in only
    assert failed.exists()
    assert "deleted: 3 items" in mribench("clean", results / "bad", "--yes").out
    assert not any(path.exists() for path in (failed, stale, half))
    assert held.is_dir()
    assert fresh.exists()
    lease.release()
    assert mribench("run", finished[0], "--results", results, "--executor", "inline").code == 0


def test_old_plans_go_only_when_asked_for(mribench, finished, results):
    change = ("--set", "tasks.denoise.adapt.lr=2e-3")
    mribench("run", finished[0], "--results", results, "--collect", *change)
    assert len(list((results / "bad/plans").iterdir())) == 2
    assert "0 items" in mribench("clean", results / "bad").out
    said = mribench("clean", results / "bad", "--what", "plans", "--what", "stale", "--yes").out
    assert "plans: 1" in said
    assert "stale: 3" in said, "the adaptation and both evaluations"
    assert "1 of 4 done, 3 to do" in mribench("status", results / "bad").out


def begin(file: Path, results: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "mribench", "run", str(file), "--results", str(results), "--jobs", "1",
        "--only", "seqinv/*", "--set", "defaults.pretrain.steps=5000", *arguments,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(results: Path) -> None:
    """Wait until a job has taken its first steps."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for lease in results.glob("bad/jobs/*/lease.json"):
            if json.loads(lease.read_text() or "{}").get("total"):
                return
        time.sleep(0.1)
    raise AssertionError("no job began")


def test_cancel_stops_a_job_of_a_run_that_goes_on(mribench, file, tmp_path):
    results = tmp_path / "new"
    running = begin(file, results)
    wait_for_step(results)
    said = mribench("report", results / "bad")
    assert said.code == 0, "in the middle of a run"
    said = mribench("cancel", results / "bad", "seqinv/pretrain/*")
    assert "stops after its step: seqinv/pretrain/seed0" in said.out
    output, errors = running.communicate(timeout=120)
    assert running.returncode == 1, errors
    assert "interrupted: seqinv/pretrain/seed0: mribench cancel called it off" in output
    assert "2 not run because of those" in output
    assert len(list(results.glob("bad/jobs/*/checkpoint.safetensors"))) == 1
    assert "interrupted [cancelled]" in mribench("status", results / "bad").out


def test_a_job_beyond_its_time_keeps_its_checkpoint(file, tmp_path):
    results = tmp_path / "new"
    output, errors = begin(file, results, "--max-runtime", "3s").communicate(timeout=120)
    assert "it ran for more than --max-runtime 3 s" in output, errors
    assert len(list(results.glob("bad/jobs/*/checkpoint.safetensors"))) == 1


@pytest.mark.parametrize("text", ["", "soon", "3 weeks", "-1s", "0"])
def test_a_time_that_is_none(mribench, file, text):
    said = mribench("run", file, "--checkpoint-every", text)
    assert said.code == 2
    assert "--checkpoint-every" in said.err


def test_the_time_of_a_run_is_in_jobs_around_them_or_free() -> None:
    summary = Summary(wall_s=50.0, places=2, busy_s=80.0, work_s=60.0)
    assert _describe_time(summary) == (
        "where the time of 2 places went: 60 s (60 %) in jobs, 20 s (20 %) around them (start, queue,"
        " writing, failed attempts), 20 s (20 %) free"
    )
    said = _describe_time(replace(summary, work_s=100.5))
    assert "100 s (100 %) in jobs, 0 s (0 %) around" in said
