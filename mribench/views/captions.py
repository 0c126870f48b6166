"""What stands under a view: sequence, times and angles, and its augmentation in short."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mribench.views.samples import Sample

_TIME = re.compile(r"(te|tr|ti)(\d*)_s")
_ANGLE = re.compile(r"(flip_angle)(\d*)_deg")
_TERMS, _FLIP = ("te", "tr", "ti"), "flip_angle"
_SHORT = {
    "rotation_deg": ("rot", "°", 0.0),
    "scale": ("scale", "", 1.0),
    "elastic_sd_mm": ("elastic", " mm", 0.0),
    "bias_sd": ("bias", "", 0.0),
    "gibbs_kept": ("gibbs", "", 1.0),
    "noise_sigma": ("noise σ", "", 0.0),
}
"""Word, unit, and the value at which nothing is done to the image."""
_COUNTED = {"dropout_cuboids_vox": ("cuboid", "cuboids")}
_LEFT_OUT = ("sequence", "shear", "offset_vox", "tx_s", "n_excitations", "inversion_efficiency")
"""What hardly shows in a picture, or is said elsewhere."""
_AXES = "IJK"
_LARGEST = 1e30
_MOST_VALUES, _MOST_LINES, _MOST_LETTERS = 3, 9, 40


@dataclass(frozen=True)
class Caption:
    """The words under one view: the first line, and those below it."""

    title: str
    lines: tuple[str, ...]


def captions(sample: Sample, width: int) -> list[Caption]:
    """Return the caption of each view of a sample, in lines of at most ``width`` letters."""
    roles = {view.role for view in sample.views}
    return [
        caption(
            f"view {number}{f' ({view.role})' if roles != {'global'} else ''}: {view.sequence or '–'}",
            view.parameters,
            width,
        )
        for number, view in enumerate(sample.views, start=1)
    ]


def caption(title: str, parameters: Mapping[str, Any], width: int) -> Caption:
    """Return a caption: times in ms, angles in degrees, then the rest in the order of the record.

    Args:
        title: of the view.
        parameters: as a view generator records them; a name that this module does not know is shown as it is.
        width: of a line, in letters.
    """
    terms, used = _terms(parameters)
    rest = [
        _augmentation(name, value)
        for name, value in parameters.items()
        if name not in used and name not in _LEFT_OUT
    ]
    lines = _wrapped(terms, width) + _wrapped([text for text in rest if text], width)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "…"]
    return Caption(_cut(title, width), tuple(lines))


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
        return _several(value, digits) or "none"
    return _cut(str(value), _MOST_LETTERS)


def _several(values: Sequence[Any], digits: int = 3) -> str:
    shown = "/".join(value_text(one, digits) for one in values[:_MOST_VALUES])
    return f"{shown}/…" if len(values) > _MOST_VALUES else shown


def is_list(value: Any) -> bool:
    """Return whether a parameter has several values (text is one)."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be drawn."""
    return isinstance(value, Real) and abs(value) < _LARGEST  # type: ignore[operator]


def _terms(parameters: Mapping[str, Any]) -> tuple[list[str], frozenset[str]]:
    """Return times in ms and angles in degrees as text, and the names of the parameters behind them."""
    values: dict[str, list[float]] = {}
    used = set()
    for name, value in parameters.items():
        found = _TIME.fullmatch(name) or _ANGLE.fullmatch(name)
        several = list(value) if is_list(value) else [value]
        if found and several and all(is_number(one) for one in several):
            values.setdefault(found[1], []).extend(float(one) for one in several)
            used.add(name)
    parts = [
        f"{term.upper()} {_several([1000 * one for one in values[term]])}"
        for term in _TERMS
        if term in values
    ]
    if parts:
        parts[-1] += " ms"
    if _FLIP in values:
        parts.append(f"α {_several(values[_FLIP])}°")
    return parts, frozenset(used)


def _augmentation(name: str, value: Any) -> str:
    """Return what a parameter did to the image; nothing where a known one did nothing."""
    if name in _COUNTED and is_list(value):
        return f"{len(value)} {_COUNTED[name][len(value) > 1]}" if value else ""
    if name == "flip" and is_list(value) and len(value) <= len(_AXES):
        flipped = "".join(axis for axis, done in zip(_AXES, value, strict=False) if done)
        return f"flip {flipped}" if flipped else ""
    if name in _SHORT:
        word, unit, neutral = _SHORT[name]
        values = value if is_list(value) else [value]
        return f"{word} {value_text(value, 2)}{unit}" if any(one != neutral for one in values) else ""
    return f"{_cut(name, _MOST_LETTERS)} {value_text(value)}"


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """Return parts in lines, none broken unless it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines += textwrap.wrap(part, width) or [""]
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
