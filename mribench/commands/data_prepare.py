"""What ``mribench data prepare`` does."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from rich.console import Console

from mribench.commands import MOST_PREPARING
from mribench.commands.plugins import say_skipped
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import say_missing
from mribench.config import load_benchmark, resolve
from mribench.data.prepared import VolumeStore, get_volume_store
from mribench.errors import DataError
from mribench.execute.processes import begin, process_context
from mribench.jobs.preparing import Made, Preparation, Wanted
from mribench.plan import make_missing, open_cohorts, plan_all
from mribench.plan.cohorts import cohort_notes
from mribench.plugins import load_registry
from mribench.registry import Registry

_WORTH_A_PROCESS = 8  # scans: a process needs some seconds to start
_SAID = 10


@dataclass
class _Result:
    made: dict[str, Made] = field(default_factory=dict)
    not_kept: int = 0
    failed: dict[str, None] = field(default_factory=dict)

    def add(self, made: Sequence[Made], problem: str) -> None:
        if problem:
            self.failed[problem] = None
        for one in made:
            if one.state == "memory":
                self.not_kept += 1
            elif one.key not in self.made or self.made[one.key].state == "found":
                self.made[one.key] = one  # what was made for one task is found by the next


def prepare_volumes(file: Path, sets: Sequence[str], jobs: int | None, verify: bool) -> int:
    """Prepare every scan that the jobs of FILE read; return 1 where something failed or is missing."""
    store = get_volume_store()
    console, result = Console(), _Result()
    with RunProgress(console) as progress:
        wanted, missing = _wanted(file, sets, progress.preparing)
        work = functools.partial(_prepare_one, verify=verify)
        for done, (made, problem) in enumerate(_each(work, wanted, jobs), start=1):
            result.add(made, problem)
            progress.preparing("preparing volumes", done, len(wanted))
    say_missing(Console(stderr=True), missing)
    for sentence in list(result.failed)[:_SAID]:
        click.secho(f"failed: {sentence}", fg="red", err=True)
    if len(result.failed) > _SAID:
        click.secho(f"failed: {len(result.failed) - _SAID} more", fg="red", err=True)
    lost = result.not_kept + sum(not store.place(key).is_dir() for key in result.made)
    if lost:
        click.secho(
            f"not kept: {lost} volumes; the cache takes at most {store.limit_bytes / 1e9:g} GB"
            " (see MRIBENCH_CACHE_GB) and leaves some of the disk free",
            fg="yellow",
            err=True,
        )
    _summarise(result, store)
    return 1 if result.failed or missing or lost else 0


def _wanted(
    file: Path, sets: Sequence[str], progress: Callable[[str, int, int], None]
) -> tuple[list[Wanted], dict[str, str]]:
    """Plan a benchmark file; return the scans that its jobs read, and a sentence for each missing cohort."""
    config = load_benchmark(file, sets)
    preparation, registry = _preparation()
    say_skipped(registry.problems)
    resolved = resolve(config, registry)
    make_missing(resolved, progress)
    cohorts = open_cohorts(resolved, progress)
    plan = plan_all(resolved, registry, cohorts)
    for sentence in cohort_notes(cohorts):
        click.secho(sentence, fg="yellow", err=True)
    specs = [job.spec for job in plan.jobs if job.key is not None]
    return preparation.find_wanted(specs), dict(plan.missing)


@functools.cache
def _preparation() -> tuple[Preparation, Registry]:
    """Return the preparation of this process, and its registry."""
    torch.set_num_threads(1)
    registry = load_registry()
    return Preparation(registry), registry


def _prepare_one(wanted: Wanted, verify: bool) -> tuple[list[Made], str]:
    """Prepare one scan, in whichever process; return what was made, or why it was not."""
    try:
        return _preparation()[0].prepare(wanted, verify), ""
    except DataError as error:
        return [], f"{wanted.subject}: {error.message}"


def _each(
    work: Callable[[Wanted], tuple[list[Made], str]], wanted: Sequence[Wanted], jobs: int | None
) -> Iterator[tuple[list[Made], str]]:
    """Yield the result for each scan, from this process or from several."""
    count = jobs or min(MOST_PREPARING, os.cpu_count() or 1)
    if count == 1 or len(wanted) < _WORTH_A_PROCESS:
        yield from map(work, wanted)
        return
    workers = min(count, len(wanted))
    with ProcessPoolExecutor(workers, process_context(), begin, (dict(os.environ),)) as pool:
        for future in as_completed([pool.submit(work, one) for one in wanted]):
            yield future.result()


def _summarise(result: _Result, store: VolumeStore) -> None:
    states = Counter(made.state for made in result.made.values())
    size_gb = sum(made.n_bytes for made in result.made.values()) / 1e9
    click.echo(
        f"{states['built']} volumes prepared, {states['found']} already there, {states['rebuilt']} rebuilt,"
        f" {len(result.failed)} failed; {size_gb:.3f} GB of {store.size()[1] / 1e9:.3f} GB in {store.folder}"
    )


def clean_cache() -> int:
    """Say how large the cache of prepared volumes is, and remove it."""
    store = get_volume_store()
    count, n_bytes = store.size()
    click.echo(f"removing {count} prepared volumes, {n_bytes / 1e9:.3f} GB, from {store.folder}")
    if store.clean():
        return 0
    click.secho(f"failed: some of {store.folder} could not be removed", fg="red", err=True)
    return 1
