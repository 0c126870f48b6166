"""Whole runs that somebody stops: what is done is kept, and nothing is said that is no defect."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny_runs import TINY, command, job_runs, jobs, run_here, start, states, wait_until


def test_interrupt_keeps_a_checkpoint_and_goes_on(tmp_path: Path) -> None:
    options = ("--only", "*/pretrain/*", "--set", "defaults.pretrain.steps=300")
    process = subprocess.Popen(
        command("run", TINY, "--results", tmp_path, *options),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: job_runs(tmp_path), "a job runs")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "nothing is lost" in errors
    assert states(tmp_path) == ["interrupted"]
    assert len(list(tmp_path.glob("tiny/jobs/*/checkpoint.safetensors"))) == 1
    resumed = run_here(tmp_path, *options)
    assert resumed.returncode == 0
    whole = tmp_path / "whole"
    assert run_here(whole, *options).returncode == 0
    assert jobs(tmp_path).encoder_digest_after.tolist() == jobs(whole).encoder_digest_after.tolist()


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_whole_run(tmp_path: Path, executor: str, number: signal.Signals) -> None:
    """As a queueing system sends them: to the run, its server and its jobs at once."""
    process = start(
        tmp_path, "--executor", executor, "--jobs", 1,
        "--set", "defaults.pretrain.steps=4000", "--set", "reference_arms=[]",
    )  # fmt: skip
    wait_until(lambda: job_runs(tmp_path), "a job runs")
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}; nothing is lost" in errors
    assert f"stopped by {number.name}: 0 jobs executed" in output
    assert "17 left to do" in output
    assert "Traceback" not in errors
    assert states(tmp_path) == ["interrupted"], "no other job was begun"


@pytest.mark.parametrize("delay_s", [0.2, 0.7, 1.5])
def test_interrupt_in_the_first_seconds_shows_no_traceback(tmp_path: Path, delay_s: float) -> None:
    process = start(tmp_path)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors, errors


@pytest.mark.parametrize("delay_s", [0.2, 1.0])
def test_interrupt_at_the_start_is_no_defect(tmp_path: Path, delay_s: float) -> None:
    """The terminal interrupts the whole group: the run, and the server that is still importing."""
    process = subprocess.Popen(
        command("run", TINY, "--results", tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: any(tmp_path.glob("tiny/jobs/*/job.json")), "the first job is asked for")
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors, errors
