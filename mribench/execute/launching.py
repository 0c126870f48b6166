"""What comes before a job is submitted: its folder, and which others share its process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mribench.execute.outlook import Outlook, steps_of
from mribench.execute.underway import BatchSize
from mribench.interfaces.executor import Executor
from mribench.plan import Job
from mribench.results import Store
from mribench.results.specification import Provenance, Specification, write_specification


@dataclass(frozen=True)
class Launcher:
    """Makes folders of jobs, and chooses what is submitted together.

    Attributes:
        jobs: of the run, by key.
        store: the results directory.
        executor: where they run.
        provenance: where the jobs come from.
        examples: whether they keep pictures of scans.
        outlook: on how long they take.
    """

    jobs: Mapping[str, Job]
    store: Store
    executor: Executor
    provenance: Provenance
    examples: bool
    outlook: Outlook

    def make_folder(self, key: str) -> Path:
        """Make the folder of a job, with its ``job.json``.

        Raises:
            OSError: when it cannot be made.
            StoreError: when nothing can be written there.
        """
        job = self.jobs[key]
        directory = self.store.make_directory(key)
        if job.content is not None:
            said = Specification(
                id=job.id,
                spec=job.spec,
                content=job.content,
                provenance=self.provenance,
                examples=self.examples,
            )
            write_specification(directory, said)
        return directory

    def choose_beside(self, key: str, others: Sequence[str], n_ready: int, n_free: int) -> Sequence[str]:
        """Return the jobs that are run in the process of a job after it.

        Where an earlier run has submitted the job, they are those that it has submitted with it.

        Args:
            key: of the job.
            others: that could be, the first one first.
            n_ready: jobs that are ready, with this one.
            n_free: places that are free, with its own.
        """
        known = self.executor.recall(self.store.directory(key))
        same = [other for other in others if self.executor.recall(self.store.directory(other)) == known]
        if known:
            return same
        size = BatchSize.of(n_ready, n_free, self.executor.startup_s)
        job = self.jobs[key]
        each_s, trains = self.outlook.estimate_s(job), steps_of(job) is not None
        n_jobs = 1
        while n_jobs <= len(same) and size.admits(n_jobs + 1, each_s, trains=trains):
            n_jobs += 1
        return same[: n_jobs - 1]
