"""A figure measured in inches, its text made harmless, and its file."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D

from mribench.errors import ConfigError, StoreError
from mribench.results.atomic import replace_file
from mribench.results.places import check_place, writing

SUFFIXES = (".png", ".pdf", ".svg")
DPI, LARGEST_DOTS = 128, 30_000
FONT = "DejaVu Sans"
"""Comes with matplotlib; so the same figure has the same letters everywhere."""
_UNDATED: dict[str, dict[str, Any]] = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def check_path(path: Path, option: str) -> None:
    """Refuse a path that no figure can be written to.

    Args:
        path: of the figure.
        option: that it was given with.

    Raises:
        ConfigError: for another suffix than ``SUFFIXES``, and as ``check_place``.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{option} {path}: expected a file name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    check_place(path, option)


class Canvas:
    """A figure on which everything is placed in inches from its upper left corner.

    Args:
        width, height: in inches.
        paper: colour of the background.
        ink: colour of the text.
    """

    def __init__(self, width: float, height: float, paper: str, ink: str) -> None:
        self.width, self.height, self.ink = width, height, ink
        self.figure = Figure(figsize=(width, height), facecolor=paper)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes at a place."""
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, left: float, top: float, text: str, size: float, **look: Any) -> None:
        """Write one line; ``top`` is its upper edge, ``size`` in points."""
        style = {"color": self.ink, "va": "top", **look}
        self.figure.text(
            left / self.width, 1 - top / self.height, replace_unprintable(text), fontsize=size, family=FONT,
            parse_math=False, **style,
        )  # fmt: skip

    def line(self, left: float, right: float, top: float) -> None:
        """Draw a thin horizontal line."""
        level = 1 - top / self.height
        ends = [left / self.width, right / self.width]
        self.figure.add_artist(Line2D(ends, [level, level], color=self.ink, linewidth=0.5, alpha=0.6))

    def save(self, path: Path) -> None:
        """Write the figure; the suffix says how.

        Raises:
            StoreError: when it cannot be written.
        """
        suffix = path.suffix.lower()
        try:
            with writing(path, "choose another place"), use_plain_style():
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, lambda temporary: self._write(temporary, suffix))
        except StoreError as error:
            raise StoreError(error.message, "choose another place") from error

    def _write(self, path: Path, suffix: str) -> None:
        dpi = min(DPI, LARGEST_DOTS / max(self.width, self.height))
        self.figure.savefig(path, format=suffix[1:], dpi=dpi, metadata=_UNDATED[suffix])


@contextmanager
def use_plain_style() -> Iterator[None]:
    """Draw as matplotlib does by default, whatever the user's own settings are."""
    with matplotlib.style.context("default"), matplotlib.rc_context({"svg.hashsalt": "mribench"}):
        yield


def replace_unprintable(text: str) -> str:
    """Return text without control characters, and without letters that the font does not have."""
    return "".join(
        letter
        if ord(letter) in _list_letters() and unicodedata.category(letter)[0] != "C"
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


@functools.cache
def _list_letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())
