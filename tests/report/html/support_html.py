"""Reads pages, for their tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "hr"}
WITH_ADDRESS = ("src", "href", "srcset", "data", "action", "poster", "xlink:href")


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict[str, str]
    ancestors: tuple[Element, ...]
    texts: list[str] = field(default_factory=list)

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(element.tag for element in self.ancestors)

    @property
    def text(self) -> str:
        return "".join(self.texts)


class Page(HTMLParser):
    """The elements of a page in order; the text of each holds that of those inside it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.unclosed: list[Element] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs}, tuple(self.unclosed))
        self.elements.append(found)
        if tag not in VOID:
            self.unclosed.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.unclosed.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed, f"</{tag}> closes nothing"
        assert self.unclosed[-1].tag == tag, f"</{tag}> closes <{self.unclosed[-1].tag}>"
        self.unclosed.pop()

    def handle_data(self, data: str) -> None:
        for element in self.unclosed:
            element.texts.append(data)

    def all(self, tag: str, within: Element | None = None, **attributes: str) -> list[Element]:
        """Return the elements of a tag with some attributes; ``class_`` is one of the classes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}

        def fits(element: Element) -> bool:
            return all(
                value in element.attributes.get(name, "").split()
                if name == "class"
                else element.attributes.get(name) == value
                for name, value in wanted.items()
            )

        found = [element for element in self.elements if element.tag == tag and fits(element)]
        return [element for element in found if within is None or within in element.ancestors]

    @property
    def text(self) -> str:
        """The visible text."""
        (body,) = self.all("body")
        (script,) = self.all("script")
        return body.text.replace(script.text, "")
