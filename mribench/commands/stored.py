"""What a benchmark file's settings are called among the results, and whether its tables are known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mribench.config import BenchmarkConfig, blaming, config_digest, settings_digest
from mribench.errors import ConfigError, StoreError, did_you_mean
from mribench.report import RunData
from mribench.report.tables.layouts import table_names
from mribench.results import read_json


def plan_name(directory: Path, config: BenchmarkConfig) -> str:
    """Return the name, in ``plans/``, of the plan of a file's settings: their digest.

    Plans of before ``report:`` was left out of the digest keep the name that they have, so that the same
    settings never have two.

    Args:
        directory: ``<results>/<benchmark>``.
        config: the benchmark file.
    """
    digest = config_digest(config)
    if (directory / "plans" / f"{digest}.json").exists():
        return digest
    stored = [(*_settings(path), path.stem) for path in (directory / "plans").glob("*.json")]
    same = [(created, name) for settings, created, name in stored if settings == digest]
    return max(same)[1] if same else digest


def _settings(path: Path) -> tuple[str, str]:
    """Return the digest of a plan's settings, and when it was made; empty where that cannot be read."""
    try:
        manifest = read_json(path)
        return settings_digest(manifest["config"]), str(manifest["created"])
    except (StoreError, ValueError, TypeError, KeyError, AttributeError):
        return "", ""  # who reads that plan is told so; other settings are not held up by it


def check_tables(config: BenchmarkConfig) -> None:
    """Refuse a table that there is not, before anything runs.

    Raises:
        ConfigError: for the first one.
    """
    nothing = pd.DataFrame()
    about = {"tasks": dict(config.tasks), "report": config.report.model_dump(mode="json")}
    known = table_names(RunData(about, nothing, nothing, nothing, {}, {}))
    with blaming(config):
        for name in config.report.tables:
            if name not in known:
                raise ConfigError(
                    f"{config.source}: report.tables: there is no table '{name}'", did_you_mean(name, known)
                )
