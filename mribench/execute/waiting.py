"""Jobs that are waited for or wait themselves: which are ready, and which are not and why."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field


class ReadyQueue:
    """Jobs that can be submitted, those of the lowest rank first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._groups: dict[str, Hashable] = {}
        self._members: dict[Hashable, dict[str, int]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def push(self, key: str, rank: int, group: Hashable) -> None:
        """Take in a job.

        Args:
            key: of the job.
            rank: its place among all jobs.
            group: of jobs that one process may run; of itself where it is to be alone there.
        """
        self._groups[key] = group
        self._members[group][key] = rank
        heapq.heappush(self._heap, (rank, key))

    def pop(self) -> str:
        """Take out the first job.

        Raises:
            IndexError: when there is none.
        """
        while True:
            _, key = heapq.heappop(self._heap)
            if key in self._groups:  # else it was removed meanwhile
                self.remove(key)
                return key

    def remove(self, key: str) -> None:
        """Take out a job."""
        group = self._groups.pop(key)
        del self._members[group][key]
        if not self._members[group]:
            del self._members[group]

    def of_group(self, group: Hashable) -> list[str]:
        """Return the jobs of a group, the first one first."""
        members = self._members.get(group, {})
        return sorted(members, key=lambda key: members[key])


@dataclass
class Held:
    """Jobs that nothing is missing for, and that are held back all the same.

    Attributes:
        resting: what failed and is tried again, by when: (time, key).
        alone: what wanted too much memory, and is tried again with nothing beside it.
        elsewhere: what another process holds.
    """

    resting: list[tuple[float, str]] = field(default_factory=list)
    alone: deque[str] = field(default_factory=deque)
    elsewhere: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.resting) + len(self.alone) + len(self.elsewhere)

    def __iter__(self) -> Iterator[str]:
        yield from (key for _, key in self.resting)
        yield from self.alone
        yield from self.elsewhere

    def rest(self, key: str, wait_s: float) -> None:
        """Hold a job back for some seconds."""
        heapq.heappush(self.resting, (time.monotonic() + wait_s, key))

    def take_rested(self) -> Iterator[str]:
        """Take out and yield what has rested."""
        while self.resting and self.resting[0][0] <= time.monotonic():
            yield heapq.heappop(self.resting)[1]
