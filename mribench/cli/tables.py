"""The tables of plugins, for the commands that show or check tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mribench.config import BenchmarkConfig
    from mribench.interfaces.table_source import TableSource


def table_sources() -> tuple[TableSource, ...]:
    """Load the plugins of tables; say which were skipped."""
    from mribench.plugins import load_tables

    sources, problems = load_tables()
    for problem in problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    return sources


def check_tables(config: BenchmarkConfig, sources: Sequence[TableSource]) -> None:
    """Refuse a table that there is not and a layout whose name is taken, before anything runs.

    Args:
        config: the benchmark file.
        sources: the tables of plugins.

    Raises:
        ConfigError: for the first one.
    """
    from mribench.config import blaming
    from mribench.errors import ConfigError, did_you_mean
    from mribench.report import taken_names

    taken = taken_names(list(config.tasks), sources)
    known = [*taken, *config.report.layouts]
    with blaming(config):
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
    from mribench.report import BUILT_IN, FIRST_PARTY

    names = [spec.name for spec in BUILT_IN]
    of_plugins = [source.help for source in (*FIRST_PARTY, *table_sources()) if source.help]
    return ", or ".join(filter(None, (", ".join(names), ", ".join(of_plugins))))
