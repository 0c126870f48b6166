"""Jobs and plans."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.content import Content
from mribench.results.specification import JobKind, JobSpec, cell_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """One node of the DAG.

    Attributes:
        id: for people: ``seqinv/frozen/tissue/T1w/10%/seed1/test/HH/T2w``.
        spec: what it is asked.
        key: content key; None while data are missing.
        content: what else its key is made of; None while data are missing.
        method: that it is for, by name; a reference arm where no method stands behind it.
        measures: the known defect that it is there to measure, by name; empty for the benchmark's own jobs.
        chooses: whether it is there to choose a learning rate, and no table shows it.
        waiting_for: names of the cohorts that are missing.
    """

    id: str
    spec: JobSpec
    key: str | None
    content: Content | None = None
    method: str = ""
    measures: str = ""
    chooses: bool = False
    waiting_for: tuple[str, ...] = ()

    @property
    def kind(self) -> JobKind:
        """Kind of the job."""
        return self.spec.kind

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the jobs that must be done first."""
        return tuple(itertools.chain.from_iterable(self.spec.builds_on().values()))

    @property
    def cell(self) -> EvaluateCell | EmbedCell | None:
        """What its rows are about; None of a job that trains, or helps to choose how."""
        return None if self.chooses else cell_of(self.spec)


@dataclass(frozen=True)
class Plan:
    """All jobs of a benchmark file, dependencies first.

    Attributes:
        jobs: in an order that respects dependencies.
        missing: one sentence for each cohort that is not there.
        notes: what a reader should know: counts of label fractions, subjects left out.
    """

    jobs: tuple[Job, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def count(self) -> Counter[str]:
        """Return the number of jobs of each kind."""
        return Counter(job.kind for job in self.jobs)

    def runnable(self) -> dict[str, Job]:
        """Return the jobs that have a key, by key, each once, dependencies first."""
        return {job.key: job for job in self.jobs if job.key is not None}
