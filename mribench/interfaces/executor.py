"""Executors: where jobs run."""

from __future__ import annotations

import enum
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORKER = ("-m", "mribench.execute.worker")
"""What Python is told to run a batch in a process of its own."""
CHECKPOINT_EVERY_S = 60.0
"""Seconds between two checkpoints of a job that trains, unless the user says otherwise."""


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        jobs: jobs at a time.
        threads: CPU threads of each job.
        gpus: CUDA device ids; empty means the CPU.
        checkpoint_every_s: seconds between two checkpoints of a job that trains.
        gpu_memory_bytes: memory of each of the GPUs, where jobs share them by what they take; else none.
        worker: what Python is told, before the folders of jobs, to run a batch; ``local`` forks instead.
    """

    jobs: int = 1
    threads: int = 1
    gpus: tuple[str, ...] = ()
    checkpoint_every_s: float = CHECKPOINT_EVERY_S
    gpu_memory_bytes: tuple[int, ...] = ()
    worker: tuple[str, ...] = WORKER


class Cause(enum.StrEnum):
    """Why an attempt of a job ended without a result; what is done about it follows from this alone."""

    INFRASTRUCTURE = "infrastructure"
    """Its process was killed, a server or a file server went away: it is tried again."""
    DISK = "disk"
    """A disk is full, or became read-only: the run waits until it can be written to."""
    OUT_OF_MEMORY = "out of memory"
    """It wanted more memory than there was: it is tried again once, alone and with half as many windows."""
    USER = "user"
    """The benchmark file, the data or the options are wrong: another attempt would end the same."""
    BUG = "bug"
    """A defect of mribench or of a plugin: another attempt would end the same."""
    DAMAGED = "damaged"
    """A file that it needs, of another job, is damaged: that one is run again, and this one after it."""
    STOPPED = "stopped"
    """A signal asked its process to stop; it goes on from its checkpoint."""
    CANCELLED = "cancelled"
    """A person asked for it to be stopped, or a limit that a person set."""


class WorkerExit(enum.IntEnum):
    """Exit codes of the process that runs a batch."""

    DONE = 0
    FAILED = 1
    """One of its jobs failed; those after it were run all the same."""
    ELSEWHERE = 3
    """Another process holds one of its jobs, or has done it; the others are done."""
    UNWRITTEN = 4
    """Files could not be written: the disk is full, or read-only. No further job was begun."""
    STOPPED = 75
    """A signal asked it to stop: the job goes on from its checkpoint (``EX_TEMPFAIL`` of sysexits.h)."""


@dataclass(frozen=True)
class Batch:
    """Jobs that one process runs one after another: it imports and loads once what they share.

    Each job has its own lease, log, status and results all the same. How each ended is in its status, which
    names the batch; an executor has only to tell how the process ended.

    Attributes:
        folders: of the jobs, by their keys, in the order in which they are run; one at least.
        id: of the batch.
        window_parts: parts in which an evaluation takes the windows that it else takes at a time: more than
            one where a job was out of memory. No part of a key: the rows are the same.
        gpu_bytes: memory of a GPU that the largest of its jobs takes, by jobs that are done and cost as much;
            None where that is not known, or the executor does not weigh it.
    """

    folders: Mapping[str, Path]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    window_parts: int = 1
    gpu_bytes: int | None = None


@dataclass(frozen=True)
class Completed:
    """A batch whose process ended.

    Attributes:
        batch: its id.
        error: what happened, when its process died. It is put down to the first job that has not ended.
        elsewhere: another process holds one of its jobs, or has done it in the meantime.
        cause: of the error, as far as the executor knows it.
    """

    batch: str
    error: str = ""
    elsewhere: bool = False
    cause: Cause = Cause.INFRASTRUCTURE

    @classmethod
    def of_exit(cls, batch: str, code: int) -> Completed:
        """Return what the exit code of a batch's process means; below 0 it is a signal's number."""
        if code == WorkerExit.ELSEWHERE:
            return cls(batch, elsewhere=True)
        if code == WorkerExit.UNWRITTEN:
            return cls(batch, "the disk is full, or read-only", cause=Cause.DISK)
        if code == WorkerExit.STOPPED:
            return cls(batch, "a signal stopped its process", cause=Cause.STOPPED)
        if code == WorkerExit.DONE:
            return cls(batch)
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return cls(batch, f"its process was {how}; see its log.txt")


THREADS, CHECKPOINT_S, BATCH = "MRIBENCH_THREADS", "MRIBENCH_CHECKPOINT_S", "MRIBENCH_BATCH"
"""Environment variables of a batch's process: threads, seconds between two checkpoints, id of the batch."""
WINDOW_PARTS = "MRIBENCH_WINDOW_PARTS"
"""That of ``Batch.window_parts``."""
UNTIL_EOF = "--until-eof"


@dataclass(frozen=True)
class WorkerCommand:
    """How a batch is run by a process of its own, on any machine that sees the same folders.

    The process looks for cohorts from the folder that it is started in, keeps its output in each job's
    ``log.txt``, and exits with a ``WorkerExit``.

    Attributes:
        words: of the command.
        environment: variables that it wants beside those that are there.
    """

    words: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of(cls, batch: Batch, resources: Resources, *, until_eof: bool = False) -> WorkerCommand:
        """Return the command of a batch.

        Args:
            batch: the jobs.
            resources: what they may use.
            until_eof: whether the process ends when its standard input does: when whoever started it with a
                pipe is gone, however that ended.
        """
        folders = tuple(str(folder.resolve()) for folder in batch.folders.values())
        words = (sys.executable, *resources.worker, *folders)
        environment = {
            THREADS: str(resources.threads),
            CHECKPOINT_S: str(resources.checkpoint_every_s),
            BATCH: batch.id,
            WINDOW_PARTS: str(batch.window_parts),
        }
        return cls((*words, UNTIL_EOF) if until_eof else words, environment)


@dataclass(frozen=True)
class Queued:
    """What a queue outside of mribench says of a job that waits in it, or has just left it to run.

    Attributes:
        label: by which its users know it there, such as ``JobID 12``.
        state: in the queue's own word, such as ``PENDING``.
        reason: why it waits, in the queue's own word; empty where it gives none.
    """

    label: str
    state: str
    reason: str = ""


class Executor(ABC):
    """Runs batches of jobs: folders with a ``job.json`` each, which ``mribench.execute.worker`` runs."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many batches may be submitted and not yet completed."""

    @property
    def startup_s(self) -> float:
        """About how long a process takes to start; short jobs are put together until they are worth it."""
        return 0.0

    def recall(self, directory: Path) -> str | None:
        """Return the id of the batch of an earlier run in which a job still waits or runs; None where none.

        What has the same id is submitted together under it, and ``submit`` then only follows it.
        """
        del directory
        return None

    @property
    def weighs_memory(self) -> bool:
        """Whether ``Batch.gpu_bytes`` and ``has_room`` matter."""
        return False

    def has_room(self, batch: Batch) -> bool:
        """Whether a batch may be submitted now, in which there are fewer than ``capacity``; else it waits."""
        del batch
        return True

    @abstractmethod
    def submit(self, batch: Batch) -> None:
        """Start a process for the jobs of a batch."""

    @abstractmethod
    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield batches whose processes ended, waiting at most ``timeout_s`` seconds for the first."""

    def kill(self, key: str) -> None:
        """End the process of a job that does not answer any more; ``completed`` then yields its batch.

        An executor that cannot do so does nothing: the job's own process is asked to end in any case.
        """
        del key

    @abstractmethod
    def close(self) -> None:
        """End everything that this executor started."""

    @classmethod
    def look_up(cls, directories: Mapping[str, Path]) -> Mapping[str, Queued]:
        """Return, by key, the jobs that wait in this executor's queue, whichever run submitted them.

        ``mribench status`` asks, on any machine, and imports for it the plugins of the entry-point group
        ``mribench.executors`` alone. An executor without a queue that outlives a run has none.

        Args:
            directories: folders of the jobs that are not done, by key.

        Raises:
            MRIBenchError: when a job was submitted, and the queue cannot be asked.
        """
        del directories
        return {}
