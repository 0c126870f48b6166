"""What a job costs beyond its own work: a thousand jobs that do nothing, through each executor.

Everything but the work is real: folders, leases, processes, logs, Parquet files, statuses, the order of the
queue. Pretrainings, their adaptations and their evaluations wait for each other as in a benchmark.

Example: python benchmarks/perf/jobs.py --jobs 1000 --executor local --at-a-time 2

The process of each job imports this file, as it does the script of ``mribench``: what is heavy is imported
where it is used.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

NAMES = ("benchmark", "profile", "method", "arm", "dataset", "task", "test_site", "test_sequence")
ADAPTATIONS, EVALUATIONS = 9, 10
"""Adaptations of a pretraining, evaluations of an adaptation: a hundred jobs belong together."""


def work_without_work(*arguments: object) -> None:
    """Run a job in a process of its own, as ever, but for what it computes."""
    from mribench.execute import worker

    worker.run_spec = do_nothing
    worker.main(*arguments)


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
    from mribench.results.records import CELL_COLUMNS
    from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec, TrainedCohort, key_of

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
    from mribench.execute import local, worker
    from mribench.execute.scheduler import execute
    from mribench.execute.watcher import Summary
    from mribench.interfaces.executor import Resources
    from mribench.interfaces.options import NoOptions
    from mribench.plugins import load_registry
    from mribench.results import Store
    from mribench.results.specification import Provenance

    make = {"inline": local.InlineExecutor, "local": local.LocalExecutor}[name]
    worker.run_spec, worker.main = do_nothing, work_without_work
    load_registry()
    jobs = make_jobs(number)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "none")
        store.open()
        first = dict(list(jobs.items())[:1])
        for part, what in (
            (first, "the first job, with the start of the server"),
            (jobs, "each other job"),
            (jobs, "a run of jobs that are all done"),
        ):
            summary, start = Summary(), time.perf_counter()
            executor = make(NoOptions(), Resources(jobs=at_a_time))
            execute(part, store, executor, Silence(), Provenance(), summary)
            seconds, done = time.perf_counter() - start, summary.executed.total()
            if done + summary.cached != len(part):
                raise SystemExit(f"expected {len(part)} jobs, {done} were executed: {summary.failed}")
            print(f"{name}, {at_a_time} at a time: {what}: {seconds / (done or 1):.3f} s ({done} executed)")


def main() -> None:
    """Measure as the options say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--executor", choices=("inline", "local"), action="append")
    parser.add_argument("--at-a-time", type=int, default=2, help="processes of the local executor")
    arguments = parser.parse_args()
    for name in arguments.executor or ("inline", "local"):
        measure(name, arguments.jobs, 1 if name == "inline" else arguments.at_a_time)


if __name__ == "__main__":
    main()
