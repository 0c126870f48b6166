"""What a figure of a report is, before it is drawn."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mribench.report.figures.style import MUTED, TAG, plain_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_ROW_IDS = re.compile(rb'<g id="' + TAG.encode() + rb'[0-9a-f]+">')


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: of its files, and its id in a page.
        title: one line.
        alt: what is to be seen, for those who do not see it: kind of figure, axes, the main numbers.
        caption: sentences below it.
        draw: makes it; to be called within ``plain_style``.
    """

    name: str
    title: str
    alt: str
    caption: tuple[str, ...]
    draw: Callable[[], Figure]

    def bytes(self, file_format: str, *, text_as_paths: bool = False, note: str = "") -> bytes:
        """Return the figure as ``svg``, ``pdf`` or ``png``; the same for the same results.

        Args:
            file_format: one of these.
            text_as_paths: draw the letters of an SVG, so that it looks the same without the font.
            note: a line below it.
        """
        import matplotlib

        metadata = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
        stream = io.BytesIO()
        with plain_style():
            matplotlib.rcParams["svg.fonttype"] = "path" if text_as_paths else "none"
            figure = self.draw()
            if note:
                figure.supxlabel(note, fontsize=7, color=MUTED)
            figure.savefig(stream, format=file_format, metadata=metadata.get(file_format), dpi=150)
        content = stream.getvalue()
        if (
            file_format == "svg" and text_as_paths
        ):  # a file of its own needs no marks, and ids are to be unique
            return _ROW_IDS.sub(b"<g>", content)
        return content
