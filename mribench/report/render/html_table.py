"""Tables as HTML: a fragment for a page of one's own, and a small page of all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from html import escape

from mribench.interfaces.table import Cell, Table
from mribench.report.render.headers import groups, levels
from mribench.results.formatting import cell_text, row_header

STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
figure.mribench-table { margin: 0 0 3rem; overflow-x: auto; }
.mribench-table table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.mribench-table caption { text-align: left; font-weight: 600; font-size: 1.15em; padding: .4rem 0; }
.mribench-table th, .mribench-table td { padding: .2rem .6rem; white-space: nowrap; }
.mribench-table td { text-align: right; }
.mribench-table tbody th { text-align: left; font-weight: 400; }
.mribench-table thead th { text-align: center; vertical-align: bottom; }
.mribench-table thead tr:last-child th { border-bottom: 1px solid #444; }
.mribench-table table { border-top: 2px solid #444; border-bottom: 2px solid #444; }
.mribench-table th[colspan] { border-bottom: 1px solid #bbb; }
.mribench-table tr.group > * { border-top: 1px solid #ddd; }
.mribench-table td.best strong { font-weight: 700; }
.mribench-table td.second u { text-underline-offset: .15em; }
.mribench-table td.failed { color: #a40000; }
.mribench-table td.missing, .mribench-table td.nothing { color: #666; }
.mribench-table .notes { font-size: .9em; color: #333; max-width: 60rem; padding-left: 1.2rem; }
"""


def to_html(table: Table) -> str:
    """Return a table as a ``<figure>``: ``<table>`` with caption and scoped headers, and its notes.

    Cells have the classes ``best`` or ``second`` and their status, and hold ``<strong>`` or ``<u>``, so that
    marks survive without a style sheet. ``data-mean`` and ``data-se`` have the unrounded numbers in the
    units shown. Every text is escaped.
    """
    name = identifier(table.name)
    notes = "".join(f"<li>{escape(sentence)}</li>\n" for sentence in table.caption)
    described = f' aria-describedby="{name}-notes"' if notes else ""
    return (
        f'<figure class="mribench-table" id="{name}">\n<table{described}>\n'
        f"<caption>{escape(table.title)}</caption>\n"
        f"<thead>\n{_head(table)}</thead>\n<tbody>\n{_body(table)}</tbody>\n</table>\n"
        + (f'<ul class="notes" id="{name}-notes">\n{notes}</ul>\n' if notes else "")
        + "</figure>\n"
    )


def html_page(tables: Iterable[Table], title: str = "mribench") -> str:
    """Return a page of tables that needs nothing else: no scripts, no other files."""
    body = "".join(map(to_html, tables))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def identifier(name: str) -> str:
    """Return a name as an HTML id: ``table-`` and its letters, digits and hyphens."""
    return "table-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _head(table: Table) -> str:
    above = levels(table.columns) or [[]]
    lines = []
    for place, spans in enumerate(above):
        corner = ""
        if place == 0:
            rows = f' rowspan="{len(above)}"' if len(above) > 1 else ""
            corner = "".join(f'<th scope="col"{rows}>{escape(text)}</th>' for text in table.row_names)
        cells = "".join(
            f'<th scope="colgroup" colspan="{span.width}">{escape(span.text)}</th>'
            if span.width > 1
            else f'<th scope="col">{escape(span.text)}</th>'
            for span in spans
        )
        lines.append(f"<tr>{corner}{cells}</tr>\n")
    return "".join(lines)


def _body(table: Table) -> str:
    new_group = set(groups([row.header for row in table.rows]))
    lines = []
    for place, (row, cells) in enumerate(zip(table.rows, table.cells, strict=True)):
        start = '<tr class="group">' if place in new_group else "<tr>"
        headers = "".join(f'<th scope="row">{escape(text)}</th>' for text in row_header(row))
        lines.append(f"{start}{headers}{''.join(map(_cell, cells))}</tr>\n")
    return "".join(lines)


def _cell(cell: Cell | None) -> str:
    text = escape(cell_text(cell))
    if cell is None:
        return f'<td class="nothing">{text}</td>'
    classes = " ".join(name for name in (cell.mark, cell.status) if name != "none")
    numbers = "".join(
        f' data-{name}="{value * cell.scale!r}"'
        for name, value in (("mean", cell.mean), ("se", cell.se))
        if not math.isnan(value)
    )
    shown = {"best": f"<strong>{text}</strong>", "second": f"<u>{text}</u>"}.get(cell.mark, text)
    return f'<td class="{classes}"{numbers}>{shown}</td>'
