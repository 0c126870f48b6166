"""Whole runs of the tiny benchmark, for tests: started, called, waited for, and what they left."""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from synthetic_results import raw_scores

from mribench import cli
from mribench.results.records import JOB_SCHEMA, read_tables

COUNT = 27  # 1 pretrain; tissue 3 adapt + 12 evaluate; denoise 3 adapt + 6 evaluate + 2 identity
TINY = Path(__file__).parent / "benchmarks" / "tiny.yaml"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mribench", *map(str, arguments)]


def run(results: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tiny benchmark in a process of its own."""
    return subprocess.run(
        command("run", TINY, "--results", results, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def called(*words: object) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process, which has torch already; jobs have their own all the same."""
    arguments = [*map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["mribench", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out.getvalue(), err.getvalue())


def run_here(results: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tiny benchmark from this process, where the command's own process is not what is tested."""
    return called("run", TINY, "--results", results, *arguments)


def executed(result: subprocess.CompletedProcess[str] | str) -> int:
    text = result if isinstance(result, str) else result.stdout
    found = re.search(r"(\d+) jobs executed", text)
    assert found, text
    return int(found[1])


def scores(results: Path) -> pd.DataFrame:
    """Return all score rows, in an order of their own."""
    frame = raw_scores(results / "tiny")
    keys = [name for name in frame.columns if name not in ("value", "penalty")]
    return frame.sort_values(keys, ignore_index=True)


def jobs(results: Path) -> pd.DataFrame:
    return read_tables(sorted(results.glob("tiny/jobs/*/job.parquet")), JOB_SCHEMA).set_index("id")


def states(results: Path) -> list[str]:
    files = results.glob("tiny/jobs/*/status.json")
    return [json.loads(path.read_text())["state"] for path in files]


def job_runs(results: Path) -> bool:
    """Whether a job runs and hears signals: its lease is there before it does, its status only then."""
    return "running" in states(results)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)


def start(results: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the tiny benchmark, in a group of its own as a terminal does."""
    return subprocess.Popen(
        command("run", TINY, "--results", results, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # who runs the tests under nohup has the hang-up ignored, and so would the run
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
