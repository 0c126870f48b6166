"""Tables for the terminal, and for a file or pipe without styles."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from mribench.interfaces.table import Cell, Table
from mribench.results.formatting import cell_text, row_header
from mribench.wording import spell_out

_STYLES = {"best": "bold", "second": "underline", "none": ""}
_STATUS_STYLES = {"failed": "red", "missing": "dim", "partial": "", "ok": ""}
_SIGNS = {"best": "**{}**", "second": "__{}__", "none": "{}"}
_PIPE_WIDTH = 10_000


def print_tables(tables: Iterable[Table], console: Console) -> None:
    """Print tables; one too wide for the terminal in blocks of columns, a sentence of captions once.

    Without a terminal the styles are written out: ``**best**``, ``__second__``.
    """
    said: set[str] = set()
    marked = False
    for table in tables:
        _print(table, console, [sentence for sentence in table.caption if sentence not in said])
        said.update(table.caption)
        marked = marked or any(cell.mark != "none" for cells in table.cells for cell in cells if cell)
    if marked and not console.is_terminal:
        console.print(Text("Without styles: **best**, __second__."), soft_wrap=True)


def _print(table: Table, console: Console, caption: Iterable[str]) -> None:
    console.print(Text(f"\n{spell_out(table.title)}"), style="bold")
    width = console.width if console.is_terminal else _PIPE_WIDTH
    for block in _blocks(table, width, styled=console.is_terminal):
        if console.is_terminal:
            console.print(block)
        else:
            console.print(Text(_plain(block)), soft_wrap=True)
    for sentence in caption:
        console.print(Text(spell_out(sentence)), style="dim", soft_wrap=not console.is_terminal)


def _blocks(table: Table, width: int, *, styled: bool) -> Iterator[RichTable]:
    """Split the columns so that each block fits; one that never fits stands alone, its text on more lines."""
    measuring = Console(width=_PIPE_WIDTH, file=io.StringIO())
    start = 0
    while start < len(table.columns) or start == 0:
        stop = start + 1
        while stop < len(table.columns):
            wider = _rich(table, range(start, stop + 1), styled=styled)
            if Measurement.get(measuring, measuring.options, wider).maximum > width:
                break
            stop += 1
        yield _rich(table, range(start, min(stop, len(table.columns))), styled=styled)
        start = stop


def _rich(table: Table, places: Sequence[int], *, styled: bool) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in table.row_names:
        made.add_column(Text(spell_out(name)), overflow="fold")
    for place in places:
        header = (spell_out(text) for text in table.columns[place].header)
        made.add_column(Text("\n".join(header)), justify="right", overflow="fold")
    for row, cells in zip(table.rows, table.cells, strict=True):
        made.add_row(
            *(Text(spell_out(text)) for text in row_header(row)),
            *(_text(cells[place], styled=styled) for place in places),
        )
    return made


def _text(cell: Cell | None, *, styled: bool) -> Text:
    text = spell_out(cell_text(cell))
    if cell is None:
        return Text(text, style="dim")
    if not styled:
        return Text(_SIGNS[cell.mark].format(text))
    # assembled, so that the style stays off the padding
    return Text.assemble((text, _STYLES[cell.mark] or _STATUS_STYLES[cell.status]))


def _plain(block: RichTable) -> str:
    console = Console(width=_PIPE_WIDTH, file=io.StringIO(), force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(block)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
