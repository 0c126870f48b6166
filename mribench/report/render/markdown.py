"""Tables as GitHub Markdown."""

from __future__ import annotations

import re

from tabulate import tabulate

from mribench.interfaces.table import Cell, Table
from mribench.results.formatting import cell_text, row_header

_SPECIAL = re.compile(r"([\\`*_<>|\[\]])")


def to_markdown(table: Table) -> str:
    """Return a table: title, pipe table, caption; the second best is ``<ins>``, which GitHub underlines."""
    head = [*table.row_names, *(" ".join(column.header) for column in table.columns)]
    body = [
        [*map(escape, row_header(row)), *map(_cell, cells)]
        for row, cells in zip(table.rows, table.cells, strict=True)
    ]
    align = ["left"] * len(table.row_names) + ["right"] * len(table.columns)
    lines = tabulate(
        body, list(map(escape, head)), tablefmt="pipe", colalign=align if body else None,
        disable_numparse=True,
    )  # fmt: skip
    caption = "\n".join(f"- {escape(sentence)}" for sentence in table.caption)
    return f"## {escape(table.title)}\n\n{lines}\n\n{caption}\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def _cell(cell: Cell | None) -> str:
    text = escape(cell_text(cell))
    mark = cell.mark if cell else "none"
    return {"best": f"**{text}**", "second": f"<ins>{text}</ins>"}.get(mark, text)
