"""What failed and is not tried again, and what cannot be done because of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mribench.execute.graph import Graph
from mribench.execute.outlook import Outlook
from mribench.execute.watcher import Summary
from mribench.plan import Job


@dataclass
class Failures:
    """Keeps count of jobs that failed; the summary and the outlook of the run follow.

    Attributes:
        jobs: of the run, by key.
        graph: which of them wait for which.
        summary: of the run.
        outlook: on what is left.
        failed: jobs that failed.
        blocked: jobs that need one that failed.
    """

    jobs: Mapping[str, Job]
    graph: Graph
    summary: Summary
    outlook: Outlook
    failed: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)

    def add(self, key: str, reason: str) -> None:
        """Let a job fail, and set aside, to the last descendant, what needs it."""
        self.failed.add(key)
        self.outlook.drop(key)
        self.summary.failed[self.jobs[key].id] = reason
        for other in self.graph.descendants(key):
            if other not in self.blocked:
                self.blocked.add(other)
                self.outlook.drop(other)
                self.summary.blocked.append(self.jobs[other].id)

    def forget(self, key: str) -> None:
        """Take up a job again, and what needs it and no other one that failed."""
        self.failed.remove(key)
        self.summary.failed.pop(self.jobs[key].id)
        self.outlook.take_up(key)
        for other in self.graph.descendants(key):
            if not self.failed.intersection(self.graph.ancestors(other)):
                self.blocked.discard(other)
                self.outlook.take_up(other)
                self.summary.blocked.remove(self.jobs[other].id)
