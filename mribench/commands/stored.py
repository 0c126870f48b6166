"""Whether the tables that a benchmark file names are known."""

from __future__ import annotations

from mribench.config import BenchmarkConfig, blaming
from mribench.errors import ConfigError, did_you_mean
from mribench.report.tables.layouts import names_of_tables


def check_tables(config: BenchmarkConfig) -> None:
    """Refuse a table that there is not, before anything runs.

    Raises:
        ConfigError: for the first one.
    """
    known = names_of_tables(len(config.tasks), config.report.layouts)
    with blaming(config):
        for name in config.report.tables:
            if name not in known:
                raise ConfigError(
                    f"{config.source}: report.tables: there is no table '{name}'", did_you_mean(name, known)
                )
