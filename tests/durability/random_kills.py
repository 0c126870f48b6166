"""SIGKILL at random instants of random processes of a run, again and again: is a score row lost?

Run as ``python tests/durability/random_kills.py --executor local --kills 200``. A small benchmark is run, and
its processes are killed one after another: the run's own, those of jobs, the server that they are forked
from, Dask's workers and scheduler, steps of SLURM (which is started for it, as root). Half of the kills
come at any time, half of them just after a file of a job was written. A run that ends is started again until
all is done; then its score rows are compared with those of a run that nobody disturbed, and what else it left
is looked at. So on with fresh results, until there were enough kills.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import psutil
import small_jobs
from durability_lab import (
    DENOISING,
    TINY,
    Command,
    Difference,
    age_hidden,
    find_bad_folders,
    find_left_over,
    find_processes,
    fork,
    scores,
    start,
)

from mribench.results import Store
from mribench.results.sweep import sweep

sys.path.append(str(Path(__file__).parents[1] / "cluster"))
from slurm_cluster import SlurmCluster, run_slurm

PATIENCE_S = 90.0
"""Within so many seconds a process has ended whose owner was killed: it looks every few seconds."""
HANG_S = 900.0
"""A run that nobody disturbs any more has ended within this time."""
STARTS = 1000
"""A round that needs more runs than that does not come forward."""
KILLED = -signal.SIGKILL
SEEDS = {"inline": "[0, 1, 2]", "local": "[0, 1, 2]", "dask": "[0]", "slurm": "[0]"}
"""Jobs of clusters import all anew, so there are fewer of them."""
PAUSES_S = {"dask": 8.0, "slurm": 8.0}
"""Mean time between two kills where each job imports all anew; elsewhere a part of what a run takes."""
_OF_LOCAL = {"job": 12.0, "run": 1.5, "fork server": 1.0, "tracker": 0.5}
_OF_DASK = {"job": 6.0, "run": 1.0, "worker": 4.0, "scheduler": 1.0}
_OF_SLURM = {"job": 6.0, "run": 1.5, "step": 6.0}
WEIGHTS = {"inline": {"run": 1.0}, "local": _OF_LOCAL, "dask": _OF_DASK, "slurm": _OF_SLURM}
"""How often which kind of process is the victim, of an executor."""


class Setting:
    """Where jobs run: nothing beside the run itself by default.

    Attributes:
        executor: as ``--executor`` takes it.
        pause_s: mean time between two kills.
        environment: variables of the run.
    """

    def __init__(self, executor: str, pause_s: float, environment: dict[str, str] | None = None) -> None:
        self.executor, self.pause_s, self.environment = executor, pause_s, environment or {}

    def victims(self) -> dict[str, list[Callable[[], None]]]:
        """Return what kills each process of its own, by kind."""
        return {}

    def mend(self) -> None:
        """Start again what was killed, as whoever owns it would."""


class Dask(Setting):
    """A scheduler and two workers of somebody else's, who starts them again when they die."""

    def __init__(self, work: Path, pause_s: float) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self._work, self._address = work, f"tcp://127.0.0.1:{port}"
        super().__init__(f"dask:scheduler={self._address}", pause_s)
        self._commands = {
            "scheduler": ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
            **{f"worker{n}": ["dask_worker", self._address, "--nthreads=1", "--no-nanny"] for n in (1, 2)},
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.mend()

    def mend(self) -> None:
        for name, (module, *words) in self._commands.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                with (self._work / f"{name}.txt").open("ab") as out:
                    command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
                    self._processes[name] = subprocess.Popen(command, stdout=out, stderr=out, cwd=self._work)

    def victims(self) -> dict[str, list[Callable[[], None]]]:
        alive = {name: each for name, each in self._processes.items() if each.poll() is None}
        found: dict[str, list[Callable[[], None]]] = {}
        for name, process in alive.items():
            found.setdefault(name.rstrip("12"), []).append(process.kill)
        return found

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


class Slurm(Setting):
    """A SLURM of two nodes; its steps are killed by its own command."""

    def __init__(self, cluster: SlurmCluster, pause_s: float) -> None:
        super().__init__("slurm:poll_s=1", pause_s, {"SLURM_CONF": cluster.environment["SLURM_CONF"]})
        self._cluster = cluster

    def victims(self) -> dict[str, list[Callable[[], None]]]:
        listed = self._cluster.call("squeue", "--noheader", "--states=running", "--format=%i").split()
        return {"step": [self._killer(number) for number in listed]}

    def _killer(self, number: str) -> Callable[[], None]:
        command = ["scancel", "--signal=KILL", "--full", number]
        environment = self._cluster.environment

        def kill() -> None:
            subprocess.run(command, env=environment, capture_output=True, check=False)

        return kill


@contextlib.contextmanager
def set_up(executor: str, work: Path, pause_s: float) -> Iterator[Setting]:
    """Start what an executor needs, for as long as the block lasts."""
    if executor == "slurm":
        with run_slurm(work / "slurm") as cluster:
            yield Slurm(cluster, pause_s)
    elif executor == "dask":
        dask = Dask(work, pause_s)
        try:
            yield dask
        finally:
            dask.close()
    else:
        yield Setting(executor, pause_s)


@dataclass
class Found:
    """What all rounds have shown."""

    kills: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    starts: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    bad_folders: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    odd_ends: list[str] = field(default_factory=list)

    def count(self) -> int:
        """Return the kills in all."""
        return sum(self.kills.values())

    def is_good(self) -> bool:
        """Whether nothing was lost, and nothing lies or runs about."""
        rows = self.lost or self.doubled or self.changed
        return not (rows or self.bad_folders or self.left_over or self.orphans or self.odd_ends)


Begin: TypeAlias = Callable[[Path, Path, Setting], Command]


class Attack:
    """Runs a benchmark, and kills what runs it.

    Args:
        setting: where it runs.
        work: a folder.
        begin: starts a run: where its results go, and its output.
        wanted: kills in all.
        seed: of victims and instants.
    """

    def __init__(self, setting: Setting, work: Path, begin: Begin, wanted: int, seed: int) -> None:
        self.setting, self.work, self.begin, self.wanted = setting, work, begin, wanted
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.found = Found()
        self.sessions: list[int] = []
        self.results = work / "results"

    def enough(self) -> bool:
        return self.found.count() >= self.wanted

    def round(self, expected: pd.DataFrame) -> None:
        """Run the benchmark to its end in spite of all kills, and look at what it left."""
        shutil.rmtree(self.results, ignore_errors=True)
        if self.found.rounds % 4 == 3:  # what prepares volumes is killed too, at times
            shutil.rmtree(self.work / "cache", ignore_errors=True)
        self.sessions.clear()
        for _ in range(STARTS):
            if self._run_once() == 0:
                break
        else:
            self.found.odd_ends.append(f"{STARTS} runs were not enough")
        self.found.rounds += 1
        self._judge(Difference.between(scores(self.results), expected))

    def _run_once(self) -> int:
        output = self.work / f"run{self.found.starts:04}.txt"
        run = self.begin(self.results, output, self.setting)
        self.found.starts += 1
        self.sessions.append(run.process.pid or 0)
        self._disturb(run)
        run.process.join(HANG_S)
        if run.process.is_alive():
            self.found.odd_ends.append(f"{output.name}: hangs")
            run.process.kill()
        said = run.wait()
        if said.code not in (0, 1, KILLED) or "Traceback" in said.text:
            self.found.odd_ends.append(f"{output.name}: {said.code}: {said.text[-2000:]}")
        elif said.code != 1:
            output.unlink()
        return said.code

    def _disturb(self, run: Command) -> None:
        if self.chance.random() < 0.9:  # mostly jobs are what is of interest, not how a run begins
            self._wait_for_change(run, HANG_S)
        while run.process.is_alive() and not self.enough():
            self._wait(run)
            if run.process.is_alive():
                self._strike(run)
            self.setting.mend()

    def _wait(self, run: Command) -> None:
        """Let some time pass; every other time until just after a file of a job was written."""
        run.process.join(self.chance.expovariate(1.0 / self.setting.pause_s))
        if self.chance.random() < 0.5:
            self._wait_for_change(run, self.setting.pause_s)
            time.sleep(self.chance.choice((0.0, 0.002, 0.02)))

    def _wait_for_change(self, run: Command, most_s: float) -> None:
        before, end = self._list(), time.monotonic() + most_s
        while self._list() == before and time.monotonic() < end and run.process.is_alive():
            time.sleep(0.002)

    def _list(self) -> set[str]:
        return {str(path) for path in self.results.glob("tiny/jobs/*/*")}

    def _strike(self, run: Command) -> None:
        victims = self.setting.victims()
        for process in find_processes(self.sessions, str(self.results)):
            with contextlib.suppress(psutil.NoSuchProcess):
                victims.setdefault(self._classify(process, run), []).append(process.kill)
        weights = WEIGHTS[self.setting.executor.partition(":")[0]]
        (kind,) = self.chance.choices([*weights], [*weights.values()])
        if not victims.get(kind):  # else a run that begins, when there is nothing else, would die each time
            return
        try:
            self.chance.choice(victims[kind])()
        except psutil.NoSuchProcess:  # it ended by itself, in this moment
            return
        self.found.kills[kind] = self.found.kills.get(kind, 0) + 1

    def _classify(self, process: psutil.Process, run: Command) -> str:
        if process.pid == run.process.pid:
            return "run"
        line = " ".join(process.cmdline())
        if "multiprocessing.forkserver" in line:
            return "fork server" if os.getsid(process.pid) == process.ppid() else "job"
        if "mribench.execute.worker" in line:
            return "job"
        return "tracker" if "resource_tracker" in line else "other"

    def _judge(self, rows: Difference) -> None:
        found = self.found
        orphans = find_processes(self.sessions, str(self.results))
        _, alive = psutil.wait_procs(orphans, timeout=PATIENCE_S)
        found.orphans += [describe(process) for process in alive]
        for process in alive:
            process.kill()
        found.lost += rows.lost
        found.doubled += rows.doubled
        found.changed += rows.changed
        found.bad_folders += find_bad_folders(self.results)
        age_hidden(self.results)
        sweep(Store(self.results / "tiny"))
        found.left_over += find_left_over(self.results)
        if rows:
            shutil.copytree(self.results, self.work / f"kept{found.rounds}")


def describe(process: psutil.Process) -> str:
    """Say what a process is."""
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return f"{process.pid}"


def begin_tiny(work: Path, seeds: str) -> Begin:
    """Return what runs a part of the tiny benchmark through the command line."""

    def begin(results: Path, output: Path, setting: Setting) -> Command:
        how = ("--executor", setting.executor, "--jobs", 2, "--checkpoint-every", 0.1)
        words = ("run", TINY, *DENOISING, "--set", f"seeds={seeds}", "--results", results, *how)
        return start(output, *words, cache=work / "cache", environment=setting.environment)

    return begin


def begin_small(results: Path, output: Path, setting: Setting) -> Command:
    """Run jobs that compute next to nothing."""
    return fork(output, run_small, results, setting.executor)


def run_small(results: Path, executor: str) -> None:
    """Run such jobs, and end the process."""
    sys.exit(small_jobs.run(results / "tiny", executor))


def main(executor: str, small: bool, kills: int, seed: int, work: Path) -> int:
    """Kill, print a line for each round and the figures; whether nothing was lost."""
    work.mkdir(parents=True, exist_ok=True)
    begin = begin_small if small else begin_tiny(work, SEEDS[executor])
    began_s = time.monotonic()
    whole = begin(work / "whole", work / "whole.txt", Setting("inline", 1.0)).wait()
    if whole.code:
        raise SystemExit(whole.text)
    expected = scores(work / "whole")
    run_s, began_s = time.monotonic() - began_s, time.monotonic()
    pause_s = PAUSES_S.get(executor, run_s / (60 if small else 12))
    with set_up(executor, work, pause_s) as setting:
        attack = Attack(setting, work, begin, kills, seed)
        while not attack.enough():
            attack.round(expected)
            report(executor, attack.found, len(expected), began_s)
    return 0 if attack.found.is_good() else 1


def report(executor: str, found: Found, rows: int, began_s: float) -> None:
    """Print what was found so far."""
    figures = {"executor": executor, "kills in all": found.count(), "rows in a run": rows}
    seconds = {"seconds": round(time.monotonic() - began_s)}
    print(json.dumps(figures | dataclasses.asdict(found) | seconds), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executor", choices=("inline", "local", "dask", "slurm"), default="local")
    parser.add_argument(
        "--small", action="store_true", help="jobs that compute next to nothing, without the command line"
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for everything, kept; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as there:
        raise SystemExit(
            main(given.executor, given.small, given.kills, given.seed, given.work or Path(there))
        )
