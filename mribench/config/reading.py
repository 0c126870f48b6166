"""Reads YAML strictly: no duplicate keys, no tags, no bombs, and the scalars of YAML 1.2."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)

from mribench.errors import ConfigError

MAX_BYTES = 100_000
"""Largest file that is read: some 30 times the largest of ours, and a matter of seconds at worst."""
MAX_DEPTH = 40
"""Deepest nesting, aliases expanded."""
MAX_NODES = 100_000
"""Most values in a file, aliases expanded."""
MAX_TEXT = 400
"""Longest text, which is that of a path; everything else is a name."""

MAY_BE_EMPTY = ("measure_defects",)
"""Lists at the top of a file that may be left empty, as when all their items are commented out."""

_SYNTAX_HINT = "check the indentation, colons, brackets and quotes around that line"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain scalars of YAML 1.2: ``1e-3`` is a number, ``no`` and ``on`` are text."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag not in (_TEXT, _MERGE):
                raise ConfigError(f"line {line}: the key {_written(key)} is not text", "put it in quotes")
            if key.value in lines:
                raise ConfigError(
                    f"line {line}: duplicate key '{key.value}', first given in line {lines[key.value]}",
                    "remove one of the two",
                )
            lines[key.value] = line
        return node


def _written(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "(a list or mapping)"


_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:(?:\.\d+|\d+\.\d*)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    (_MERGE, r"<<", "<"),
)
for _tag, _pattern, _first in _SCALARS:
    _starts = [*_first, ""] if _tag.endswith("null") else list(_first)
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$", re.ASCII), _starts)


def read_file(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: missing or unreadable file, syntax error with its line, or no mapping.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
            raise ConfigError(f"{path}: is a pipe or a device", "give the path of a benchmark file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.glob("*.yaml"))
        hint = f"in that folder: {', '.join(others)}" if others else "check the path"
        raise ConfigError(f"{path}: there is no such file", hint) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "give the path of a benchmark file") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path.name}: more than {MAX_BYTES} bytes", "give the path of a benchmark file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: not UTF-8 text: {error}", "save the file as UTF-8") from None
    value = read_text(text, path.name)
    if not isinstance(value, dict):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise ConfigError(
            f"{path.name}: expected a mapping of keys, got {kind}", "start with 'benchmark: <name>'"
        )
    return value | {key: [] for key in MAY_BE_EMPTY if key in value and value[key] is None}


def read_text(text: str, where: str) -> Any:
    """Read one YAML document.

    Args:
        text: the document.
        where: what it is, for error messages.

    Raises:
        ConfigError: syntax error, duplicate key, tag, bomb, number that is not finite, or text that cannot be
            shown.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where}: more than {MAX_BYTES} characters", "give a shorter one")
    try:
        _check_events(text)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        reason = " ".join(str(error.problem or error.context or "cannot be parsed").split())
        raise ConfigError(f"{where}: {line}not YAML: {reason}", _SYNTAX_HINT) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: not YAML: {reason}", _SYNTAX_HINT) from None
    _check_values(value, where)
    return value


def has_half_character(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which cannot be printed or stored."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _check_events(text: str) -> None:
    """Refuse tags, cyclic aliases, bombs and deep nesting before anything is built.

    Works on the stream of events, so that it needs no recursion: each open collection holds its
    (size, depth, anchor), and an alias adds the size and depth of its anchor.
    """
    open_: list[list[Any]] = [[0, 0, None]]
    anchors: dict[str, tuple[int, int] | None] = {}
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, CollectionStartEvent | ScalarEvent):
            _check_node(event)
        if isinstance(event, CollectionStartEvent):
            open_.append([1, 1, event.anchor])
            if event.anchor:
                anchors[event.anchor] = None
            size, depth = 0, 0
        elif isinstance(event, CollectionEndEvent):
            size, depth, anchor = open_.pop()
            if anchor:
                anchors[anchor] = (size, depth)
        elif isinstance(event, AliasEvent):
            size, depth = _of_alias(event, anchors)
        elif isinstance(event, ScalarEvent):
            size, depth = 1, 0
            if event.anchor:
                anchors[event.anchor] = (1, 0)
        else:
            continue
        open_[-1][0] += size
        open_[-1][1] = max(open_[-1][1], depth + 1)
        _check_limits(event, open_)


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _check_limits(event: Event, open_: list[list[Any]]) -> None:
    line = _line(event)
    if len(open_) - 2 + open_[-1][1] > MAX_DEPTH:
        raise ConfigError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
    if sum(size for size, _, _ in open_) > MAX_NODES:
        raise ConfigError(f"line {line}: more than {MAX_NODES} values once aliases are expanded")


def _check_node(event: CollectionStartEvent | ScalarEvent) -> None:
    line = _line(event)
    if event.tag is not None:
        raise ConfigError(f"line {line}: the tag {event.tag!r} is not allowed", "write plain values")
    if isinstance(event, ScalarEvent) and has_half_character(event.value):
        raise ConfigError(f"line {line}: text with half of a surrogate pair", "write the character itself")


def _of_alias(event: NodeEvent, anchors: dict[str, tuple[int, int] | None]) -> tuple[int, int]:
    line = _line(event)
    if event.anchor not in anchors:
        raise ConfigError(f"line {line}: the alias '*{event.anchor}' has no anchor", "define it above")
    known = anchors[event.anchor]
    if known is None:
        raise ConfigError(f"line {line}: the alias '*{event.anchor}' stands inside its own anchor")
    return known


def check_text(text: str, where: str) -> None:
    """Refuse a text that is too long for a name or a path, or has characters that cannot be shown.

    Raises:
        ConfigError: starting with ``where``.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(
            f"{where}: expected at most {MAX_TEXT} characters, got {len(text)}",
            "shorten it, or link to the path",
        )
    strange = next((char for char in text if not char.isprintable()), "")
    if strange:
        raise ConfigError(
            f"{where}: expected text on one line, got the character {strange!a}", "remove that character"
        )


def _check_values(value: Any, where: str, place: str = "") -> None:
    children: list[tuple[Any, Any]] = []
    here = f"{where}: {place.lstrip('.')}" if place else where
    if isinstance(value, dict):
        children = list(value.items())
        for key in value:
            check_text(key, f"{here}: a key")
    elif isinstance(value, list):
        children = list(enumerate(value))
    elif isinstance(value, str):
        check_text(value, here)
    elif isinstance(value, float) and not -float("inf") < value < float("inf"):
        raise ConfigError(f"{here}: expected a finite number, got {value}")
    for key, child in children:
        _check_values(child, where, f"{place}.{key}")
