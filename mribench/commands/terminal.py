"""Lines and tables on terminals of any width: a word of a table is never cut."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print one line as it is: names and paths are the user's, and their brackets are no markup."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_missing(console: Console, missing: Mapping[str, str]) -> None:
    """Say what each cohort that is not there waits for."""
    for name, sentence in missing.items():
        say(console, f"waiting for data.{name}: {sentence}", "yellow")


def make_text(value: str, style: str = "") -> Text:
    """Return text whose brackets are no markup and whose control characters are harmless."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value), style)


def print_table(console: Console, table: Table, key: int = 0) -> None:
    """Print a table; row by row, one line for each cell, where its longest words do not stand side by side.

    Columns whose overflow is ``fold`` may break words from ``_FOLDED`` characters on.

    Args:
        console: where.
        table: its cells are text.
        key: the column that a row begins with when it stands alone.
    """
    if _fit(console, table):
        console.print(table)
        return
    if table.title:
        console.print(_as_text(table.title), style="bold")
    headers = [_as_text(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        texts = [_as_text(cell) for cell in cells]
        console.print(texts[key], highlight=False, soft_wrap=True)
        for place, (header, text) in enumerate(zip(headers, texts, strict=True)):
            if place != key:
                told = Text.assemble((f"{header.plain}: ", "dim"), text)
                console.print(Padding(told, (0, 0, 0, 2), expand=False), highlight=False)


_WIDE, _FOLDED = 10_000, 20


def _fit(console: Console, table: Table) -> bool:
    """Give each column its longest word, and those with more a share of the rest; False without the room.

    Rich itself takes from the widest columns first, in the middle of words.
    """
    options = console.options.update(width=_WIDE)
    least, most = [], []
    for column in table.columns:
        texts = [_as_text(cell) for cell in (column.header, *column.cells)]
        sizes = [Measurement.get(console, options, text) for text in texts]
        most.append(max(size.maximum for size in sizes))
        word = most[-1] if column.no_wrap else max(size.minimum for size in sizes)
        least.append(min(word, _FOLDED) if column.overflow == "fold" and not column.no_wrap else word)
    room = console.width - (Measurement.get(console, options, table).maximum - sum(most))
    if sum(least) > room:
        return False
    spare = room - sum(least)
    wishes = [high - low for low, high in zip(least, most, strict=True)]
    if spare < sum(wishes):
        # who wants least is given it: a short column does not break for the sake of a long one
        order = sorted(range(len(wishes)), key=lambda place: wishes[place])
        for left, place in zip(range(len(order), 0, -1), order, strict=True):
            share = min(wishes[place], spare // left)
            table.columns[place].width = least[place] + share
            spare -= share
    return True


def _as_text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text.from_markup(str(cell))
