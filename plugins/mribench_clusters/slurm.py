"""SLURM: each job is a batch job of its own, submitted when what it needs is done.

The store alone knows what is done. The queue is asked who still waits or runs, so that the process that
submits may end and be started again: it finds its batch jobs by the number in each job's folder.
"""

from __future__ import annotations

import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from mribench.errors import JobError
from mribench.interfaces import Completed, Executor, Options, Resources
from mribench_clusters import queue

logger = logging.getLogger("mribench")

FILE = "slurm.json"
"""In the folder of a job: the number of its batch job."""
_SHOWN = 60
"""Characters of a job's name in the queue."""


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
        120, ge=0, description="seconds before the end of its time at which a job stops, to go on in a new one"
    )
    poll_s: float = Field(10.0, gt=0, description="seconds between two looks into the queue")


@dataclass(frozen=True)
class _Submitted:
    """A batch job of mribench's.

    Attributes:
        key: of the job.
        directory: its folder.
        number: in the queue.
    """

    key: str
    directory: Path
    number: str


class SlurmExecutor(Executor):
    """Submits a batch job for each job, and follows them in the queue.

    A job whose time runs out, or that is preempted, is put back and goes on from its checkpoint. Batch jobs
    outlive the run that submitted them.

    Raises:
        ConfigError: when SLURM is not there, or could never run such a job.
    """

    def __init__(self, options: SlurmOptions, resources: Resources) -> None:
        queue.require_commands()
        self._options, self._resources = options, resources
        self._asked = _list_options(options, resources)
        queue.try_request(self._asked)
        self._submitted: dict[str, _Submitted] = {}
        self._known: set[str] = set()
        self._looked_s = -options.poll_s
        self._refused: list[Completed] = []
        self._attach_to = queue.read_queue() or {}

    @property
    def capacity(self) -> int:
        """Batch jobs that wait or run at a time."""
        return self._options.most_queued

    def submit(self, key: str, directory: Path) -> None:
        """Submit a batch job, or follow the one that an earlier run submitted."""
        number = _read_number(directory)
        seen = self._attach_to.get(number) if number else None
        if number is None or seen is None or seen.end is not None:
            try:
                number = self._send(directory)
            except JobError as error:
                self._refused.append(Completed(key, str(error)))
                return
        self._submitted[number] = _Submitted(key, directory, number)

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the jobs whose batch jobs have ended."""
        while self._refused:
            yield self._refused.pop()
        wait_s = self._looked_s + self._options.poll_s - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
        if time.monotonic() < self._looked_s + self._options.poll_s:
            return
        self._looked_s = time.monotonic()
        listed = queue.read_queue()
        if listed is None:
            return
        for number, job in list(self._submitted.items()):
            found = listed.get(number)
            if found is not None:
                self._known.add(number)
            if found is None and number not in self._known:
                continue  # just submitted, and not listed yet
            ended = self._judge(job, found)
            if ended is not None:
                yield ended

    def kill(self, key: str) -> None:
        """Cancel the batch job of a job."""
        queue.cancel([job.number for job in self._submitted.values() if job.key == key])

    def close(self) -> None:
        """Leave batch jobs in the queue: a later run follows them."""
        if self._submitted:
            numbers = " ".join(self._submitted)
            logger.warning(
                "%d batch jobs stay in the queue; the same command follows them, `scancel %s` ends them",
                len(self._submitted), numbers,
            )  # fmt: skip
        self._submitted.clear()
