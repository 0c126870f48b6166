"""From a benchmark file to a validated config. Loads no plugin and no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mribench.config.model import BenchmarkConfig, not_set
from mribench.config.overrides import Setting, apply_setting, apply_size, fill_in, split_settings, unset
from mribench.config.reading import read_file
from mribench.errors import ConfigError
from mribench.validation import describe, printable, readable

_MAX_NAME = 100  # of the file, as messages show it


@readable()
def load_benchmark(path: Path, sets: Sequence[str] = ()) -> BenchmarkConfig:
    """Read and validate a benchmark file.

    The order: the file, the one of ``sizes`` that ``size`` names, ``sets``, the environment.

    Args:
        path: the YAML file.
        sets: ``key=value`` texts; the key is a dotted path, the value is YAML.

    Raises:
        ConfigError: the first problem, with the file, the key and a hint.
    """
    early, late = split_settings(sets)
    tree = read_file(path)
    for setting in early:
        apply_setting(tree, setting)
    tree = apply_size(tree, path.name)
    for setting in late:
        apply_setting(tree, setting)
    return _validated(fill_in(tree, path.name), path, late, unset(tree))


def _validated(
    tree: dict[str, Any], path: Path, settings: Sequence[Setting], unset: Mapping[str, tuple[str, ...]]
) -> BenchmarkConfig:
    try:
        config = BenchmarkConfig.model_validate(tree)
    except ValidationError as error:
        message, hint = describe(error, BenchmarkConfig)
        place = message.partition(": ")[0]
        guilty = [setting for setting in settings if setting.concerns(place)]
        where = f"{path.name} with --set {printable(guilty[-1].text, _MAX_NAME)}" if guilty else path.name
        cohort = place.removeprefix("data.").partition(".")[0] if "got None" in message else ""
        raise ConfigError(f"{where}: {message}{not_set(unset.get(cohort, ()))}", hint) from None
    config._source = printable(path.name, _MAX_NAME)
    config._unset = dict(unset)
    return config
