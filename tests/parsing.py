"""Reads rendered tables back, each format by rules of its own and none of the renderers' code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

Grid = tuple[list[list[str]], list[list[str]]]
"""Lines of the header, with spanned columns spelled out, and rows; texts as seen, marks included."""
_TEX = {
    r"$\pm$": "±", r"$\uparrow$": "↑", r"$\downarrow$": "↓", r"\%": "%", r"\textendash{}": "–", r"\_": "_",
    "$-$": "-", "{[}": "[", r"\&": "&", r"\textless{}": "<", r"\textgreater{}": ">",
    r"\textbackslash{}": "\\",
    r"\{": "{", r"\}": "}", r"\$": "$", r"\#": "#", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
    r"\textbar{}": "|", r"{\char34}": '"', r"{\char96}": "`", r"{\char39}": "'", "{*}": "*",
    r"$\rightarrow$": "→", r"\ldots{}": "…", r"\textdagger{}": "†", r"\textdaggerdbl{}": "‡", r"\S{}": "§",
    r"\P{}": "¶", "-{}": "-", ",{}": ",",
}  # fmt: skip
_TEX_TOKEN = re.compile("|".join(map(re.escape, sorted(_TEX, key=len, reverse=True))))


def of_tex(text: str) -> str:
    return _TEX_TOKEN.sub(lambda match: _TEX[match[0]], text)


def latex_grids(document: str) -> list[Grid]:
    found = []
    for body in re.findall(r"\\begin\{tabular\}\{[lr]*\}\n(.*?)\\end\{tabular\}", document, re.DOTALL):
        above, below = body.split("\\midrule\n")
        head = [_tex_cells(line) for line in above.splitlines() if line.endswith(r" \\")]
        rows = [_tex_cells(line) for line in below.splitlines() if line.endswith(r" \\")]
        found.append((head, rows))
    return found


def _tex_cells(line: str) -> list[str]:
    cells = []
    for text in re.split(r"(?<!\\)&", line.removesuffix(r" \\")):
        text = text.strip()
        spanned = re.fullmatch(r"\\multicolumn\{(\d+)\}\{c\}\{(.*)\}", text)
        width, text = (int(spanned[1]), spanned[2]) if spanned else (1, text)
        marked = re.fullmatch(r"\\(textbf|underline)\{(.*)\}", text)
        text = of_tex(marked[2] if marked else text)
        cells += [{"textbf": f"<{text}>", "underline": f"_{text}_"}[marked[1]] if marked else text] * width
    return cells


@dataclass
class _Reader(HTMLParser):
    grids: list[Grid] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.part = ""
        self.cell: dict[str, str | None] = {}
        self.held: dict[int, tuple[int, str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "table":
            self.grids.append(([], []))
        elif tag in ("thead", "tbody"):
            self.part = tag
        elif tag == "tr":
            self.grids[-1][self.part == "tbody"].append([])
        elif tag in ("th", "td"):
            self.text, self.cell = "", dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"
        if tag in ("th", "td"):
            classes = (self.cell.get("class") or "").split()
            text = self.text
            text = f"<{text}>" if "best" in classes else f"_{text}_" if "second" in classes else text
            line = self.grids[-1][self.part == "tbody"][-1]
            line += [text] * int(self.cell.get("colspan") or 1)

    def handle_data(self, data: str) -> None:
        self.text += data


def html_reader(page: str) -> _Reader:
    """Parse a page; every tag must be closed in order."""
    reader = _Reader()
    reader.feed(page.removeprefix("<!DOCTYPE html>\n"))
    reader.close()
    assert not reader.open
    return reader


def markdown_grids(document: str) -> list[Grid]:
    found: list[Grid] = []
    for block in re.findall(r"(?:^\|.*\n)+", document, re.MULTILINE):
        head, _, *rows = [_markdown_cells(line) for line in block.splitlines()]
        found.append(([head], rows))
    return found


def _markdown_cells(line: str) -> list[str]:
    cells = []
    for text in re.split(r"(?<!\\)\|", line)[1:-1]:
        text = text.strip()
        if text.startswith("**"):
            text = f"<{text[2:-2]}>"
        elif text.startswith("<ins>"):
            text = f"_{text[5:-6]}_"
        cells.append(re.sub(r"\\([\\`*_<>|\[\]])", r"\1", text))
    return cells
