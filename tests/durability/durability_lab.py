"""What attacks on a run share: starting commands quickly, the rows they leave, and what else lies about."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import psutil

import mribench.execute.warm  # noqa: F401 - imports once what each command needs
from mribench import cli
from mribench.results.lease import STALE_S
from mribench.results.sound import find_any_damage
from mribench.results.status import read_status

TINY = Path(__file__).parents[1] / "benchmarks" / "tiny.yaml"
DENOISING = ("--only", "*denois*")
"""Options of a run of twelve jobs of all kinds that tiny.yaml has, each far below a second."""
_ROW = ["job_key", "subject", "session", "label", "metric"]
_TEMPORARY = ("lease.json", "checkpoint.safetensors", "live.jsonl")


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code, and all that it wrote."""

    code: int
    text: str


@dataclass(frozen=True)
class Command:
    """A running command of mribench's, in a session of its own."""

    process: BaseProcess
    output: Path

    def wait(self) -> Said:
        """Wait for its end."""
        self.process.join()
        return Said(self.process.exitcode or 0, self.output.read_text(errors="replace"))


def start(output: Path, *words: object, cache: Path, environment: Mapping[str, str] | None = None) -> Command:
    """Call the command line in a process of its own, forked from this one, which has imported all already."""
    variables = {"MRIBENCH_CACHE": str(cache), "COLUMNS": "400", **(environment or {})}
    return fork(output, _call, variables, words)


def fork(output: Path, target: Callable[..., object], *arguments: object) -> Command:
    """Call a function in a process and a session of its own, which writes to ``output``."""
    process = multiprocessing.get_context("fork").Process(target=_begin, args=(output, target, arguments))
    process.start()
    return Command(process, output)


def call(work: Path, *words: object, cache: Path) -> Said:
    """Call the command line as ``start`` does, and wait for its end."""
    return start(work / "said.txt", *words, cache=cache).wait()


def _begin(output: Path, target: Callable[..., object], arguments: Sequence[object]) -> None:
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    target(*arguments)


def _call(variables: Mapping[str, str], words: Sequence[object]) -> None:
    os.environ |= variables
    sys.argv = ["mribench", *map(str, words)]
    cli.main()


def scores(results: Path) -> pd.DataFrame:
    """Return all score rows as they lie in the jobs' folders, sorted."""
    files = sorted(results.glob("tiny/jobs/*/records.parquet"))
    rows = pd.concat([pd.DataFrame(columns=_ROW), *map(pd.read_parquet, files)], ignore_index=True)
    return rows.sort_values(_ROW, ignore_index=True)


@dataclass(frozen=True)
class Difference:
    """How score rows differ from those of a run that nobody disturbed, in rows."""

    lost: int
    doubled: int
    changed: int

    @classmethod
    def between(cls, found: pd.DataFrame, expected: pd.DataFrame) -> Difference:
        """Compare all columns; a row goes by its job, subject, session, label and metric."""
        known, wanted = (set(map(tuple, frame[_ROW].astype(str).to_numpy())) for frame in (found, expected))
        doubled = int(found.duplicated(_ROW).sum())
        single = found.drop_duplicates(_ROW).reindex(columns=expected.columns)
        both = expected.merge(single, on=_ROW, suffixes=("", " found"))
        same = pd.Series(data=True, index=both.index)
        for name in set(expected.columns) - set(_ROW):
            one, other = both[name], both[f"{name} found"]
            same &= (one == other) | (one.isna() & other.isna())
        return cls(len(wanted - known), doubled, int((~same).sum()) + len(known - wanted))

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.changed)


def age_hidden(results: Path) -> None:
    """Make hidden files as old as the next run would find them."""
    for path in [path for path in results.rglob(".*") if path.is_file()]:
        then_s = path.stat().st_mtime - 2 * STALE_S
        os.utime(path, (then_s, then_s))


def find_left_over(results: Path) -> list[str]:
    """Return what lies in a finished store that no finished job has: hidden files, leases, checkpoints."""
    odd = [path for path in results.rglob("*") if path.name.startswith(".") or path.name in _TEMPORARY]
    return sorted(str(path.relative_to(results)) for path in odd)


def find_bad_folders(results: Path) -> list[str]:
    """Return the jobs' folders that are not done, or have a file that is not as it was written."""
    bad = []
    for folder in sorted(results.glob("tiny/jobs/*")):
        status = read_status(folder)
        if status is None or status.state != "done":
            bad.append(f"{folder.name}: {status.state if status else 'no status'}")
        else:
            bad += find_any_damage(folder, status.files)
    return bad


def find_processes(sessions: Iterable[int], text: str) -> list[psutil.Process]:
    """Return the living processes of some sessions, and those with ``text`` in their command lines."""
    wanted, found = set(sessions), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            ours = os.getsid(process.pid) in wanted or text in " ".join(process.cmdline())
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
