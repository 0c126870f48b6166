"""What is laid over a benchmark file: ``sizes``, ``--set key=value`` and the environment."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mribench.config.reading import read_text
from mribench.errors import ConfigError, close_name, did_you_mean
from mribench.validation import readable

_SELECTORS = ("name", "by")
"""Keys that say which entry a mapping's other keys are options of."""
_SET_HINT = "write --set key=value, for example --set defaults.pretrain.steps=100"


@dataclass(frozen=True)
class Setting:
    """One ``--set``: its text, the path of its key and the value."""

    text: str
    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Applied:
    """A ``--set`` that was laid over a file.

    Attributes:
        setting: what was set.
        made: dotted place of the outermost key that was not there before; its own key where all were.
        beside: the keys that were there beside ``made``.
    """

    setting: Setting
    made: str
    beside: tuple[str, ...] = ()

    def concerns(self, place: str) -> bool:
        """Whether the value at ``place`` comes from here, or what lacks something there."""
        named = self.setting.path[-1] in _SELECTORS and place == ".".join(self.setting.path[:-1])
        below = any(place == own or place.startswith(f"{own}.") for own in (self.setting.key, self.made))
        return named or below

    def hint(self) -> str:
        """Return the key that was perhaps meant, or an empty string."""
        return close_name(self.made.rpartition(".")[2], self.beside) if self.made != self.setting.key else ""


@readable()
def parse_setting(text: str) -> Setting:
    """Parse ``methods.a.objective=x``; the value is YAML.

    Raises:
        ConfigError: when it is not ``key=value``, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise ConfigError(f"--set {text}: expected key=value", _SET_HINT)
    return Setting(text, path, read_text(value, f"--set {text}"))


def apply_setting(tree: dict[str, Any], setting: Setting) -> Applied:
    """Set a value in place, making the mappings on the way to it; return what was made.

    Raises:
        ConfigError: when the path leads through a list or a number.
    """
    current, applied = tree, Applied(setting, setting.key)
    for depth, part in enumerate(setting.path[:-1]):
        child = _read_as_mapping(current.get(part), setting.path[: depth + 1])
        if child is None:
            place = ".".join(setting.path[: depth + 1])
            raise ConfigError(
                f"--set {setting.text}: {place} is {current[part]!r}, and has no keys",
                f"set {place} as a whole",
            )
        if part not in current and applied.made == setting.key:
            applied = Applied(setting, ".".join(setting.path[: depth + 1]), tuple(current))
        current[part] = child
        current = child
    current[setting.path[-1]] = copy.deepcopy(setting.value)
    return applied


def apply_size(tree: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the file without ``sizes``, the one that ``size`` names laid over it.

    Raises:
        ConfigError: when there is no such size, or it is no mapping.
    """
    base = {key: value for key, value in tree.items() if key != "sizes"}
    sizes = tree.get("sizes", {})
    if not isinstance(sizes, dict):
        raise ConfigError(f"{where}: sizes: expected a mapping of names to changes, got {sizes!r}")
    for name, patch in sizes.items():
        if not isinstance(patch, dict):
            raise ConfigError(f"{where}: sizes.{name}: expected a mapping, got {patch!r}")
        for key in ("size", "sizes"):
            if key in patch:
                raise ConfigError(f"{where}: sizes.{name}.{key}: a size cannot change this key", "remove it")
    size = base.get("size")
    if size is None:
        return base
    if not isinstance(size, str) or size not in sizes:
        raise ConfigError(f"{where}: size: no size {size!r} under 'sizes'", did_you_mean(str(size), sizes))
    return merge(base, sizes[size])


def merge(base: Mapping[str, Any], patch: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Lay ``patch`` over ``base``: mappings are merged, everything else is replaced.

    A component given as a plain name takes options; one of another name replaces it altogether.
    """
    merged = dict(base)
    for key, value in patch.items():
        here = (*path, key)
        below = _read_as_mapping(merged.get(key), here) if isinstance(value, dict) else None
        if below is not None and not _rename(below, value):
            merged[key] = merge(below, value, here)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _rename(base: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    return any(key in base and key in patch and base[key] != patch[key] for key in _SELECTORS)


def _read_as_mapping(value: Any, path: tuple[str, ...]) -> dict[str, Any] | None:
    """Return a mapping for a value that can have keys below it: a component's name becomes one."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"by" if path[0] == "splits" else "name": value}
    return dict(value) if isinstance(value, dict) else None


_BARE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}")


def fill_in(tree: dict[str, Any], where: str, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the file with ``${VAR}`` and ``${VAR:-default}`` under ``data`` filled in.

    A text with a variable that is not set (or empty) and has no default becomes None; see ``mark_unset``.

    Raises:
        ConfigError: for a ``${`` that is neither, and for ``$VAR`` without braces.
    """
    if "data" not in tree:
        return tree
    return {**tree, "data": _fill(tree["data"], f"{where}: data", environment)}


def mark_unset(
    tree: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> dict[str, tuple[str, ...]]:
    """Return the variables under ``data`` that are not set and have no default, by the name of the cohort."""
    data = tree.get("data")
    names = {
        str(name): tuple(dict.fromkeys(_find_unset(value, environment)))
        for name, value in (data.items() if isinstance(data, dict) else ())
    }
    return {name: lacking for name, lacking in names.items() if lacking}


def _find_unset(value: Any, environment: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _find_unset(item, environment)
    elif isinstance(value, str):
        given = _VARIABLE.findall(value)
        yield from (name for name, default in given if not (environment.get(name) or default))


def _fill(value: Any, place: str, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, f"{place}.{key}", environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, f"{place}.{i}", environment) for i, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    bare = _BARE.search(value)
    if bare:
        raise ConfigError(
            f"{place}: the variable {bare[0]} in {value!r} has no braces",
            f"write ${{{bare[0][1:]}}}, or ${{{bare[0][1:]}:-default}}",
        )
    if "${" in _VARIABLE.sub("", value):
        raise ConfigError(
            f"{place}: cannot read the variable in {value!r}", "write ${NAME} or ${NAME:-default}"
        )
    values = [environment.get(name) or default for name, default in _VARIABLE.findall(value)]
    if not all(values):
        return None
    parts = iter(values)
    return _VARIABLE.sub(lambda _: str(next(parts)), value)


def split_settings(texts: Sequence[str]) -> tuple[list[Setting], list[Setting]]:
    """Return the settings that choose or change a size, which come first, and the others."""
    settings = [parse_setting(text) for text in texts]
    early = [setting for setting in settings if setting.path[0] in ("size", "sizes")]
    return early, [setting for setting in settings if setting not in early]
