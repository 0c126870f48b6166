"""Words and pieces of sentences that several rooms say alike. Imports nothing of mribench."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

FORMATS = ("terminal", "markdown", "latex", "html", "csv", "parquet", "json")
"""What tables can be printed and written as."""


NOTHING = "–"
"""What stands for nothing in a table."""
MAX_SENTENCE = 400
"""Longest sentence about a problem; what users write can be of any length."""


def spell_out(text: str) -> str:
    """Return a text on one line, its control characters spelled out: names and paths are the user's."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def printable(text: str, limit: int = MAX_SENTENCE) -> str:
    """Return a text for a terminal: one line, control characters spelled out, its middle left out if long."""
    text = spell_out(text)
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


ONE_SEED = "One seed: valid for these checkpoints only."


def too_few_seeds(seeds: int) -> str:
    """Return that so many seeds do not tell methods apart, without a full stop."""
    return f"{seeds} seeds: too few seeds to tell methods apart"


def one_line(text: str) -> str:
    """Return a text of somebody else's for a sentence: on one line, without a full stop at its end."""
    return " ".join(text.split()).removesuffix(".")


def with_hint(sentence: str, hint: str) -> str:
    """Return a sentence with what to do about it in brackets, where both stand on one line."""
    return f"{one_line(sentence)} ({one_line(hint)})" if hint else sentence


def list_some(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """Return names for a sentence: ``a, b, c``, or ``a, b and 4 more`` where they are more than ``most``.

    With another separator than a comma the rest follows it: ``a; b; and 4 more``.
    """
    shown = separator.join(names[:most])
    left = len(names) - most
    if left <= 0:
        return shown
    joint = " " if separator == ", " else separator
    return f"{shown}{joint}and {left} more"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 subject`` or ``3 subjects``; a plural that is not made with an s is given."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_UNITS_S = {"s": 1, "m": _MINUTE_S, "min": _MINUTE_S, "h": _HOUR_S, "d": _DAY_S}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(\w*)")


def read_time(text: str) -> float:
    """Return the seconds of a time as people write it: ``90s``, ``30m``, ``2h``, ``1d``; ``90`` is seconds.

    Raises:
        ValueError: for what is none.
    """
    said = _TIME.fullmatch(text.strip())
    unit = _UNITS_S.get(said[2] or "s") if said else None
    if said is None or unit is None:
        raise ValueError(f"expected a time such as 90s, 30m, 2h or 1d, got '{text}'")
    return float(said[1]) * unit


def read_limit(text: str) -> float:
    """Return the seconds of a limit as ``read_time``; infinity for 0, which stands for none."""
    return read_time(text) or math.inf


def duration(seconds: float) -> str:
    """Return a time as people say it, to two units: ``42 s``, ``3 min``, ``2 h 5 min``, ``1 d 3 h``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    for unit_s, unit, part_s, part in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            parts = int(rest // part_s)
            return f"{whole:.0f} {unit} {parts} {part}" if parts else f"{whole:.0f} {unit}"
    raise ValueError(f"expected a number of seconds, got {seconds}")


def size(number: float) -> str:
    """Return a number of bytes as people say it: ``812 B``, ``3.1 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
