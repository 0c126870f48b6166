"""Values of parameters as people write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

_UNITS = {"_s": (" ms", 1000.0), "_deg": ("°", 1.0), "_mm": (" mm", 1.0), "_hz": (" Hz", 1.0)}
"""By the end of a parameter's name: the unit that is written, and the factor that brings a value to it."""
_LARGEST = 1e30
_MOST_VALUES, _MOST_LETTERS = 3, 40


def unit_of(name: str) -> tuple[str, str, float]:
    """Return a parameter's name without its unit, the unit that is written, and the factor to it."""
    for ending, (unit, factor) in _UNITS.items():
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending), unit, factor
    return name, "", 1.0


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many digits that count, as people write it: 0.0312, 2.5, 10800."""
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits}g}") or 0.0
    if rounded and not 1e-5 <= abs(rounded) < 1e7:
        return f"{rounded:.{digits}g}"
    return f"{rounded:.9f}".rstrip("0").rstrip(".")


def value_text(value: Any, digits: int = 3) -> str:
    """Return a parameter's value as text: numbers rounded, several parted by strokes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Real) and not isinstance(value, int):
        return number(float(value), digits)
    if is_list(value):
        return several_text(value, digits) or "none"
    return cut(str(value))


def several_text(values: Sequence[Any], digits: int = 3) -> str:
    """Return the first values of a list, parted by strokes."""
    shown = "/".join(value_text(one, digits) for one in values[:_MOST_VALUES])
    return f"{shown}/…" if len(values) > _MOST_VALUES else shown


def is_list(value: Any) -> bool:
    """Return whether a parameter has several values (text is one)."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def as_list(value: Any) -> list[Any]:
    """Return the values of a parameter, which may be one."""
    return list(value) if is_list(value) else [value]


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be drawn."""
    return isinstance(value, Real) and abs(value) < _LARGEST  # type: ignore[operator]


def cut(text: str, width: int = _MOST_LETTERS) -> str:
    """Return a text of at most ``width`` letters."""
    return text if len(text) <= width else text[: width - 1] + "…"
