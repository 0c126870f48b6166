"""One short text that says which settings a benchmark file makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mribench.config.model import BenchmarkConfig
from mribench.digests import digest_of
from mribench.interfaces.input_file import by_content

_LEFT_OUT = ("report", "checks", "execution", "data")


def digest_config(config: BenchmarkConfig) -> str:
    """Return ``digest_settings`` of a benchmark file, defaults included."""
    return digest_settings(config.model_dump(mode="json"))


def digest_settings(content: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the canonical JSON of a config.

    Left out are ``report:`` and ``checks:``, which are shown and not run, ``execution:``, which changes no
    result, and the ``root`` of each cohort: the same data at another place are the same settings, and so are
    the same weights.

    Args:
        content: a config as JSON, as the manifest of a plan has it.
    """
    settings = {name: value for name, value in content.items() if name not in _LEFT_OUT}
    settings["methods"] = by_content(content.get("methods", {}))
    settings["data"] = {name: _remove_roots(dataset) for name, dataset in content["data"].items()}
    return digest_of(settings, length=16)


def _remove_roots(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dataset.items() if name != "root"}
