"""One self-contained page: no other file, no network, nothing that runs but its own script."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from mribench.interfaces.table import Table
from mribench.report.looks import row_id
from mribench.report.provenance import PageProvenance
from mribench.report.render.html.tables import show


@dataclass(frozen=True)
class Picture:
    """A figure of the page: an SVG that is part of it, or a PNG that it carries along."""

    id: str
    title: str
    caption: tuple[str, ...]
    svg: str = ""
    png: str = ""
    alt: str = ""


@dataclass(frozen=True)
class PageSection:
    """A part of the page.

    Attributes:
        id: unique in it.
        title: its heading.
        intro: what question it answers.
        pictures: figures.
        tables: below them.
        notes: what the results do not support, and why.
    """

    id: str
    title: str
    intro: str
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageContent:
    """What a page shows.

    Attributes:
        title: its heading.
        facts: the numbers at the top, by what they count.
        claim: what the number of seeds allows to say; empty where it forbids nothing.
        sections: its parts, in order.
        missing: titles of the parts that it lacks, and why.
        methods: labels of the rows that a reader may hide, each with its colour, a class of the style sheet.
        provenance: where the results come from.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    claim: str
    sections: tuple[PageSection, ...]
    missing: tuple[tuple[str, str], ...]
    methods: Mapping[str, str]
    provenance: PageProvenance


def render_page(content: PageContent) -> str:
    """Return a page as one HTML file."""
    style, script = _asset("style.css"), _asset("script.js")
    template = _environment().get_template("page.html.j2")
    return template.render(
        page=content,
        shown=functools.partial(show, methods=content.methods),
        row_id=row_id,
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    """Return the content security policy: its own style and script by hash, pictures in it, no more."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@functools.cache
def _asset(name: str) -> str:
    return files("mribench.report.render.html").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("mribench.report.render.html", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
