"""Which jobs wait for which, to the last descendant."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

from mribench.plan import Job


class Graph:
    """The jobs of a run as a graph.

    Args:
        jobs: by key.
    """

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._waiting: dict[str, list[str]] = defaultdict(list)
        for key in jobs:
            self.add(key)

    def add(self, key: str) -> None:
        """Take in a job that came to the jobs later."""
        for need in self._jobs[key].needs:
            self._waiting[need].append(key)

    def waiting_for(self, key: str) -> Sequence[str]:
        """Return the jobs that need a job themselves."""
        return self._waiting.get(key, ())

    def descendants(self, key: str) -> list[str]:
        """Return the jobs that need a job, or one that does."""
        return _walk(key, self.waiting_for)

    def ancestors(self, key: str) -> list[str]:
        """Return the jobs that a job needs, and those that they need."""
        return _walk(key, self._needs)

    def _needs(self, key: str) -> Sequence[str]:
        return [need for need in self._jobs[key].needs if need in self._jobs]


def _walk(key: str, next_to: Callable[[str], Sequence[str]]) -> list[str]:
    found: dict[str, None] = {}
    queue = deque(next_to(key))
    while queue:
        other = queue.popleft()
        if other not in found:
            found[other] = None
            queue.extend(next_to(other))
    return list(found)
