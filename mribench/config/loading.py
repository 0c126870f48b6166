"""From a benchmark file to a validated config. Loads no plugin and no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mribench.config.model import BenchmarkConfig, not_set
from mribench.config.overrides import Applied, apply_setting, apply_size, fill_in, mark_unset, split_settings
from mribench.config.reading import read_file
from mribench.errors import ConfigError
from mribench.validation import describe, readable
from mribench.wording import printable

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
    applied = tuple(apply_setting(tree, setting) for setting in late)
    name = printable(path.name, _MAX_NAME)
    return _validate(fill_in(tree, path.name), name, applied, mark_unset(tree))


def _validate(
    tree: dict[str, Any], name: str, applied: Sequence[Applied], unset: Mapping[str, tuple[str, ...]]
) -> BenchmarkConfig:
    try:
        config = BenchmarkConfig.model_validate(tree)
    except ValidationError as error:
        wrong = describe(error, BenchmarkConfig)
        cohort = wrong.place.removeprefix("data.").partition(".")[0] if wrong.is_null else ""
        sentence = f"{name}: {wrong.message}{not_set(unset.get(cohort, ()))}"
        raise _blame(ConfigError(sentence, wrong.hint), name, applied) from None
    config._source, config._applied = name, tuple(applied)
    config._unset = dict(unset)
    return config


@contextmanager
def blame_settings(config: BenchmarkConfig) -> Iterator[None]:
    """Make every ``ConfigError`` that passes name the ``--set`` that its value comes from."""
    try:
        yield
    except ConfigError as error:
        raise _blame(error, config.source, config._applied) from error.__cause__


def _blame(error: ConfigError, name: str, applied: Sequence[Applied]) -> ConfigError:
    place = error.message.removeprefix(f"{name}: ").partition(": ")[0]
    guilty = [one for one in applied if one.concerns(place)]
    if not guilty or not error.message.startswith(f"{name}: "):
        return error
    where = f"{name} with --set {printable(guilty[-1].setting.text, _MAX_NAME)}"
    return ConfigError(where + error.message.removeprefix(name), error.hint or guilty[-1].hint())
