"""One short text that says which settings a benchmark file makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mribench.config.model import BenchmarkConfig
from mribench.digests import digest_of


def config_digest(config: BenchmarkConfig) -> str:
    """Return ``settings_digest`` of a benchmark file, defaults included."""
    return settings_digest(config.model_dump(mode="json"))


def settings_digest(content: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the canonical JSON of a config.

    Left out are ``report:``, which is shown and not run, and the ``root`` of each cohort: the same data at
    another place are the same settings.

    Args:
        content: a config as JSON, as the manifest of a plan has it.
    """
    settings = {name: value for name, value in content.items() if name not in ("report", "data")}
    settings["data"] = {name: _without_root(dataset) for name, dataset in content["data"].items()}
    return digest_of(settings, length=16)


def _without_root(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dataset.items() if name != "root"}
