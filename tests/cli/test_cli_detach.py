"""``run --detach``: a run apart from its terminal, one of a folder, with others beside it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil


def run(file: Path, results: Path, *arguments: str) -> tuple[int, str]:
    """Run a benchmark from a terminal that is closed afterwards."""
    command = [
        sys.executable, "-m", "mribench", "run", str(file), "--results", str(results), "--executor", "inline",
        "--set", "defaults.pretrain.steps=5000", *arguments,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said, _ = process.communicate(timeout=300)
    with contextlib.suppress(ProcessLookupError):  # nothing is left of it
        os.killpg(process.pid, signal.SIGHUP)
    return process.returncode, said


def test_a_run_in_the_background_is_apart_and_one_of_its_folder(mribench, file, tmp_path):
    results = tmp_path / "new"
    code, said = run(file, results, "--detach")
    assert code == 0, said
    number = re.search(r"in the background: process (\d+); what it says goes to (.+)", said)
    assert number, said
    process, output = psutil.Process(int(number[1])), Path(number[2])
    assert os.getsid(process.pid) == process.pid, "no terminal ends it"
    said = mribench("run", file, "--results", results, "--detach")
    assert said.code == 2
    assert f"is in the background already: process {process.pid} on " in said.err
    assert f"in the background: process {process.pid}" in mribench("status", results / "bad").out

    code, said = run(file, results, "--only", "identity/*")
    assert "1 jobs executed (1 evaluate), 0 done before" in said, "it works beside that one"
    assert process.is_running()

    process.terminate()
    process.wait(120)
    assert "stopped by SIGTERM: 0 jobs executed" in output.read_text()
    assert len(list(results.glob("bad/jobs/*/checkpoint.safetensors"))) == 1
    assert "in the background" not in mribench("status", results / "bad").out


def test_what_is_wrong_is_said_in_the_terminal(mribench, file, tmp_path):
    code, said = run(file, tmp_path / "new", "--detach", "--only", "nothing")
    assert code == 2
    assert "error: --only nothing: no job has such a name" in said
    said = mribench("run", file, "--results", tmp_path / "new", "--detach", "--dry-run")
    assert (said.code, "that runs nothing" in said.err) == (2, True)
