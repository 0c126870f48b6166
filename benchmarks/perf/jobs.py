"""What a job costs beyond its own work: a thousand jobs that do nothing, through each executor.

Everything but the work is real: folders, leases, processes, logs, Parquet files, statuses, the order of the
queue. Pretrainings, their adaptations and their evaluations wait for each other as in a benchmark.

Example: python benchmarks/perf/jobs.py --jobs 1000 --executor local --at-a-time 2

``slurm`` starts a SLURM on this machine, as ``make test-cluster`` does. The process of each batch imports
this file, as it does the script of ``mribench``: what is heavy is imported where it is used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = ("benchmark", "profile", "method", "arm", "dataset", "task", "test_site", "test_sequence")
EXECUTORS, WORK = ("inline", "local", "dask", "slurm"), "--work"
ADAPTATIONS, EVALUATIONS = 9, 10
"""Adaptations of a pretraining, evaluations of an adaptation: a hundred jobs belong together."""


def work_without_work(*arguments: object) -> None:
    """Run a job in a process of its own, as ever, but for what it computes."""
    from mribench.execute import worker

    worker.run_spec = do_nothing
    worker.main(*arguments)


def run_words_without_work() -> None:
    """Run a batch as the process of a cluster does, but for what it computes."""
    from mribench.execute import worker

    worker.run_spec = do_nothing
    worker.run_words(sys.argv[2:])


@contextlib.contextmanager
def executors(name: str, at_a_time: int) -> Iterator[Callable[[], object]]:
    """Yield what makes an executor, whose processes run this file."""
    from mribench_clusters.dask_executor import DaskExecutor, DaskOptions
    from mribench_clusters.slurm import SlurmExecutor, SlurmOptions

    from mribench.execute.local import InlineExecutor, LocalExecutor
    from mribench.interfaces.executor import Resources
    from mribench.interfaces.options import NoOptions

    resources = Resources(jobs=at_a_time, worker=(str(Path(__file__).resolve()), WORK))
    if name == "inline":
        yield lambda: InlineExecutor(NoOptions(), resources)
    elif name == "local":
        yield lambda: LocalExecutor(NoOptions(), resources)
    elif name == "dask":
        yield lambda: DaskExecutor(DaskOptions(), resources)
    else:
        sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "cluster"))
        from slurm_cluster import run_slurm

        with tempfile.TemporaryDirectory() as folder, run_slurm(Path(folder)) as cluster:
            os.environ.update(cluster.environment)
            yield lambda: SlurmExecutor(SlurmOptions(poll_s=1.0), resources)


def do_nothing(spec: object, context: object) -> object:
    """Leave nothing behind."""
    from mribench.jobs import Outcome

    del spec, context
    return Outcome()


class Silence:
    """A watcher that says nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def make_jobs(number: int) -> dict[str, object]:
    """Return jobs that do nothing, by key, dependencies first."""
    from mribench.interfaces.options import DatasetRef, EncoderRef, ObjectiveRef, TaskRef, ViewsRef
    from mribench.plan import Job
    from mribench.results.cell import EvaluateCell
    from mribench.results.content import Content
    from mribench.results.keys import key_of
    from mribench.results.records import CELL_COLUMNS
    from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec, TrainedCohort

    none = dict.fromkeys(CELL_COLUMNS) | dict.fromkeys(NAMES, "none")
    content = Content(results=1, entries=(), cohorts=())
    common = {"profile": "corrected", "encoder": EncoderRef(name="none"), "split_digest": "none"}
    cohort = {"cohort": "none", "data": DatasetRef(name="none")}
    shared = {**common, **cohort, "task": TaskRef(name="none"), "channels": ("T1w",), "adapt": {"steps": 1}}
    source = TrainedCohort(**cohort, train=("a",), held_out=())
    method = {"views": ViewsRef(name="none"), "objective": ObjectiveRef(name="none"), "sources": (source,)}
    jobs: dict[str, object] = {}

    def add(spec: object) -> str:
        key = key_of(spec, content)
        jobs[key] = Job(id=f"{spec.kind}/{len(jobs)}", spec=spec, key=key, content=content)
        return key

    for seed in range(-(-number // (1 + ADAPTATIONS * (1 + EVALUATIONS)))):
        pretrained = add(PretrainSpec(**common, **method, pretrain={"steps": 1}, seed=seed))
        for part in range(ADAPTATIONS):
            people = {"train": (f"{part}",), "validation": ()}
            adapted = add(AdaptSpec(**shared, **people, arm="none", seed=seed, pretrain_key=pretrained))
            for place in range(EVALUATIONS):
                cell = EvaluateCell(**{**none, "seed": seed})
                needs = {"adapt_key": adapted, "pretrain_key": pretrained}
                add(EvaluateSpec(**shared, **needs, subjects=(f"{place}",), cell=cell))
    return dict(list(jobs.items())[:number])


def measure(name: str, number: int, at_a_time: int) -> None:
    """Print what a job costs through an executor."""
    from mribench.execute import worker
    from mribench.execute.scheduler import execute
    from mribench.execute.watcher import Summary
    from mribench.plugins import load_registry
    from mribench.results import Store
    from mribench.results.specification import Provenance

    worker.run_spec, worker.main = do_nothing, work_without_work
    load_registry()
    jobs = make_jobs(number)
    with tempfile.TemporaryDirectory() as folder, executors(name, at_a_time) as make:
        store = Store(Path(folder) / "none")
        store.open()
        first = dict(list(jobs.items())[:1])
        for part, what in (
            (first, "the first job, with the start of the server"),
            (jobs, "each other job"),
            (jobs, "a run of jobs that are all done"),
        ):
            summary, start = Summary(), time.perf_counter()
            execute(part, store, make(), Silence(), Provenance(), summary)
            seconds, done = time.perf_counter() - start, summary.executed.total()
            if done + summary.cached != len(part):
                raise SystemExit(f"expected {len(part)} jobs, {done} were executed: {summary.failed}")
            print(f"{name}, {at_a_time} at a time: {what}: {seconds / (done or 1):.3f} s ({done} executed)")


def main() -> None:
    """Measure as the options say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--executor", choices=EXECUTORS, action="append")
    parser.add_argument("--at-a-time", type=int, default=2, help="processes of local and dask")
    arguments = parser.parse_args()
    for name in arguments.executor or ("inline", "local"):
        measure(name, arguments.jobs, 1 if name == "inline" else arguments.at_a_time)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORK]:
        run_words_without_work()
    else:
        main()
