"""An executor that a test directs, and who writes down what a run tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from specifications import adapt_spec, evaluate_spec, pretrain_spec

from mribench.execute.limits import Limits
from mribench.execute.scheduler import execute
from mribench.execute.watcher import Summary
from mribench.interfaces.executor import Batch, Completed, Executor
from mribench.plan import Job
from mribench.results import Store
from mribench.results.records import JOB_SCHEMA, write_table
from mribench.results.specification import Provenance
from mribench.results.status import JobStatus, write_status

DONE = JobStatus("done")
KILLED = Completed("", "its process was killed by signal 9")


def job(key: str, *needs: str, steps: int = 5) -> Job:
    """Return a job of which nothing matters but what it needs and how long it trains."""
    if not needs:
        return Job(id=key, spec=pretrain_spec(pretrain={"steps": steps}), key=key)
    if len(needs) == 1:
        return Job(id=key, spec=adapt_spec(pretrain_key=needs[0], adapt={"steps": steps}), key=key)
    return Job(id=key, spec=evaluate_spec(pretrain_key=needs[0], adapt_key=needs[1]), key=key)


def jobs(*all_of_them: Job) -> dict[str, Job]:
    return {str(each.key): each for each in all_of_them}


class Diary:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def planned(self, todo: int, done: int) -> None:
        self.told.append(("planned", f"{todo} {done}"))

    def started(self, job: Job) -> None:
        self.told.append(("started", job.id))

    def ended(self, job: Job, status: JobStatus) -> None:
        self.told.append((status.state, job.id))

    def retrying(self, job: Job, status: JobStatus, wait_s: float) -> None:
        self.told.append(("again", job.id))

    def noted(self, sentence: str) -> None:
        self.told.append(("noted", sentence))

    def waiting(self, running: Mapping[str, Job], left_s: float | None) -> None:
        """Nothing is written down."""


Result = JobStatus | Completed | Callable[[Path], JobStatus | Completed]


@dataclass
class Directed(Executor):
    """Ends each attempt of a job as the test says; done where it says nothing.

    Attributes:
        batches: the jobs of each batch.
        beside: of each batch, the jobs that were submitted and had not ended, with its own.
        measured: further columns of each job's row.
    """

    script: dict[str, list[Result]] = field(default_factory=dict)
    capacity: int = 2
    startup_s: float = 0.0
    batches: list[list[str]] = field(default_factory=list)
    beside: list[tuple[str, ...]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    closed: bool = False
    measured: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._running: list[Batch] = []

    @property
    def submitted(self) -> list[str]:
        return [key for batch in self.batches for key in batch]

    def submit(self, batch: Batch) -> None:
        self._running.append(batch)
        self.beside.append(tuple(key for each in self._running for key in each.folders))
        self.batches.append(list(batch.folders))

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        batch = self._running[0]
        died = self._run(batch)
        self._running.remove(batch)
        yield died or Completed(batch.id)

    def _run(self, batch: Batch) -> Completed | None:
        """Run the jobs of a batch, to the end or to the one that its process dies of."""
        for key, directory in batch.folders.items():
            write_status(directory, JobStatus("running", batch=batch.id))
            result: Result = (self.script.get(key) or [DONE]).pop(0)
            result = result(directory) if callable(result) else result
            if isinstance(result, Completed):
                return replace(result, batch=batch.id)
            if result.state == "done":
                row = {"job_key": key, "kind": "evaluate", "wall_s": 1.0, **self.measured}
                write_table(directory / "job.parquet", [row], JOB_SCHEMA)
            write_status(directory, replace(result, batch=batch.id))
        return None

    def kill(self, key: str) -> None:
        self.killed.append(key)

    def close(self) -> None:
        self.closed = True


def run(
    store: Store, todo: dict[str, Job], executor: Directed, limits: Limits | None = None
) -> tuple[Summary, Diary]:
    diary, summary = Diary(), Summary()
    execute(todo, store, executor, diary, Provenance(), summary, limits=limits)
    assert executor.closed
    return summary, diary
