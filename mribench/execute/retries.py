"""What follows from a failed attempt: another one, and when, or none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mribench.interfaces.executor import Cause

BACKOFF_S = (2.0, 15.0, 60.0)
"""Pauses before the second, third and fourth attempt of a job that the machine failed."""
DISK_BACKOFF_S = (0.0, 15.0, 60.0, 300.0)
"""Pauses of a job whose disk was full, from when it can be written to; the last one for ever."""
FEWER_WINDOWS = 2
"""Parts of the windows at a time of a job that was out of memory. More would not give the same bits: a window
that passes a network alone is rounded otherwise than in company."""
SMALLER = "the next attempt has nothing beside it, and an evaluation takes half the windows at a time"
_OF_THE_MACHINE = (Cause.INFRASTRUCTURE, Cause.STOPPED)


@dataclass(frozen=True)
class Again:
    """Another attempt.

    Attributes:
        wait_s: not before so many seconds.
        alone: with no other job beside it.
    """

    wait_s: float
    alone: bool = False


@dataclass
class Retries:
    """Counts the attempts of jobs in this run, and says whether there is another one."""

    _failed: dict[str, Counter[Cause]] = field(default_factory=dict)
    _checkpoints: dict[str, int] = field(default_factory=dict)

    def next(self, key: str, cause: Cause | None, checkpoint: int | None = None) -> Again | None:
        """Count a failed attempt of a job; return the next one, or None where there is none.

        A signal that stops a job alone, and not the run, is the machine's: a daemon that watches the memory
        sends one. What the machine failed before a job came further is not counted any more: a training of
        days may be preempted every hour.

        Args:
            key: of the job.
            cause: of the failure.
            checkpoint: when its checkpoint was written, in ns; None where there is none.
        """
        if cause is None:
            return None
        counts = self._failed.setdefault(key, Counter())
        if checkpoint is not None and self._checkpoints.get(key) != checkpoint:
            self._checkpoints[key] = checkpoint
            for each in _OF_THE_MACHINE:
                del counts[each]
        counts[cause] += 1
        if cause in _OF_THE_MACHINE:
            failed = sum(counts[each] for each in _OF_THE_MACHINE)
            return Again(BACKOFF_S[failed - 1]) if failed <= len(BACKOFF_S) else None
        if cause is Cause.DISK:
            return Again(DISK_BACKOFF_S[min(counts[cause], len(DISK_BACKOFF_S)) - 1])
        if cause is Cause.OUT_OF_MEMORY and counts[cause] == 1:
            return Again(0.0, alone=True)
        return None

    def failures(self, key: str) -> int:
        """Return how many attempts of a job have failed."""
        return sum(self._failed.get(key, Counter()).values())

    def must_be_alone(self, key: str) -> bool:
        """Whether a job has wanted more memory than there was beside others."""
        return self._failed.get(key, Counter())[Cause.OUT_OF_MEMORY] > 0

    def window_parts(self, key: str) -> int:
        """Return in how many parts the next attempt of a job takes its windows."""
        return FEWER_WINDOWS if self.must_be_alone(key) else 1

    def forget(self, key: str) -> None:
        """Begin to count anew: a person asked for the job again."""
        self._failed.pop(key, None)
