"""What a run tells whoever watches it, and what it says of itself at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mribench.plan import Job
from mribench.results.status import JobStatus


class Watcher(Protocol):
    """Is told what happens; the terminal's progress, or nobody."""

    def planned(self, todo: int, done: int) -> None:
        """Say how much there is to do."""

    def started(self, job: Job) -> None:
        """Say that a job was submitted."""

    def ended(self, job: Job, status: JobStatus) -> None:
        """Say that a job ended."""

    def retrying(self, job: Job, status: JobStatus, wait_s: float) -> None:
        """Say that an attempt of a job failed, and that there is another one, in so many seconds."""

    def noted(self, sentence: str) -> None:
        """Say something about the run as a whole: that it waits, and what for."""

    def waiting(self, running: Mapping[str, Job], left_s: float | None) -> None:
        """Say what runs, and how many seconds are left; None where that cannot be estimated yet."""


@dataclass
class Summary:
    """What a run did.

    Attributes:
        executed: jobs run to their end, by kind.
        cached: jobs that were done before.
        failed: jobs that failed, with the reason.
        blocked: jobs that need a failed one.
        retries: attempts that were made again.
        left: jobs that were not finished when the run was stopped.
        wall_s: time of the whole run.
        inspected: how its jobs stand, by key, where all were found done and so nothing was run.
        places: how many batches were underway at a time, at most.
        busy_s: time of all batches, from their submission to the end of their processes.
        work_s: time of all jobs that were run to their end, as their records have it.
    """

    executed: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    retries: int = 0
    left: int = 0
    wall_s: float = 0.0
    inspected: Mapping[str, JobStatus] = field(default_factory=dict)
    places: int = 1
    busy_s: float = 0.0
    work_s: float = 0.0
