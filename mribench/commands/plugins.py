"""What commands need of plugins: their entries, their tables, and a word about those that do not load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from mribench.config import BenchmarkConfig, blame_settings
from mribench.errors import ConfigError, did_you_mean
from mribench.interfaces.table_source import TableSource
from mribench.plugins import load_registry, load_tables
from mribench.registry import Registry
from mribench.report import BUILT_IN, taken_names


def load_plugins() -> Registry:
    """Return all entries; warn of the plugins that do not load."""
    registry = load_registry()
    say_skipped(registry.problems)
    return registry


def say_skipped(problems: Iterable[str]) -> None:
    """Warn of plugins that do not load, one sentence each."""
    for problem in problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)


def table_sources() -> tuple[TableSource, ...]:
    """Load the plugins of tables; say which were skipped."""
    sources, problems = load_tables()
    say_skipped(problems)
    return sources


def check_tables(config: BenchmarkConfig, sources: Sequence[TableSource]) -> None:
    """Refuse a table that there is not and a layout whose name is taken, before anything runs.

    Args:
        config: the benchmark file.
        sources: the tables of plugins.

    Raises:
        ConfigError: for the first one.
    """
    taken = taken_names(list(config.tasks), sources)
    known = [*taken, *config.report.layouts]
    with blame_settings(config):
        for name in config.report.layouts:
            if name in taken:
                raise ConfigError(
                    f"{config.source}: report.layouts.{name}: this name is taken", "give the layout another"
                )
        for name in config.report.tables:
            if name not in known:
                raise ConfigError(
                    f"{config.source}: report.tables: there is no table '{name}'", did_you_mean(name, known)
                )


def table_words() -> str:
    """Return what ``--table`` may be, for the help of ``mribench report``."""
    names = [spec.name for spec in BUILT_IN]
    of_plugins = [source.help for source in table_sources() if source.help]
    return ", or ".join(filter(None, (", ".join(names), ", ".join(of_plugins))))
