"""From a benchmark file to a plan, for ``run`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mribench.commands.garbage import without_collections
from mribench.commands.plugins import check_tables, load_plugins, table_sources
from mribench.config import (
    ResolvedBenchmark,
    digest_config,
    load_benchmark,
    resolve,
)
from mribench.plan import Plan, make_missing, open_cohorts, plan_all
from mribench.plan.manifest import make_manifest
from mribench.results import Store
from mribench.results.manifest import write_manifest
from mribench.results.sweep import sweep


@dataclass(frozen=True)
class Planned:
    """A benchmark, its jobs, and where its results lie."""

    resolved: ResolvedBenchmark
    plan: Plan
    store: Store
    digest: str


@without_collections()
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
    config = load_benchmark(file, sets)
    registry = load_plugins()
    resolved = resolve(config, registry)
    check_tables(config, table_sources())
    store = Store(results / config.benchmark)
    store.check()
    digest = digest_config(config)
    if make:
        store.open()
        sweep(store)
        make_missing(resolved, progress)
    cohorts = open_cohorts(resolved, progress)
    plan = plan_all(resolved, registry, cohorts, store.is_done)
    if make:
        write_manifest(store.plan_path(digest), make_manifest(resolved, cohorts, plan, file.name))
    return Planned(resolved, plan, store, digest)
