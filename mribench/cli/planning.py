"""From a benchmark file to a plan, for ``run`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mribench.config import ResolvedBenchmark
    from mribench.plan import Plan
    from mribench.store import Store


@dataclass(frozen=True)
class Planned:
    """A benchmark, its jobs, and where its results lie."""

    resolved: ResolvedBenchmark
    plan: Plan
    store: Store
    digest: str


def plan_file(
    file: Path, sets: Sequence[str], results: Path, *, make: bool, progress: Callable[[str, int, int], None]
) -> Planned:
    """Read, resolve, check for leakage and plan a benchmark file.

    Args:
        file: the benchmark file.
        sets: ``key=value`` changes.
        results: folder of all results.
        make: let phantoms make themselves, and write the manifest that the report reads.
        progress: called with (what, done, in all).
    """
    from mribench.config import config_digest, load_benchmark, resolve
    from mribench.plan import build_plan, make_missing, open_cohorts
    from mribench.plan.leakage import check_leakage
    from mribench.plan.manifest import manifest
    from mribench.plugins import load_registry
    from mribench.store import Store

    config = load_benchmark(file, sets)
    registry = load_registry()
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    resolved = resolve(config, registry)
    store = Store(results / config.benchmark)
    digest = config_digest(config)
    if make:
        store.open()
        make_missing(resolved, progress)
    cohorts = open_cohorts(resolved, progress)
    check_leakage(resolved, cohorts)
    plan = build_plan(resolved, cohorts)
    if make:
        store.write_plan(digest, manifest(resolved, cohorts, plan, file.name))
    return Planned(resolved, plan, store, digest)
