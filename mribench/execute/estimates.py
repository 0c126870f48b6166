"""How long the jobs of a plan will take, and how much memory, by a trial of each configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mribench.arms import DECODER_ARMS
from mribench.execute.alike import configuration
from mribench.execute.outlook import steps_of
from mribench.execute.trial import Trial, try_job
from mribench.interfaces.executor import Resources
from mribench.plan import Job
from mribench.results.durations import estimate_left
from mribench.results.specification import (
    AdaptSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    PretrainSpec,
    Specification,
    TrainingOptions,
    write_specification,
)

_PRETRAIN_STEPS = 8
"""Steps of a trial: the checks that are made four times in a training come after every second one."""
_ADAPT_STEPS = 3


@dataclass(frozen=True)
class Estimate:
    """What is known of jobs that cost the same.

    Attributes:
        tried: one of them.
        jobs: all of them, by key.
        trial: of the one.
    """

    tried: Job
    jobs: Mapping[str, Job]
    trial: Trial

    def job_s(self, job: Job) -> float | None:
        """Return the seconds of one of the jobs; None where the trial failed."""
        if self.trial.error:
            return None
        return self.trial.whole_s(steps_of(job) or self._count_scans(job))

    def all_s(self) -> float | None:
        """Return the seconds of all the jobs, one after another; None where the trial failed."""
        seconds = [self.job_s(job) for job in self.jobs.values()]
        return None if None in seconds else sum(each for each in seconds if each is not None)

    def _count_scans(self, job: Job) -> int:
        """Return how many scans a job reads, by those that the tried one had of each person."""
        return max(
            1, round(self.trial.total * _count_people(job.spec) / max(1, _count_people(self.tried.spec)))
        )


def estimate_jobs(
    jobs: Mapping[str, Job],
    todo: Collection[str],
    folder: Path,
    resources: Resources,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Estimate]:
    """Try one job of each configuration, and return what is known of all.

    Args:
        jobs: by key, dependencies first.
        todo: keys of those whose cost is asked for.
        folder: an empty one, for the trials.
        resources: of the run; trials take its first GPU, one after another.
        progress: called with (what, done, in all).
    """
    alike = _group_alike(jobs, todo)
    stands_for = {key: next(iter(group)) for group in alike for key in group}
    failed: set[str] = set()
    estimates = []
    for done, group in enumerate(alike, start=1):
        key, job = next(iter(group.items()))
        trial = _try(job, folder / key, stands_for, failed, resources)
        if not trial.complete:
            failed.add(key)
        estimates.append(Estimate(job, {key: job for key, job in group.items() if key in todo}, trial))
        progress("trials", done, len(alike))
    return [estimate for estimate in estimates if estimate.jobs]


def _group_alike(jobs: Mapping[str, Job], todo: Collection[str]) -> list[dict[str, Job]]:
    """Return the jobs that are to do, and the heads that they are evaluated with, by what costs the same."""
    wanted = set(todo)
    for key in todo:
        wanted.update(need for need in jobs[key].needs if isinstance(jobs[key].spec, EvaluateSpec))
    alike: dict[str, dict[str, Job]] = {}
    for key, job in jobs.items():
        if key in wanted and not (key not in todo and isinstance(job.spec, PretrainSpec)):
            alike.setdefault(configuration(job.spec), {})[key] = job
    return list(alike.values())


def wall_s(estimates: Iterable[Estimate], at_a_time: int) -> float:
    """Return the seconds that all jobs take together, those left out that could not be tried."""
    seconds: dict[str, float] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for estimate in estimates:
        for key, job in estimate.jobs.items():
            needs[key] = job.needs
            seconds[key] = estimate.job_s(job) or 0.0
    return estimate_left(seconds, needs, at_a_time)


def peak_bytes(estimates: Sequence[Estimate], at_a_time: int) -> int:
    """Return the memory that so many jobs at a time may need: that of the largest ones."""
    peaks: list[int] = []
    for estimate in estimates:
        peaks += [estimate.trial.peak_memory_bytes] * min(len(estimate.jobs), at_a_time)
    return sum(sorted(peaks)[-at_a_time:])


def _try(
    job: Job, folder: Path, stands_for: Mapping[str, str], failed: Collection[str], resources: Resources
) -> Trial:
    """Try a job, on a head that another trial has left."""
    if job.content is None:
        return Trial(error="its data are not there")
    needed = next((stands_for.get(key) for key in job.spec.builds_on().get("adapt_key", ())), None)
    if needed in failed:
        return Trial(error="the job that it builds on could not be tried to its end")
    folder.mkdir()
    spec = _shorten(job.spec, needed)
    write_specification(folder, Specification(id=job.id, spec=spec, content=job.content, examples=False))
    gpu = resources.gpus[0] if resources.gpus else None
    return try_job(folder, gpu, resources.threads)


def _shorten(spec: JobSpec, adapt_key: str | None) -> JobSpec:
    """Return what is asked of a trial: fewer steps, and nothing that another job has pretrained."""
    match spec:
        case PretrainSpec(pretrain=options):
            return replace(spec, pretrain=_take_fewer_steps(options, _PRETRAIN_STEPS))
        case AdaptSpec(adapt=options):
            arm = spec.arm.split("+")[0] if spec.arm in DECODER_ARMS else spec.arm
            fewer = _take_fewer_steps(options, _ADAPT_STEPS)
            return replace(spec, pretrain_key=None, trial_keys=(), arm=arm, adapt=fewer)
        case EvaluateSpec():
            return replace(spec, pretrain_key=None, adapt_key=adapt_key)
        case EmbedSpec():
            return replace(spec, pretrain_key=None)


def _take_fewer_steps(options: TrainingOptions, most: int) -> TrainingOptions:
    """Return the options of a training with so many steps at most; of one that has none, as they are."""
    steps = options.get("steps")
    return {**options, "steps": min(steps, most)} if isinstance(steps, int) else options


def _count_people(spec: JobSpec) -> int:
    match spec:
        case PretrainSpec():
            return sum(len(source.train) for source in spec.sources)
        case AdaptSpec():
            return len(spec.train) + len(spec.validation)
        case EvaluateSpec() | EmbedSpec():
            return len(spec.subjects)
