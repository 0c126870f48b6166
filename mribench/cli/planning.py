"""From a benchmark file to a plan, for ``run`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mribench.config import BenchmarkConfig, ResolvedBenchmark
    from mribench.plan import Plan
    from mribench.results import Store


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
    """Read, resolve and plan a benchmark file; check for leakage, and that all its parts fit.

    Args:
        file: the benchmark file.
        sets: ``key=value`` changes.
        results: folder of all results.
        make: let phantoms make themselves, and write the manifest that the report reads.
        progress: called with (what, done, in all).
    """
    from mribench.config import config_digest, load_benchmark, resolve
    from mribench.plan import make_missing, open_cohorts, plan_all
    from mribench.plan.manifest import make_manifest
    from mribench.plugins import load_registry
    from mribench.results import Store
    from mribench.results.manifest import write_manifest

    config = load_benchmark(file, sets)
    registry = load_registry()
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    resolved = resolve(config, registry)
    check_tables(config)
    store = Store(results / config.benchmark)
    store.check()
    digest = config_digest(config)
    if make:
        store.open()
        make_missing(resolved, progress)
    cohorts = open_cohorts(resolved, progress)
    plan = plan_all(resolved, registry, cohorts)
    if make:
        write_manifest(store.plan_path(digest), make_manifest(resolved, cohorts, plan, file.name))
    return Planned(resolved, plan, store, digest)


def check_tables(config: BenchmarkConfig) -> None:
    """Refuse a table that there is not, before anything runs.

    Raises:
        ConfigError: for the first one.
    """
    from mribench.config import blaming
    from mribench.errors import ConfigError, did_you_mean
    from mribench.report.tables.layouts import names_of_tables

    known = names_of_tables(len(config.tasks), config.report.layouts)
    with blaming(config):
        for name in config.report.tables:
            if name not in known:
                raise ConfigError(
                    f"{config.source}: report.tables: there is no table '{name}'", did_you_mean(name, known)
                )
