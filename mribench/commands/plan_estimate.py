"""What ``mribench plan --estimate`` shows: hours and memory, by trials."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.table import Table

from mribench.commands.engine import find_resources
from mribench.commands.planning import Planned
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import print_table, say
from mribench.execute.estimates import Estimate, estimate_jobs, peak_bytes, wall_s
from mribench.interfaces.channels import Channels
from mribench.plan import Job
from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec
from mribench.wording import count, duration, size


def show_estimate(console: Console, planned: Planned) -> None:
    """Try a few steps of each kind of job that is to do, and say how long all will take.

    Trials lie in a temporary folder; nothing of them is kept.
    """
    jobs = planned.plan.runnable()
    todo = {key for key in jobs if not planned.store.is_done(key)}
    if not todo:
        say(console, "estimate: all is done" if jobs else "estimate: no job can be tried without its data")
        return
    resources = find_resources(planned.resolved.config.execution)
    with RunProgress(console) as progress, tempfile.TemporaryDirectory(prefix="mribench-") as folder:
        estimates = estimate_jobs(jobs, todo, Path(folder), resources, progress.preparing)
    _print_costs(console, estimates)
    _say_time(console, estimates, resources.jobs)
    _say_memory(console, estimates, len(resources.gpus), resources.jobs)


def _print_costs(console: Console, estimates: Sequence[Estimate]) -> None:
    table = Table(title="Estimate, by a trial of each")
    table.add_column("kind")
    table.add_column("of")
    for column in ("jobs", "a step, or scan", "a job", "all", "memory"):
        table.add_column(column, justify="right")
    for estimate in estimates:
        trial = estimate.trial
        all_s, job_s = estimate.all_s(), estimate.job_s(estimate.tried)
        measured = (
            ("", "", "", "")
            if all_s is None or job_s is None
            else (f"{trial.step_s:.2g} s", duration(job_s), duration(all_s), size(trial.peak_memory_bytes))
        )
        table.add_row(estimate.tried.kind, _describe(estimate.tried), str(len(estimate.jobs)), *measured)
    print_table(console, table, key=1)
    for estimate in estimates:
        if estimate.trial.error:
            say(console, f"could not be tried: {estimate.tried.id}: {estimate.trial.error}", "yellow")


def _describe(job: Job) -> str:
    """Say what costs the same as a job: never a seed, a label fraction or a site."""
    spec = job.spec
    match spec:
        case PretrainSpec():
            return f"{spec.objective.name} of {spec.views.name}, {spec.encoder.name}"
        case AdaptSpec():
            return f"{spec.task.name} on {spec.sequence}, {spec.arm}, {spec.encoder.name}"
        case EvaluateSpec():
            return f"{spec.task.name} on {Channels(spec.channels).name}, {spec.arm}, {spec.encoder.name}"
        case _:
            return spec.encoder.name


def _say_time(console: Console, estimates: Sequence[Estimate], at_a_time: int) -> None:
    work_s = [estimate.all_s() for estimate in estimates]
    known_s = sum(seconds for seconds in work_s if seconds is not None)
    devices = ", ".join(dict.fromkeys(each.trial.device for each in estimates if each.trial.device))
    more = " at least, for some could not be tried" if None in work_s else ""
    say(
        console,
        f"about {duration(wall_s(estimates, at_a_time))}{more}, {count(at_a_time, 'job')} at a time; "
        f"{duration(known_s)} of work on {devices or 'no device'}",
    )


def _say_memory(console: Console, estimates: Sequence[Estimate], gpus: int, at_a_time: int) -> None:
    """Say what jobs need together, and which need more than there is."""
    there = torch.cuda.get_device_properties(0).total_memory if gpus else psutil.virtual_memory().total
    place = "its GPU" if gpus else "this machine"
    beside = max(1, at_a_time // gpus) if gpus else at_a_time
    needed = peak_bytes(estimates, beside)
    jobs = count(beside, "job")
    say(console, f"memory: up to {size(needed)} for {jobs} at a time; {place} has {size(there)}")
    too_large = [each for each in estimates if each.trial.peak_memory_bytes > there]
    for estimate in too_large:
        say(console, f"will not fit: {count(len(estimate.jobs), 'job')} like {estimate.tried.id}", "yellow")
    if needed > there and not too_large:
        fit = max(n for n in range(1, beside + 1) if peak_bytes(estimates, n) <= there)
        say(console, f"run with --jobs {fit * max(1, gpus)}: more jobs at a time may not fit", "yellow")
