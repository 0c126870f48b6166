"""Reads YAML by PyYAML's safe loader, which takes ``1e-3`` for text and a key given twice for one."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from mribench.errors import ConfigError

MAX_BYTES = 1_000_000
"""Largest file that is read; ours have some thousands."""
MAX_VALUES = 20_000
"""Most keys and values in a file, each alias counted with all that it stands for."""

MAY_BE_EMPTY = ("measure_defects",)
"""Lists at the top of a file that may be left empty, as when all their items are commented out."""

_SYNTAX_HINT = "check the indentation, colons, brackets and quotes around that line"
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_FLOAT = "tag:yaml.org,2002:float"


class _Loader(yaml.SafeLoader):
    """SafeLoader that counts what aliases stand for, and refuses tags, keys given twice and infinities."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self._values = 0
        self._values_below: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise ConfigError(f"line {line}: the tag {event.tag!r} is not allowed", "write plain values")
        before = self._values
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            # What is not counted yet is still open: the alias stands inside its own anchor.
            self._values += self._values_below.get(id(node), MAX_VALUES)
        else:
            self._values += 1
            self._values_below[id(node)] = self._values - before
        if self._values > MAX_VALUES:
            raise ConfigError(f"line {line}: more than {MAX_VALUES} values once aliases are expanded")
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag not in (_TEXT, _MERGE):
                raise ConfigError(f"line {line}: expected a text as a key", "put the key in quotes")
            if key.value in lines:
                raise ConfigError(
                    f"line {line}: duplicate key '{key.value}', first given in line {lines[key.value]}",
                    "remove one of the two",
                )
            lines[key.value] = line
        return node

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        number: float = super().construct_yaml_float(node)
        if not math.isfinite(number):
            line = node.start_mark.line + 1
            raise ConfigError(f"line {line}: expected a finite number, got {node.value}")
        return number


_Loader.add_constructor(_FLOAT, _Loader.construct_yaml_float)
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$", re.ASCII), list("-+.0123456789")
)


def read_file(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: missing or unreadable file, syntax error with its line, or no mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.glob("*.yaml"))
        hint = f"in that folder: {', '.join(others)}" if others else "check the path"
        raise ConfigError(f"{path}: there is no such file", hint) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "give the path of a benchmark file") from None
    value = read_text(data, path.name)
    if not isinstance(value, dict):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise ConfigError(
            f"{path.name}: expected a mapping of keys, got {kind}", "start with 'benchmark: <name>'"
        )
    return value | {key: [] for key in MAY_BE_EMPTY if key in value and value[key] is None}


def read_text(text: str | bytes, where: str) -> Any:
    """Read one YAML document.

    Args:
        text: the document; bytes are UTF-8, or UTF-16 with a byte order mark.
        where: what it is, for error messages.

    Raises:
        ConfigError: syntax error, duplicate key, tag, number that is not finite, or a
            document that is too large.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where}: more than {MAX_BYTES} bytes", "give the path of a benchmark file")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        reason = " ".join(str(error.problem or error.context).split())
        raise ConfigError(f"{where}: {line}not YAML: {reason}", _SYNTAX_HINT) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: not YAML: {reason}", _SYNTAX_HINT) from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply", _SYNTAX_HINT) from None
