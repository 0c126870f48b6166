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
    from mribench.cli.tables import check_tables, table_sources
    from mribench.config import load_benchmark, resolve
    from mribench.plan import make_missing, open_cohorts, plan_all
    from mribench.plan.manifest import manifest
    from mribench.plugins import load_registry
    from mribench.results import Store

    config = load_benchmark(file, sets)
    registry = load_registry()
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    resolved = resolve(config, registry)
    check_tables(config, table_sources())
    store = Store(results / config.benchmark)
    store.check()
    digest = plan_name(store.root, config)
    if make:
        store.open()
        make_missing(resolved, progress)
    cohorts = open_cohorts(resolved, progress)
    plan = plan_all(resolved, registry, cohorts)
    if make:
        store.write_plan(digest, manifest(resolved, cohorts, plan, file.name))
    return Planned(resolved, plan, store, digest)


def plan_name(directory: Path, config: BenchmarkConfig) -> str:
    """Return the name, in ``plans/``, of the plan of a file's settings: their digest.

    Plans of before ``report:`` was left out of the digest keep the name that they have, so that the same
    settings never have two.

    Args:
        directory: ``<results>/<benchmark>``.
        config: the benchmark file.
    """
    from mribench.config import config_digest

    digest = config_digest(config)
    if (directory / "plans" / f"{digest}.json").exists():
        return digest
    stored = [(*_settings(path), path.stem) for path in (directory / "plans").glob("*.json")]
    same = [(created, name) for settings, created, name in stored if settings == digest]
    return max(same)[1] if same else digest


def _settings(path: Path) -> tuple[str, str]:
    """Return the digest of a plan's settings, and when it was made; empty where that cannot be read."""
    from mribench.config import settings_digest
    from mribench.errors import StoreError
    from mribench.results import read_json

    try:
        manifest = read_json(path)
        return settings_digest(manifest["config"]), str(manifest["created"])
    except (StoreError, ValueError, TypeError, KeyError, AttributeError):
        return "", ""  # who reads that plan is told so; other settings are not held up by it
