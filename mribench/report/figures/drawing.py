"""What a figure of a report is, before it is drawn; its files, and its SVG as a part of an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mribench.report.figures.style import INK, LINE, MUTED, PAPER, TAG, plain_style
from mribench.report.looks import COLOURS, GREYS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_THEME = (
    {INK: "currentColor", MUTED: "var(--muted)", LINE: "var(--line)", PAPER: "var(--card)"}
    | {colour: f"var(--c{place})" for place, colour in enumerate(COLOURS)}
    | {grey: f"var(--g{place})" for place, grey in enumerate(GREYS)}
)
"""Colours of the figures and what a page's style sheet calls them."""
_DROPPED = {"metadata", "style", "title", "desc"}
_DEFAULT_FILL = "currentColor"
_PIXELS_A_POINT = 1.45
"""Letters of 9 pt, as papers want them, are to be read on a screen."""


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
        own_file = file_format == "svg" and text_as_paths
        # it needs no marks, and ids are to be unique
        return _ROW_IDS.sub(b"<g>", content) if own_file else content


def inline_svg(svg: bytes, name: str, alt: str) -> str:
    """Return an SVG document as an element for an HTML page.

    Styles become presentation attributes, which a strict content security policy allows; the fixed colours
    of ``style`` become the page's variables; ids get the prefix ``name``.

    Args:
        svg: as matplotlib writes it, text as text.
        name: unique in the page; letters, digits, hyphens.
        alt: text for those who do not see it.

    Raises:
        ValueError: for what is no SVG.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - matplotlib's own output
    if root.tag != f"{{{_SVG}}}svg":
        raise ValueError(f"expected <svg>, got <{root.tag}>")
    _clean(root, name)
    for attribute in ("version", "id"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("fill", _DEFAULT_FILL)
    for side in ("width", "height"):
        root.set(side, f"{_PIXELS_A_POINT * float(root.get(side, '0').removesuffix('pt')):.0f}")
    return ElementTree.tostring(root, encoding="unicode", method="xml", short_empty_elements=False)


def _clean(element: ElementTree.Element, name: str) -> None:
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _DROPPED:
            element.remove(child)
        else:
            _clean(child, name)
    if element.tag == "defs" and not len(element):
        element.set("data-empty", "")
    for attribute, value in _declarations(element.attrib.pop("style", "")):
        element.set(attribute, value)
    if element.tag in ("g", "image"):  # nothing refers to their ids; that of a row lets a page fade it
        row = element.attrib.pop("id", "")
        if row.startswith(TAG):
            element.set("data-row", row.removeprefix(TAG))
    for attribute, value in list(element.attrib.items()):
        plain = attribute.replace(f"{{{_XLINK}}}", "")
        if plain != attribute:
            del element.attrib[attribute]
        element.set(plain, _named(plain, value, name))


def _declarations(style: str) -> list[tuple[str, str]]:
    attributes = []
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        attribute, _, value = declaration.partition(":")
        attribute, value = attribute.strip(), value.strip()
        if attribute == "font":
            attributes += _font(value)
        elif attribute in ("font-family", "stroke-linejoin", "stroke-linecap", "mix-blend-mode"):
            continue
        else:
            attributes.append((attribute, _THEME.get(value.lower(), value)))
    return attributes


def _font(value: str) -> list[tuple[str, str]]:
    """Return size and weight of a ``font`` shorthand; the family is the page's."""
    size = re.search(r"([\d.]+)px", value)
    attributes = [("font-size", size.group(1))] if size else []
    return [*attributes, ("font-weight", "600")] if re.search(r"\b(bold|[6-9]00)\b", value) else attributes


def _named(attribute: str, value: str, name: str) -> str:
    if attribute == "id":
        return f"{name}-{value}"
    if attribute == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", value)
