"""The trackers that ``--track`` asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mribench.errors import ConfigError
from mribench.interfaces.options import TrackerRef
from mribench.interfaces.tracker import Tracker
from mribench.registry import Registry

_LIKE = "write it like --track name:key=value,other=value"
_NEXT = re.compile(r"^(?:(?!//).)*:\s*[A-Za-z_]\w*\s*=")
"""Another option after a colon; what comes after ``//`` is of a URI."""


@dataclass(frozen=True)
class Named:
    """A tracker, and how warnings name it: ``name (plugin 'x' of distribution)``."""

    name: str
    tracker: Tracker


def make_trackers(wanted: Sequence[str], registry: Registry) -> list[Named]:
    """Build the trackers of ``--track``.

    Args:
        wanted: ``name`` or ``name:key=value,key=value``.
        registry: all entries.

    Raises:
        ConfigError: for an unknown tracker or option, and for one that is asked for twice.
    """
    found = []
    for text in wanted:
        name, colon, rest = text.partition(":")
        where = f"--track {name}"
        if wanted.count(text) > 1:
            raise ConfigError(f"--track {text}: given twice", "leave one of them out")
        component = {"name": name, **(_options(rest, where) if colon else {})}
        resolved = registry.resolve(TrackerRef.model_validate(component), where, "corrected")
        owner = f"{name} (plugin '{resolved.registered.plugin}' of {resolved.registered.distribution})"
        found.append(Named(owner, resolved.make()))
    return found


def _options(text: str, where: str) -> dict[str, str]:
    """Return ``key=value,key=value`` as a mapping; what would not be read as it was meant is refused."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if not key or not value:
            raise ConfigError(f"{where}: expected key=value, got '{part}'", _LIKE)
        if key == "name":
            raise ConfigError(f"{where}: 'name' is no option of a tracker", "its name goes before the colon")
        if key in found:
            raise ConfigError(f"{where}: the option '{key}' is given twice", "leave one of them out")
        if _NEXT.search(value):
            raise ConfigError(f"{where}: expected a comma between options, got '{part}'", _LIKE)
        found[key] = value
    return found
