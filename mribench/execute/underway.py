"""Batches that were submitted: which job of each runs, and which have ended while their process goes on."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from mribench.interfaces.executor import Batch, Completed
from mribench.results.status import JobStatus, read_status

MOST = 32
"""Jobs of a batch at most."""
WORTH = 10.0
"""A process is worth its start when it does so many times as much work."""


@dataclass(frozen=True)
class BatchSize:
    """How many jobs one process runs.

    There are never fewer batches than free places, unless their jobs are so short that a process costs more.

    Attributes:
        share: jobs for each free place, rounded up.
        worth_s: seconds of work that a process is worth.
    """

    share: int
    worth_s: float

    @classmethod
    def of(cls, n_ready: int, n_free: int, startup_s: float) -> BatchSize:
        """Return the size where so many jobs are ready and so many places are free."""
        return cls(math.ceil(n_ready / max(n_free, 1)), WORTH * startup_s)

    def admits(self, n_jobs: int, each_s: float | None, *, trains: bool) -> bool:
        """Whether a batch may have so many jobs.

        Args:
            n_jobs: in it.
            each_s: seconds that one takes; None where that is not known.
            trains: whether they train: then others may wait for each of them, and they share little.
        """
        if n_jobs > MOST:
            return False
        short = each_s is not None and n_jobs * each_s <= self.worth_s
        return short or (not trains and n_jobs <= self.share)


@dataclass
class Underway:
    """A batch that was submitted.

    Attributes:
        batch: its jobs.
        left: the keys of those that are not known to have ended; the first one runs, or is the next to.
        since: when it was submitted, on the monotonic clock.
    """

    batch: Batch
    left: deque[str] = field(init=False)
    since: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        self.left = deque(self.batch.folders)

    def came_back(self, key: str) -> Completed:
        """Return what is known of a job that ended before the process: that is not what it ended of."""
        return Completed(self.batch.id, elsewhere=self.said(key) is None)

    def said(self, key: str) -> JobStatus | None:
        """Return what the batch's process has said of a job; None where that is nothing."""
        status = read_status(self.batch.folders[key])
        return status if status is not None and status.batch == self.batch.id else None

    def take_ended(self) -> Iterator[str]:
        """Take out and yield jobs that have ended while the process goes on; the last one ends with it."""
        while len(self.left) > 1 and self._is_over(self.left[0], self.left[1]):
            yield self.left.popleft()

    def _is_over(self, key: str, following: str) -> bool:
        said = self.said(key)
        if said is None:  # another process has it: then this one has gone on to the next job
            return self.said(following) is not None
        return said.state != "running"

    def split(self) -> tuple[list[str], list[str]]:
        """Return what the process, which has ended, came to, the first job at least, and what it did not."""
        left = list(self.left)
        n_begun = int(len(left) == len(self.batch.folders))
        for place, key in enumerate(left, start=1):
            if self.said(key) is not None:
                n_begun = place
        return left[:n_begun], left[n_begun:]
