"""Runs a benchmark through one executor after another, each in a folder of its own, and compares the rows.

``python tests/cluster/same_rows.py benchmarks/quickstart.yaml`` takes those of ``EXECUTORS`` that can run
here; SLURM is started for it (``slurm_cluster.py``). A second run of each is to execute nothing. Exit code 1
where anything differs. A part of a benchmark: ``--set 'arms=[frozen]' --set 'seeds=[0]'``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from cluster_lab import DONE_ALREADY, Lab
from slurm_cluster import end_as_by_ctrl_c, find_obstacle, run_slurm

EXECUTORS = ("inline", "local", "dask", "slurm")
_OPTIONS = {"slurm": "slurm:poll_s=1"}
_TIMEOUT_S = 24 * 3600


@dataclass(frozen=True)
class Through:
    """What came of a benchmark that was run twice through an executor.

    Attributes:
        executor: its name.
        rows: the score rows, sorted.
        first_s: time of the first run.
        again_s: time of the second one.
        problem: what one of the runs said that was not as it should be; empty when both were.
    """

    executor: str
    rows: pd.DataFrame
    first_s: float
    again_s: float
    problem: str


def run_through(executor: str, lab: Lab) -> Through:
    """Run a benchmark twice through an executor."""
    seconds, problem = [], ""
    for expected in ("jobs executed", DONE_ALREADY):
        started = time.monotonic()
        code, said = lab.run(_OPTIONS.get(executor, executor), _TIMEOUT_S)
        seconds.append(time.monotonic() - started)
        if code or expected not in said:
            problem = problem or f"exit code {code}, expected '{expected}' in:\n{said}"
    return Through(executor, lab.rows(), *seconds, problem)


def differ(one: Through, other: Through) -> str:
    """Return what tells the rows of two executors apart; empty where they are the same, bit for bit."""
    try:
        pd.testing.assert_frame_equal(one.rows, other.rows, check_exact=True)
    except AssertionError as error:
        return str(error)
    return ""


@contextmanager
def make_environment(executors: Sequence[str], folder: Path) -> Iterator[Mapping[str, str]]:
    """Have a SLURM where one is wanted."""
    if "slurm" not in executors:
        yield {}
        return
    with run_slurm(folder / "cluster") as cluster:
        yield {"SLURM_CONF": cluster.environment["SLURM_CONF"]}


def list_possible(wanted: Sequence[str]) -> list[str]:
    """Return the executors that can run here; say of the others why they cannot."""
    obstacles = {
        "slurm": find_obstacle(),
        "dask": "" if find_spec("distributed") else "the extra dask is not installed",
    }
    for name in wanted:
        if obstacles.get(name):
            print(f"{name}: left out: {obstacles[name]}")
    return [name for name in wanted if not obstacles.get(name)]


def main() -> int:
    """Run, compare, say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, help="the benchmark file")
    parser.add_argument("--executors", nargs="+", default=EXECUTORS, choices=EXECUTORS)
    parser.add_argument(
        "--folder", type=Path, help="where all results go, and stay; a temporary one by default"
    )
    parser.add_argument("--set", action="append", default=[], help="of `mribench run`; may be repeated")
    parser.add_argument("--only", action="append", default=[], help="of `mribench run`; may be repeated")
    asked = parser.parse_args()
    end_as_by_ctrl_c()
    options = [f"--set={value}" for value in asked.set] + [f"--only={value}" for value in asked.only]
    executors = list_possible(asked.executors)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        with make_environment(executors, folder) as environment:
            labs = {
                name: Lab(
                    folder / name,
                    folder / "cache",
                    *options,
                    file=asked.file,
                    environment=dict(environment),
                )
                for name in executors
            }
            results = [say(run_through(name, lab)) for name, lab in labs.items()]
    problems = [through.problem or differ(results[0], through) for through in results]
    for through, problem in zip(results, problems, strict=True):
        print(f"{through.executor}: {problem or 'the rows of ' + results[0].executor}")
    return 1 if any(problems) else 0


def say(through: Through) -> Through:
    """Say how long it took, as soon as it is known."""
    times = f"{through.first_s:.1f} s, and {through.again_s:.1f} s to find that all is done"
    print(f"{through.executor}: {len(through.rows)} rows; {times}", flush=True)
    return through


if __name__ == "__main__":
    sys.exit(main())
