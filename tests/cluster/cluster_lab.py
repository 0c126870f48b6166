"""Somebody who runs the tiny benchmark on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from slurm_cluster import PATIENCE_S

from mribench.results.lease import read_lease
from mribench.results.load import load_run

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
SMALLEST = ("--set", "arms=[frozen]", "--set", "reference_arms=[identity]")
"""Of the tiny benchmark: eleven jobs, each kind, and one that needs another that needs another."""

DONE_ALREADY = "0 jobs executed (0)"
"""What the second run of a benchmark says."""
_started: list[subprocess.Popen[str]] = []


def end_what_is_left() -> None:
    """End the runs that a test that failed has left behind."""
    while _started:
        run = _started.pop()
        run.kill()
        run.wait()
        if run.stdout:
            run.stdout.close()


class Lab:
    """Somebody who runs a benchmark.

    Args:
        results: where results go, of nothing else.
        cache: of prepared volumes, shared.
        options: of `mribench run`.
        file: the benchmark; as much of the tiny one as shows what is to be seen when None.
        environment: variables beside those that are there.
    """

    def __init__(
        self,
        results: Path,
        cache: Path,
        *options: str,
        file: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.results = results
        self._words = [str(file), *options] if file else [str(TINY), *SMALLEST, *options]
        own = {"MRIBENCH_CACHE": str(cache), "COLUMNS": "200"}
        self.environment = {**os.environ, **(environment or {}), **own}

    def start(self, executor: str) -> subprocess.Popen[str]:
        part = ["--executor", executor, "--results", str(self.results)]
        run = subprocess.Popen(
            [sys.executable, "-m", "mribench", "run", *self._words, *part],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _started.append(run)
        return run

    def run(self, executor: str, timeout_s: float = PATIENCE_S) -> tuple[int, str]:
        process = self.start(executor)
        said, _ = process.communicate(timeout=timeout_s)
        return process.returncode, said

    def status(self) -> str:
        """Return what `mribench status` says."""
        command = [sys.executable, "-m", "mribench", "status", str(self.folder())]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def folder(self) -> Path:
        """Return the folder of the benchmark's results."""
        (marker,) = self.results.glob("*/store.json")
        return marker.parent

    def statuses(self) -> list[str]:
        """Return the state that each job has written last."""
        paths = self.results.glob("*/jobs/*/status.json")
        return [json.loads(path.read_text())["state"] for path in paths]

    def steps(self) -> int:
        """Return the steps that the running jobs have done."""
        holders = [read_lease(folder) for folder in self.results.glob("*/jobs/*")]
        return sum(holder.done for holder in holders if holder)

    def rows(self) -> pd.DataFrame:
        """Return the score rows, sorted."""
        scores = load_run(self.folder()).scores
        by = ["job_key", "subject", "session", "label", "metric"]
        rows = scores[[*by, "value", "status"]].astype(dict.fromkeys(by, str))
        return rows.sort_values(by, ignore_index=True)
