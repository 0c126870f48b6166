"""Executors: where jobs run."""

from __future__ import annotations

import enum
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """

    jobs: int = 1
    threads: int = 1
    gpus: tuple[str, ...] = ()
    checkpoint_every_s: float = CHECKPOINT_EVERY_S


class Cause(enum.StrEnum):
    """Why an attempt of a job ended without a result; what is done about it follows from this alone."""

    INFRASTRUCTURE = "infrastructure"
    """Its process was killed, a server or a file server went away: it is tried again."""
    DISK = "disk"
    """A disk is full, or became read-only: the run waits until it can be written to."""
    OUT_OF_MEMORY = "out of memory"
    """It wanted more memory than there was: it is tried again once, alone."""
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
    """Exit codes of the process that runs one job."""

    DONE = 0
    FAILED = 1
    ELSEWHERE = 3
    """Another process holds the job, or has done it."""
    UNWRITTEN = 4
    """Its files could not be written: the disk is full, or read-only."""
    STOPPED = 75
    """A signal asked it to stop: it goes on from its checkpoint (``EX_TEMPFAIL`` of sysexits.h)."""


@dataclass(frozen=True)
class Completed:
    """A job that came back.

    Attributes:
        key: of the job.
        error: what happened, when its process died without recording it.
        elsewhere: another run holds the job, or has done it in the meantime.
        cause: of the error, as far as the executor knows it.
        begun: False where its process is known to have ended before it could say anything: what the job's
            folder says is of an earlier attempt.
    """

    key: str
    error: str = ""
    elsewhere: bool = False
    cause: Cause = Cause.INFRASTRUCTURE
    begun: bool = True

    @classmethod
    def of_exit(cls, key: str, code: int) -> Completed:
        """Return what the exit code of a job's process means; below 0 it is a signal's number."""
        if code == WorkerExit.ELSEWHERE:
            return cls(key, elsewhere=True)
        if code == WorkerExit.UNWRITTEN:
            return cls(key, "the disk is full, or read-only", cause=Cause.DISK)
        if code == WorkerExit.STOPPED:
            return cls(key, "a signal stopped its process", cause=Cause.STOPPED)
        if code == WorkerExit.DONE:
            return cls(key)
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return cls(key, f"its process was {how}; see its log.txt")


THREADS, CHECKPOINT_S = "MRIBENCH_THREADS", "MRIBENCH_CHECKPOINT_S"
"""Environment variables of the process that runs a job: its CPU threads, seconds between two checkpoints."""
UNTIL_EOF = "--until-eof"


@dataclass(frozen=True)
class WorkerCommand:
    """How one job is run by a process of its own, on any machine that sees the same folders.

    The process looks for cohorts from the folder that it is started in, keeps its output in the job's
    ``log.txt``, and exits with a ``WorkerExit``.

    Attributes:
        words: of the command.
        environment: variables that it wants beside those that are there.
    """

    words: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of(cls, directory: Path, resources: Resources, *, until_eof: bool = False) -> WorkerCommand:
        """Return the command of a job's folder.

        Args:
            directory: of the job.
            resources: what it may use.
            until_eof: whether the process ends when its standard input does: when whoever started it with a
                pipe is gone, however that ended.
        """
        words = (sys.executable, "-m", "mribench.execute.worker", str(directory))
        environment = {THREADS: str(resources.threads), CHECKPOINT_S: str(resources.checkpoint_every_s)}
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
    """Runs jobs; each is a directory with a ``job.json``, and ``mribench.execute.worker`` runs it."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many jobs may be submitted and not yet completed."""

    @abstractmethod
    def submit(self, key: str, directory: Path) -> None:
        """Start the job whose specification lies in ``directory``."""

    @abstractmethod
    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield jobs that ended, waiting at most ``timeout_s`` seconds for the first."""

    def kill(self, key: str) -> None:
        """End a job that does not answer any more, at once; it then comes back from ``completed``.

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
