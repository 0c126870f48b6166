"""SLURM: jobs are batch jobs, submitted when what they need is done; short ones share one.

The store alone knows what is done. The queue is asked who still waits or runs, so that the process that
submits may end and be started again: it finds its batch jobs by the number in each job's folder.
"""

from __future__ import annotations

import json
import logging
import math
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, model_validator

from mribench.errors import JobError
from mribench.interfaces import (
    Batch,
    Cause,
    Completed,
    Executor,
    Options,
    Queued,
    Resources,
    WorkerCommand,
    WorkerExit,
)
from mribench.validation import problem
from mribench_clusters import queue
from mribench_clusters.queue import End, QueuedJob

logger = logging.getLogger("mribench")

FILE = "slurm.json"
"""In the folder of a job: the number of its batch job, and the id of the batch that it runs."""
OUTPUT = "slurm.txt"
"""Beside it: what a batch job said that never came to run the job."""
_STARTUP_S = 10.0
"""How long a batch job takes to start, and to import what jobs need."""
_SHOWN = 12
"""Letters of a job's key in the queue."""
_LISTED_WITHIN_S = 60.0
"""A batch job is in the queue so long after it was submitted, or it has ended and was forgotten."""
_MEANING: dict[End, tuple[str, Cause]] = {
    "cancelled": ("was cancelled", Cause.CANCELLED),
    "timeout": ("was ended at its time limit before it could stop: raise time or stop_s", Cause.STOPPED),
    "memory": ("wanted more memory than it had asked for: raise memory", Cause.OUT_OF_MEMORY),
    "lost": ("was lost with its node", Cause.INFRASTRUCTURE),
}
_TOO_SHORT = "was asked to stop before it had begun: raise time, or lower stop_s"


class SlurmOptions(Options):
    """Options of the executor."""

    partition: str | None = Field(None, description="partition; that of the cluster by default")
    account: str | None = Field(None, description="account that pays")
    qos: str | None = Field(None, description="quality of service")
    time: str | None = Field(None, description="longest time of a batch job, as sbatch takes it: 04:00:00")
    gres: str | None = Field(None, description="generic resources of each job, such as gpu:1")
    memory: str | None = Field(None, description="memory of each job, such as 16G")
    constraint: str | None = Field(None, description="features that a node must have")
    further: str | None = Field(None, description="further options of sbatch, as on its command line")
    setup: str | None = Field(None, description="lines of shell before each job, such as `module load cuda`")
    most_queued: int = Field(100, gt=0, description="batch jobs that wait or run at a time")
    stop_s: int = Field(
        120,
        ge=0,
        description="seconds before the end of its time at which a job stops, to go on anew",
    )
    poll_s: float = Field(10.0, gt=0, description="seconds between two looks into the queue")

    @model_validator(mode="after")
    def _check_time(self) -> SlurmOptions:
        limit_s = None if self.time is None else _read_limit(self.time)
        if limit_s is not None and limit_s <= self.stop_s:
            raise problem(
                "time",
                f"expected more than stop_s, which is {self.stop_s} s, got {self.time}",
                "a job is asked to stop stop_s before the end of its time, to go on in another batch job",
            )
        return self


def _read_limit(text: str) -> int | None:
    """Return the seconds of a time limit as sbatch reads it; None for what has no number, as UNLIMITED.

    ``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M`` and ``D-H:M:S``.
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return None
    numbers = [int(part) for part in parts]
    if not dash and len(numbers) < 3:
        numbers.insert(0, 0)  # hours
    hours, minutes, seconds, *_ = (*numbers, 0, 0)
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


@dataclass
class _Submitted:
    """A batch job of mribench's.

    Attributes:
        batch: the jobs that it runs.
        at_s: when it was submitted, by this machine's monotonic clock.
        listed: whether the queue has ever named it.
    """

    batch: Batch
    at_s: float = field(default_factory=time.monotonic)
    listed: bool = False

    def is_gone(self) -> bool:
        """Whether a queue that does not list it has forgotten it: it was listed, or had the time to be."""
        return self.listed or time.monotonic() - self.at_s > _LISTED_WITHIN_S


class SlurmExecutor(Executor):
    """Submits a batch job for each batch of jobs, and follows them in the queue.

    A job whose time runs out is submitted again and goes on from its checkpoint; one that is preempted, or
    whose node fails, is put back by SLURM. Batch jobs outlive the run that submitted them.

    Raises:
        ConfigError: when SLURM is not there, or could never run such a job.
    """

    def __init__(self, options: SlurmOptions, resources: Resources) -> None:
        queue.require_commands()
        self._options, self._resources = options, resources
        self._asked = list_options(options, resources)
        queue.try_request(self._asked)
        self._submitted: dict[str, _Submitted] = {}
        self._refused: list[Completed] = []
        self._before: dict[str, QueuedJob] = {}
        self._looked_s = -math.inf
        self._look_before()
        self._numbers: dict[str, str] = {}
        self._next_look_s = 0.0

    @property
    def capacity(self) -> int:
        """Batch jobs that wait or run at a time."""
        return self._options.most_queued

    @property
    def startup_s(self) -> float:
        """Each batch job waits for its turn, and imports everything anew."""
        return _STARTUP_S

    def recall(self, directory: Path) -> str | None:
        """Return the id of the batch that an earlier run submitted a job in, if it waits or runs still."""
        noted = _read_noted(directory)
        if noted is None or self._find_before(noted) is None:
            return None
        self._numbers[noted.batch] = noted.number
        return noted.batch

    def submit(self, batch: Batch) -> None:
        """Submit a batch job, or follow the one that an earlier run submitted."""
        number = self._numbers.pop(batch.id, None)
        if number is None:
            self._send(batch)
        else:
            self._submitted[number] = _Submitted(batch)
            self._before.pop(number, None)  # what it leaves undone is submitted anew

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the batches whose batch jobs have ended."""
        while self._refused:
            yield self._refused.pop()
        wait_s = self._next_look_s - time.monotonic()
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        if wait_s > timeout_s:
            return
        self._next_look_s = time.monotonic() + self._options.poll_s
        listed = _look()
        if listed is None:
            return
        for number, job in list(self._submitted.items()):
            found = listed.get(number)
            job.listed = job.listed or found is not None
            ended = found.end is not None if found else job.is_gone()
            if ended:
                del self._submitted[number]
                yield from self._judge(number, job, found)

    def kill(self, key: str) -> None:
        """Cancel the batch job of a job."""
        queue.cancel([number for number, job in self._submitted.items() if key in job.batch.folders])

    def close(self) -> None:
        """Leave batch jobs in the queue: a later run follows them."""
        if self._submitted:
            logger.warning(
                "%d batch jobs stay in the queue: the same command follows them, `scancel %s` ends them",
                len(self._submitted),
                " ".join(self._submitted),
            )
        self._submitted.clear()

    @classmethod
    def look_up(cls, directories: Mapping[str, Path]) -> Mapping[str, Queued]:
        """Return the jobs whose batch jobs are in the queue."""
        read = {key: _read_noted(directory) for key, directory in directories.items()}
        numbers = {key: noted.number for key, noted in read.items() if noted is not None}
        listed = queue.read_queue() if numbers else {}
        found = {key: (number, listed.get(number)) for key, number in numbers.items()}
        return {
            key: Queued(f"JobID {number}", job.state, "" if job.reason == "None" else job.reason)
            for key, (number, job) in found.items()
            if job is not None and job.end is None
        }

    def _send(self, batch: Batch) -> None:
        key, directory = next(iter(batch.folders.items()))
        named = [f"--job-name=mribench-{key[:_SHOWN]}", f"--output={directory / OUTPUT}"]
        try:
            number = queue.submit([*self._asked, *named], self._write_script(batch))
        except JobError as error:
            self._refused.append(Completed(batch.id, str(error)))
            return
        for folder in batch.folders.values():
            _write_noted(folder, _Noted(number, batch.id))
        self._submitted[number] = _Submitted(batch)

    def _find_before(self, noted: _Noted) -> QueuedJob | None:
        """Return a batch job that waits or runs; one that came into the queue since the last look, too.

        One look is enough for all that were submitted long before it: what it did not list has ended.
        """
        if noted.number not in self._before and noted.at_s > self._looked_s - _LISTED_WITHIN_S:
            self._look_before()
        found = self._before.get(noted.number)
        return found if found is not None and found.end is None else None

    def _look_before(self) -> None:
        looked_s = time.time()  # notes are dated by clocks on the wall
        listed = _look()
        if listed is not None:
            self._before, self._looked_s = dict(listed), looked_s

    def _write_script(self, batch: Batch) -> str:
        command = WorkerCommand.of(batch, self._resources)
        exports = [f"export {name}={shlex.quote(value)}" for name, value in command.environment.items()]
        # the job takes the shell's place, so that it is the process that SLURM asks to stop
        lines = ["#!/bin/sh", self._options.setup or "", *exports, f"exec {shlex.join(command.words)}"]
        return "\n".join(lines) + "\n"

    def _judge(self, number: str, job: _Submitted, found: QueuedJob | None) -> Iterator[Completed]:
        """Say what the end of a batch job means; one that stopped in time to go on is submitted again."""
        # A listing has the file server asked anew: what another machine wrote is seen, cached or not.
        for directory in job.batch.folders.values():
            list(directory.iterdir())
        if found is None or found.end is None:
            yield Completed(job.batch.id, f"the queue has forgotten its batch job {number}")
        elif found.end == "failed" and found.exit_code == WorkerExit.STOPPED:
            self._send(job.batch)
        elif found.end == "failed" and found.signal == signal.SIGTERM:  # one that runs takes it as a wish
            yield Completed(job.batch.id, f"its batch job {number} {_TOO_SHORT}")
        elif found.end in ("done", "failed"):
            yield Completed.of_exit(job.batch.id, found.exit_code)
        else:
            sentence, cause = _MEANING[found.end]
            yield Completed(job.batch.id, f"its batch job {number} {sentence}", cause=cause)


def _look() -> Mapping[str, QueuedJob] | None:
    """Return what is in the queue; None without an answer, which passes."""
    try:
        return queue.read_queue()
    except JobError as error:
        logger.warning("%s; it is asked again", error.message)
        return None


def list_options(options: SlurmOptions, resources: Resources) -> list[str]:
    """Return the options of sbatch that all jobs have."""
    named = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "time": options.time,
        "gres": options.gres,
        "mem": options.memory,
        "constraint": options.constraint,
    }
    given = [f"--{name}={value}" for name, value in named.items() if value is not None]
    return [
        *given,
        f"--cpus-per-task={resources.threads}",
        "--requeue",
        "--open-mode=append",
        f"--signal=B:TERM@{options.stop_s}",
        f"--chdir={Path.cwd()}",
        *shlex.split(options.further or ""),
    ]


@dataclass(frozen=True)
class _Noted:
    """What a job's folder says of the batch job that was submitted last for it.

    Attributes:
        number: of the batch job.
        batch: id of the batch that it runs.
        at_s: when that was noted, by the clock of the file system.
    """

    number: str
    batch: str
    at_s: float = field(default=math.inf, compare=False)


def _read_noted(directory: Path) -> _Noted | None:
    try:
        said = json.loads((directory / FILE).read_text())
        return _Noted(str(said["number"]), str(said["batch"]), (directory / FILE).stat().st_mtime)
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # none, or one of an older mribench
        return None


def _write_noted(directory: Path, noted: _Noted) -> None:
    draft = directory / f".{FILE}.tmp"
    draft.write_text(json.dumps({"number": noted.number, "batch": noted.batch}))
    draft.replace(directory / FILE)
