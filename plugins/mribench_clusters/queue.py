"""SLURM's commands: what is submitted, what the queue says, what is cancelled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mribench.errors import ConfigError, JobError

End = Literal["done", "failed", "cancelled", "timeout", "memory", "lost"]
"""How a batch job ended: by itself, by a person, at its limit of time or memory, or with its node."""

_ENDS: dict[str, End] = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "lost",
    "BOOT_FAIL": "lost",
    "PREEMPTED": "lost",
}
_FIELDS = "JobID:|,State:|,exit_code:|,Reason:|"
_PATIENCE_S = 60
"""How long a command of SLURM may take: the controller answers late when it is busy."""


@dataclass(frozen=True)
class QueuedJob:
    """What the queue says of a batch job.

    Attributes:
        state: as SLURM names it, such as ``PENDING``.
        reason: why it waits, or what happened to it.
        exit_code: of its process; 0 while there is none.
        signal: that its process died of; 0 for none.
    """

    state: str
    reason: str
    exit_code: int
    signal: int = 0

    @property
    def end(self) -> End | None:
        """How it ended; None while it waits, runs, or is put back into the queue."""
        return _ENDS.get(self.state)


def require_commands() -> None:
    """Require the commands of SLURM.

    Raises:
        ConfigError: when one is not there.
    """
    for name in ("sbatch", "squeue", "scancel"):
        if not _is_there(name):
            raise ConfigError(
                f"--executor slurm: the command {name} is not there",
                "run mribench where jobs are submitted, mostly a login node; or --executor local",
            )


def _is_there(command: str) -> bool:
    return shutil.which(command) is not None


def try_request(options: Sequence[str]) -> None:
    """Ask whether a job with these options could ever run; submits nothing.

    Args:
        options: of sbatch.

    Raises:
        ConfigError: with what SLURM says, when it could not.
    """
    said = _call(["sbatch", "--test-only", *options], script="#!/bin/sh\ntrue\n")
    if said.returncode:
        raise ConfigError(
            f"--executor slurm: such a job can never run: {_complaint(said)}",
            "`sinfo` lists partitions and their limits; change the options of the executor",
        )


def submit(options: Sequence[str], script: str) -> str:
    """Submit a batch job; return its number.

    Args:
        options: of sbatch.
        script: of the shell.

    Raises:
        JobError: with what SLURM says, when it takes none.
    """
    said = _call(["sbatch", "--parsable", *options], script)
    if said.returncode:
        raise JobError(f"SLURM took no job: {_complaint(said)}", "a limit of your account may be reached")
    return said.stdout.strip().split(";")[0]


def read_queue() -> Mapping[str, QueuedJob]:
    """Return the user's jobs by number, and those that ended lately.

    Raises:
        JobError: without an answer.
    """
    if not _is_there("squeue"):
        raise JobError("SLURM's command squeue is not there", "ask where jobs are submitted: a login node")
    said = _call(["squeue", "--me", "--noheader", "--states=all", f"--Format={_FIELDS}"])
    if said.returncode:
        raise JobError(f"SLURM's queue does not answer: {_complaint(said)}")
    return dict(map(read_line, filter(None, map(str.strip, said.stdout.splitlines()))))


def cancel(numbers: Collection[str]) -> None:
    """Cancel batch jobs; those that have ended are none the worse for it."""
    if numbers:
        _call(["scancel", *numbers])


def read_line(line: str) -> tuple[str, QueuedJob]:
    """Return number and state of a line of ``squeue``, fields separated by ``|``."""
    number, state, status, reason, *_ = line.split("|")
    # the status of a process as `wait` gives it: the code in the upper byte, a signal in the lower
    word = int(status) if status.isdigit() else 0
    return number, QueuedJob(state, reason, word >> 8, word & 0x7F)


def _call(command: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - options are the user's own
            command, input=script, capture_output=True, text=True, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} gave no answer in {_PATIENCE_S} s")


def _complaint(said: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in said.stderr.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or f"{said.args[0]} ended with code {said.returncode}"
