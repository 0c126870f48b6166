"""Somebody who runs the tiny benchmark on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from mribench.results.load import load_run

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
SMALLEST = ("--set", "arms=[frozen]", "--set", "reference_arms=[identity]")
"""Eleven jobs: each kind, and one that needs another that needs another."""


class Lab:
    """Somebody who runs the tiny benchmark, or as much of it as shows what is to be seen.

    Args:
        results: where results go.
        cache: of prepared volumes, shared.
        options: of `mribench run`.
        environment: variables beside those that are there.
    """

    def __init__(
        self, results: Path, cache: Path, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        self.results, self.options = results, options
        own = {"MRIBENCH_CACHE": str(cache), "COLUMNS": "200"}
        self.environment = {**os.environ, **(environment or {}), **own}

    def start(self, executor: str) -> subprocess.Popen[str]:
        part = ["--executor", executor, "--results", str(self.results), *SMALLEST, *self.options]
        return subprocess.Popen(
            [sys.executable, "-m", "mribench", "run", str(TINY), *part],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, executor: str) -> tuple[int, str]:
        process = self.start(executor)
        said, _ = process.communicate(timeout=1200)
        return process.returncode, said

    def statuses(self) -> list[str]:
        """Return the state that each job has written last."""
        paths = self.results.glob("tiny/jobs/*/status.json")
        return [json.loads(path.read_text())["state"] for path in paths]

    def rows(self) -> pd.DataFrame:
        """Return the score rows, sorted."""
        scores = load_run(self.results / "tiny").scores
        by = ["job_key", "subject", "session", "label", "metric"]
        rows = scores[[*by, "value", "status"]].astype(dict.fromkeys(by, str))
        return rows.sort_values(by, ignore_index=True)
