"""Trackers: who is told how a run goes. No torch: they run beside the scheduler, never in a job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class TrackedRun:
    """One ``mribench run``.

    Attributes:
        benchmark: name of the benchmark.
        profile: label of its rows, e.g. ``corrected``.
        file: name of the benchmark file.
        directory: where its results are kept; a tracker may keep a folder of its own name in it.
    """

    benchmark: str
    profile: str
    file: str
    directory: Path


@dataclass(frozen=True)
class TrackedJob:
    """One job.

    Attributes:
        key: content key, the same for the same job in every run: the identity of its record.
        id: for people: ``seqinv/frozen/tissue/T1w/10%/seed1``; jobs of several keys may share it.
        kind: ``pretrain``, ``adapt``, ``evaluate`` or ``embed``.
        directory: the job's folder.
        labels: what it is about, as far as it has it: ``method``, ``arm``, ``task``, ``seed``, ``profile``,
            ``fraction``, ``test_site`` and the other columns of the score rows.
    """

    key: str
    id: str
    kind: str
    directory: Path
    labels: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Logged:
    """What a job logged at one step: loss terms, or the figures of a collapse check.

    Attributes:
        step: optimiser step, from 0.
        values: by name; ``total`` is the loss that was minimised.
    """

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        state: ``done``, ``failed``, or ``interrupted`` (a later run goes on from its checkpoint).
        reason: why it is not done.
        wall_s: seconds that it took.
        scores: of a finished evaluate job: mean over subjects by metric, empty masks at the metric's penalty.
    """

    state: Literal["done", "failed", "interrupted"]
    reason: str = ""
    wall_s: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)


class Tracker(ABC):
    """Is told what a run does, call by call, in a thread beside the run that all trackers share.

    A job is announced by the run that executes it, no other. Its curve is told from step 0 in every attempt,
    whatever was told of an attempt that was killed: a record is kept under ``job.key`` and begun anew or
    completed, never doubled. An exception ends the tracking of this run, with a warning, and nothing else.
    """

    def run_started(self, run: TrackedRun) -> None:  # noqa: B027 - not every tracker needs it
        """Open the store."""

    def job_started(self, job: TrackedJob) -> None:  # noqa: B027
        """Begin the record of a job, or go on with the one that is there."""

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:  # noqa: B027
        """Take the next rows of a running job, every few seconds; all of them come before its end."""

    @abstractmethod
    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        """Complete the record of a job."""

    def run_ended(self) -> None:  # noqa: B027
        """Close the store; jobs that were not told to end are not there any more."""

    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        """Return the keys of those of the jobs, all done before this run, whose record is not complete.

        They are told anew, from start to end: a run that was killed left them, or nobody tracked it. None of
        them unless a tracker can tell.
        """
        del jobs
        return ()
