"""What stands under a view: its sequence, and the drawn parameters as the view generator labels them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mribench.interfaces.views import ParameterLabel
from mribench.views.numbers import as_list, cut, is_number, several_text, unit_of, value_text
from mribench.views.samples import SEQUENCE, Sample

Labels = Mapping[str, ParameterLabel]
"""By name of the parameter; one without a label is shown by its name."""
_MOST_LINES = 9
_DIGITS = 2
"""Digits of parameters of the augmentation: less exact than what a scanner is set to."""


@dataclass(frozen=True)
class Caption:
    """The words under one view: the first line, and those below it."""

    title: str
    lines: tuple[str, ...]


def make_captions(sample: Sample, labels: Labels, width: int) -> list[Caption]:
    """Return the caption of each view of a sample, in lines of at most ``width`` letters."""
    one_role = all(view.role == "global" for view in sample.views)
    written = []
    for place, view in enumerate(sample.views, start=1):
        role = "" if one_role else f" ({view.role})"
        title = f"view {place}{role}: {view.sequence or '–'}"
        written.append(make_caption(title, view.parameters, labels, width))
    return written


def make_caption(title: str, parameters: Mapping[str, Any], labels: Labels, width: int) -> Caption:
    """Return a caption: what the scanner is set to, then the rest in the order of the record.

    Args:
        title: of the view.
        parameters: as a view generator records them.
        labels: of that generator.
        width: of a line, in letters.
    """
    acquired = {name for name, label in labels.items() if _is_set_to_numbers(parameters.get(name), label)}
    others = [
        _describe(name, value, labels.get(name))
        for name, value in parameters.items()
        if name != SEQUENCE and name not in acquired
    ]
    settings = _describe_acquisition({name: parameters[name] for name in labels if name in acquired}, labels)
    lines = _wrap(settings, width) + _wrap([text for text in others if text], width)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "…"]
    return Caption(cut(title, width), tuple(lines))


def _is_set_to_numbers(value: Any, label: ParameterLabel) -> bool:
    values = as_list(value)
    return label.acquisition and label.captioned and bool(values) and all(map(is_number, values))


def _describe_acquisition(parameters: Mapping[str, Any], labels: Labels) -> list[str]:
    """Return ``TE 3.1``, ``TI 700/2500 ms``: neighbours in one unit have it behind the last of them."""
    values: dict[tuple[str, str], list[float]] = {}
    for name, value in parameters.items():
        _, unit, factor = unit_of(name)
        scaled = [factor * float(one) for one in as_list(value)]
        values.setdefault((labels[name].word, unit), []).extend(scaled)
    texts = []
    units = [unit for _, unit in values]
    for place, (word, unit) in enumerate(values):
        text = f"{word} {several_text(values[word, unit])}"
        following = units[place + 1 : place + 2]
        texts.append(text if following == [unit] else text + unit)
    return texts


def _describe(name: str, value: Any, label: ParameterLabel | None) -> str:
    """Return what a parameter did to the image; nothing where it did nothing, or hardly shows."""
    if label is None:
        return f"{cut(name)} {value_text(value)}"
    if not label.captioned:
        return ""
    if label.write is not None:
        return label.write(value)
    values = as_list(value)
    if not values or not all(map(is_number, values)):
        return f"{cut(name)} {value_text(value)}"
    if label.neutral is not None and all(one == label.neutral for one in values):
        return ""
    _, unit, factor = unit_of(name)
    return f"{label.word} {several_text([factor * one for one in values], _DIGITS)}{unit}"


def _wrap(parts: Sequence[str], width: int) -> list[str]:
    """Return parts in lines, none broken unless it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines += textwrap.wrap(part, width) or [""]
    return lines
