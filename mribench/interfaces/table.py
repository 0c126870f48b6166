"""Tables: cells in rows and columns, and what is said below them. What a plugin's table is made of too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Section = Literal[
    "results", "differences", "efficiency", "domains", "transfer", "subjects", "labels", "embeddings",
    "examples", "views", "training", "defects", "failures",
]  # fmt: skip
"""A section of the page, in this order."""

Mark = Literal["best", "second", "none"]
CellStatus = Literal["ok", "partial", "failed", "missing"]
"""``partial``: some of the jobs behind the cell are not done; ``missing``: none is."""


@dataclass(frozen=True)
class Cell:
    """One estimate, in the units of its metric.

    Attributes:
        mean: unscaled and unrounded; NaN where there is none.
        se: standard error, NaN where there is none.
        n_subjects: subjects behind the mean.
        n_subjects_total: subjects that were scored or should have been.
        jobs_done: evaluate jobs done.
        jobs_expected: evaluate jobs that the benchmark plans for this cell.
        status: whether all of it is there.
        mark: best or second of those it competes with.
        scale: factor to what is shown, 100 for shares.
        digits: decimals shown.
        low: lower end of the 95 % interval of a difference; NaN where there is none.
        high: its upper end.
        text: what is shown in place of all that, None to show the numbers.
        interval: 95 % interval of a mean or a ratio, unscaled; None where there is none. Pages show it below
            the number and downloads have it; in other formats it is not printed.
        seeds: the means of two seeds, unscaled, which leave no interval; shown in its place.
        signed: whether it is a difference, shown with its sign.
    """

    mean: float = math.nan
    se: float = math.nan
    n_subjects: int = 0
    n_subjects_total: int = 0
    jobs_done: int = 0
    jobs_expected: int = 0
    status: CellStatus = "missing"
    mark: Mark = "none"
    scale: float = 1.0
    digits: int = 1
    low: float = math.nan
    high: float = math.nan
    text: str | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[float, float] | None = None
    signed: bool = False


def text_cell(text: object) -> Cell:
    """Return a cell that shows a text."""
    return Cell(status="ok", text=str(text))


@dataclass(frozen=True)
class Row:
    """A row: its headers, and the signs of the footnotes that belong to it."""

    header: tuple[str, ...]
    flags: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its headers from the outermost to the innermost."""

    header: tuple[str, ...]


SentenceKind = Literal["what", "limit", "missing", "footnote", "marks", "unplanned", "note"]
"""``what``: what the numbers are; ``limit``: what may not be claimed; ``missing``: what is not there;
``footnote``: what is odd about a row, by its sign; ``marks``: what the marks mean; ``unplanned``: why the
table is empty; ``note``: anything else. A page folds away ``marks`` and ``note``."""


@dataclass(frozen=True)
class Sentence:
    """A sentence below a table, and what it is about."""

    text: str
    kind: SentenceKind = "note"


NOTHING_PLANNED = Sentence("Nothing is planned.", "unplanned")


def said(*texts: str | Sentence) -> tuple[Sentence, ...]:
    """Return sentences without the empty ones; a plain text is a ``note``."""
    sentences = (Sentence(text) if isinstance(text, str) else text for text in texts)
    return tuple(sentence for sentence in sentences if sentence.text)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: as ``--table`` and file names have it.
        title: one line.
        row_names: what each row header is.
        rows: from top to bottom.
        columns: from left to right.
        cells: by row, then column; None where the benchmark plans nothing.
        sentences: below the table.
    """

    name: str
    title: str
    row_names: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    sentences: tuple[Sentence, ...] = ()

    @property
    def caption(self) -> tuple[str, ...]:
        """The texts of the sentences."""
        return tuple(sentence.text for sentence in self.sentences)

    @property
    def planned(self) -> bool:
        """Whether the benchmark plans anything for it."""
        return bool(self.rows) and not any(sentence.kind == "unplanned" for sentence in self.sentences)


Header = tuple[str, ...]
"""Of a row or a column, from the outermost to the innermost."""
PlacedCell = tuple[Header, Header, Cell | None]
"""The header of its row, that of its column, and the cell."""


def table_of(
    name: str,
    title: str,
    row_names: tuple[str, ...],
    placed: Iterable[PlacedCell],
    sentences: tuple[Sentence, ...],
    *,
    rows: Iterable[Header] | None = None,
    columns: Iterable[Header] | None = None,
    flags: Callable[[str], str] | None = None,
) -> Table:
    """Return the table of some cells that know their place.

    Args:
        name: of the table, as its other parts until ``sentences``.
        title: one line.
        row_names: what each row header is.
        placed: the cells.
        sentences: below the table.
        rows: headers in their order, rows without cells too; in that of the cells when None.
        columns: as ``rows``.
        flags: signs of the footnotes of a row, by its first header.
    """
    cells = {(row, column): cell for row, column, cell in placed}
    rows = tuple(dict.fromkeys(row for row, _ in cells) if rows is None else rows)
    columns = tuple(dict.fromkeys(column for _, column in cells) if columns is None else columns)
    body = []
    for row in rows:
        body.append(tuple(cells.get((row, column)) for column in columns))
    return Table(
        name,
        title,
        row_names,
        tuple(Row(row, flags(row[0]) if flags else "") for row in rows),
        tuple(Column(column) for column in columns),
        tuple(body),
        sentences,
    )
