"""Two hosts whose clocks are off work in one folder: is a live job ever taken, and a dead one always?

Run as root: ``python tests/durability/two_hosts.py``. Each host has PID, UTS, mount and time namespaces of
its own, and a clock that is 5 or 10 minutes ahead or behind. One host works for longer than a lease lives
without a heartbeat, while the other wants its job; in half of the cases it is killed meanwhile. Then they
share what is left. Two runs on one host are tried in the same way. Each job has to be done once, with the
rows of one run.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import small_jobs
from durability_lab import Command, Difference, age_hidden, find_bad_folders, find_left_over, fork, scores
from hosts import kill_host, start_host

from mribench.jobs import Context, Outcome
from mribench.results import Store
from mribench.results.lease import HEARTBEAT_S, LEASE, STALE_S, read_lease
from mribench.results.specification import PretrainSpec
from mribench.results.sweep import sweep

SKEWS_S = (600.0, -600.0, 300.0, -300.0)
LONG_S = STALE_S + 20.0
"""How long the first job takes, which all others need."""
SLACK_S = 30.0
"""A machine that is busy is late by as much as that."""


@dataclass(frozen=True)
class Case:
    """Two hosts.

    Attributes:
        skew_s: how far the clock of the first one is ahead, and that of the second one behind; None for two
            runs on one host.
        dies: whether the first one is killed while it works.
    """

    skew_s: float | None
    dies: bool


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        taken_after_s: time between the death of the first host and the second one's claim to its job.
        done: jobs by the number of times that they were done.
        by: jobs by the host that did them.
        codes: of both runs.
        left: what lies about, or is not as it should be.
    """

    case: Case
    taken_after_s: float | None
    done: dict[int, int]
    by: dict[str, int]
    codes: tuple[int, int]
    rows: Difference
    left: tuple[str, ...]

    def is_good(self) -> bool:
        """Whether each job was done once and only a dead host's job was taken, in time."""
        ended = self.codes[1] == 0 and (self.case.dies or self.codes[0] == 0)
        return ended and set(self.done) == {1} and not self.rows and not self.left and self._was_in_time()

    def _was_in_time(self) -> bool:
        if not self.case.dies:
            return self.taken_after_s is None
        earliest_s = 0.0 if self.case.skew_s is None else STALE_S - 2 * HEARTBEAT_S
        latest_s = SLACK_S if self.case.skew_s is None else STALE_S + SLACK_S
        return self.taken_after_s is not None and earliest_s <= self.taken_after_s <= latest_s


def work(results: Path, name: str, long_s: float) -> int:
    """Run all jobs, and note each that is done here."""

    def compute(spec: object, context: Context) -> Outcome:
        if isinstance(spec, PretrainSpec):
            end_s = time.monotonic() + long_s
            while time.monotonic() < end_s:
                time.sleep(0.2)
                context.tick(0, 1)
        outcome = small_jobs.work(spec, context)
        with (results / "done.txt").open("a") as file:
            file.write(f"{context.directory.name} {name} {socket.gethostname()}\n")
        return outcome

    return small_jobs.run(results / "tiny", "inline", compute)


def begin(case: Case, results: Path, name: str, skew_s: float) -> Command:
    """Start one of the two; the first job takes long where the one called ``first`` does it."""
    output = results / f"{name}.txt"
    long_s = LONG_S if name == "first" else 0.0
    if case.skew_s is None:
        return fork(output, _exit_with, work, results, name, long_s)
    return start_host(output, name, skew_s, work, results, name, long_s)


def _exit_with(target: Callable[..., int], *arguments: object) -> None:
    os._exit(target(*arguments))


def find_holder(results: Path) -> str | None:
    """Return the token of who holds the long job; None where nobody does."""
    for lease in results.glob(f"tiny/jobs/*/{LEASE}"):
        holder = read_lease(lease.parent)
        return holder.token if holder else None
    return None


def attempt(case: Case, results: Path, whole: Path) -> Result:
    """Let two hosts work."""
    results.mkdir()
    skew_s = case.skew_s or 0.0
    first = begin(case, results, "first", skew_s)
    while (token := find_holder(results)) is None:
        time.sleep(0.05)
    second = begin(case, results, "second", -skew_s)
    taken_after_s = None
    if case.dies:
        time.sleep(10.0)
        died_s = time.monotonic()
        kill_host(first) if case.skew_s is not None else first.process.kill()
        taken_after_s = _wait_for_another(results, token, died_s)
    return judge(case, results, (first, second), taken_after_s, scores(whole))


def judge(
    case: Case,
    results: Path,
    runs: tuple[Command, Command],
    taken_after_s: float | None,
    expected: pd.DataFrame,
) -> Result:
    """Wait for both, and look at what they left."""
    codes = (runs[0].wait().code, runs[1].wait().code)
    age_hidden(results)
    sweep(Store(results / "tiny"))
    lines = [line.split() for line in (results / "done.txt").read_text().splitlines()]
    times = Counter(Counter(key for key, *_ in lines).values())
    by = Counter(name for _, name, _ in lines)
    rows = Difference.between(scores(results), expected)
    left = (*find_left_over(results), *find_bad_folders(results))
    return Result(case, taken_after_s, dict(times), dict(by), codes, rows, left)


def _wait_for_another(results: Path, token: str, since_s: float) -> float | None:
    while time.monotonic() - since_s < STALE_S + 10 * SLACK_S:
        with contextlib.suppress(FileNotFoundError):
            if find_holder(results) != token:
                return time.monotonic() - since_s
        time.sleep(0.05)
    return None


def run_alone(work_at: Path) -> Path:
    """Return the results of a run that nobody disturbs."""
    whole = work_at / "whole"
    whole.mkdir()
    alone = fork(work_at / "alone.txt", _exit_with, work, whole, "alone", 0.0).wait()
    if alone.code:
        raise SystemExit(alone.text)
    return whole


def main(work_at: Path) -> int:
    """Try all cases at the same time, and print a line for each; whether all went well."""
    whole = run_alone(work_at)
    cases = [Case(skew_s, dies) for skew_s in (*SKEWS_S, None) for dies in (False, True)]
    attempts = [
        fork(work_at / f"case{number}.txt", _report, case, work_at / f"case{number}", whole)
        for number, case in enumerate(cases)
    ]
    said = [each.wait() for each in attempts]
    print("".join(each.text for each in said), end="")
    bad = sum(each.code != 0 for each in said)
    print(json.dumps({"cases": len(said), "bad": bad}))
    return 1 if bad else 0


def _report(case: Case, results: Path, whole: Path) -> None:
    result = attempt(case, results, whole)
    print(json.dumps({"good": result.is_good(), **dataclasses.asdict(result)}), flush=True)
    for name in () if result.is_good() else ("first", "second"):
        print((results / f"{name}.txt").read_text()[-2000:], flush=True)
    os._exit(0 if result.is_good() else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory() as there:
        raise SystemExit(main(Path(there)))
