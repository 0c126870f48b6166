"""Executors: where jobs run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        jobs: jobs at a time.
        threads: CPU threads of each job.
        gpus: CUDA device ids; empty means the CPU.
    """

    jobs: int = 1
    threads: int = 1
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completed:
    """A job that came back.

    Attributes:
        key: of the job.
        error: what happened, when its process died without recording it.
        elsewhere: another run holds the job, or has done it in the meantime.
    """

    key: str
    error: str = ""
    elsewhere: bool = False


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

    @abstractmethod
    def close(self) -> None:
        """End everything that this executor started."""
