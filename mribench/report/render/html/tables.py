"""Tables of the neutral model as a page's template needs them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mribench.interfaces.table import Cell, Row, Table
from mribench.report.looks import row_id
from mribench.report.render.headers import groups, levels
from mribench.results.formatting import cell_text, digits_for, row_header
from mribench.wording import printable

_FOLDED = ("marks", "note")
"""Kinds of sentences that are folded away; the others say what is shown, odd, not there or not claimed."""
_MOST_CHIPS = 12
_OF_METHODS = ("method", "A", "B")
_SHORT = 28
"""Words that stay on one line."""
_SIGNS = "†‖‡§¶*"
_INTERVALS = "In brackets below a mean: its 95 % interval."


@dataclass(frozen=True)
class Head:
    """A header of columns.

    Attributes:
        text: of it.
        full: it and those above it, for those who hear it alone.
        width: columns that it is over.
        height: lines that it is over.
        column: number of the column that it sorts, None where it is over several.
        chip: number of the outermost header that it stands below, None for row headers.
        of_words: whether it is over words, as headers of rows are.
        start: number of the first column that it is over.
        row: id of the method that its column is about (``looks.row_id``); empty for none.
    """

    text: str
    full: str
    width: int = 1
    height: int = 1
    column: int | None = None
    chip: int | None = None
    of_words: bool = False
    start: int = 0
    row: str = ""


@dataclass(frozen=True)
class Datum:
    """A cell: text, what it is sorted by, and what a download has beside it; empty where there is nothing.

    Attributes:
        text: what is shown.
        chip: number of the outermost header that it stands below.
        classes: of the style sheet.
        mark: best or second, for those who do not see it.
        interval: shown below the text.
        value: the number, in the unit shown, unrounded.
        beside: what a download has in columns of their own, by the name of its attribute of the page.
    """

    text: str
    chip: int | None
    classes: str = ""
    mark: str = ""
    interval: str = ""
    value: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A row; ``rows`` are the ids of the methods that it is about (``looks.row_id``)."""

    headers: tuple[str, ...]
    data: tuple[Datum, ...]
    new_group: bool
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownTable:
    """A table.

    Attributes:
        id: unique in the page.
        name: of the file that it is downloaded as.
        title: one line.
        heads: lines of headers.
        lines: rows.
        chips: outermost headers, to hide columns by; none where there are too few or too many.
        said: sentences that are always shown.
        notes: those that are folded away.
    """

    id: str
    name: str
    title: str
    heads: tuple[tuple[Head, ...], ...]
    lines: tuple[Line, ...]
    chips: tuple[str, ...]
    said: tuple[str, ...]
    notes: tuple[str, ...]


def show(table: Table, methods: Collection[str] = ()) -> ShownTable:
    """Return a table for the template.

    Args:
        table: of the neutral model.
        methods: labels of the report's rows, which a reader may hide everywhere.
    """
    depth = max((len(column.header) for column in table.columns), default=0)
    tops = list(dict.fromkeys(column.header[0] for column in table.columns)) if depth > 1 else []
    chips = tuple(tops) if 1 < len(tops) <= _MOST_CHIPS else ()
    place = {top: number for number, top in enumerate(chips)}
    of_column = [place.get(column.header[0]) if chips else None for column in table.columns]
    starts = set(groups([row.header for row in table.rows]))
    lines = tuple(
        Line(
            tuple(map(printable, row_header(row))),
            tuple(map(_datum, cells, of_column)),
            number in starts,
            _methods_of(table, row, methods),
        )
        for number, (row, cells) in enumerate(zip(table.rows, table.cells, strict=True))
    )
    said = tuple(sentence.text for sentence in table.sentences if sentence.kind not in _FOLDED)
    below = (_INTERVALS,) if any(datum.interval for line in lines for datum in line.data) else ()
    return ShownTable(
        identifier(table.name),
        re.sub(r"[^A-Za-z0-9._-]+", "-", table.name),
        table.title,
        _heads(table, of_column, methods),
        lines,
        chips,
        said[:1] + below + said[1:],
        tuple(sentence.text for sentence in table.sentences if sentence.kind in _FOLDED),
    )


def _methods_of(table: Table, row: Row, methods: Collection[str]) -> tuple[str, ...]:
    named = zip(table.row_names, row.header, strict=False)
    return tuple(row_id(text) for name, text in named if name in _OF_METHODS and text in methods)


def _method_of(header: str, methods: Collection[str]) -> str:
    """Return the id of the method of a column, whose footnote signs stand behind its name."""
    bare = header if header in methods else header.rstrip(_SIGNS)
    return row_id(bare) if bare in methods else ""


def identifier(name: str) -> str:
    """Return a name as an id of the page."""
    return "table-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()


def _heads(
    table: Table, chips: Sequence[int | None], methods: Collection[str]
) -> tuple[tuple[Head, ...], ...]:
    above = levels(table.columns) or [[]]
    names = len(table.row_names)
    lines = [
        [
            Head(text, text, height=len(above), column=n, of_words=True)
            for n, text in enumerate(table.row_names)
        ]
    ]
    for level, spans in enumerate(above):
        last = level == len(above) - 1
        lines += [[]] if level else []
        for span in spans:
            over = filter(None, table.columns[span.start].header[: level + 1])
            head = Head(
                printable(span.text), printable(", ".join(over)), width=span.width, chip=chips[span.start],
                start=names + span.start,
            )  # fmt: skip
            if last:
                row, of_words = _method_of(span.text, methods), _wordy(table, span.start)
                head = replace(head, column=head.start, row=row, of_words=of_words)
            lines[-1].append(head)
    return tuple(map(tuple, lines))


def _wordy(table: Table, column: int) -> bool:
    cells = [line[column] for line in table.cells]
    return any(cell is not None and cell.text is not None and math.isnan(cell.mean) for cell in cells)


def _datum(cell: Cell | None, chip: int | None) -> Datum:
    text = printable(cell_text(cell))
    if cell is None:
        return Datum(text, chip, "nothing")
    mark = "" if cell.mark == "none" else cell.mark
    classes = " ".join(filter(None, (mark, "" if cell.status == "ok" else cell.status)))
    if cell.text is not None and math.isnan(cell.mean):
        width = "text" if len(text) > _SHORT else "text short"
        return Datum(text, chip, f"{classes} {width}".strip(), mark, beside=_beside(cell))
    value = _number(cell.mean, cell.scale)
    return Datum(text, chip, classes, mark, _interval(cell), value, _beside(cell))


def _interval(cell: Cell) -> str:
    """Return the interval of a mean as it is shown; empty where the text has it already."""
    ends = cell.interval or (None if cell.signed else cell.seeds)
    if ends is None or cell.text is not None or math.isnan(cell.mean):
        return ""
    digits = digits_for(cell.se * cell.scale, cell.digits, cell.mean * cell.scale)
    low, high = (f"{round(end * cell.scale, digits) + 0.0:.{digits}f}" for end in ends)
    return f"[{low}, {high}]" if cell.interval else f"seeds: {low}, {high}"


def _beside(cell: Cell) -> dict[str, str]:
    """Return what a download has beside the number of a cell, by the names of ``script.js``."""
    low, high = cell.interval or (cell.low, cell.high)
    counted = cell.n_subjects or cell.n_subjects_total
    partial = cell.status == "partial"
    attributes = {
        "se": _number(cell.se, cell.scale),
        "low": _number(low, cell.scale),
        "high": _number(high, cell.scale),
        "n": str(cell.n_subjects) if counted else "",
        "n-total": str(cell.n_subjects_total) if cell.n_subjects_total else "",
        "status": cell.status if counted or cell.status != "ok" else "",
        "jobs-done": str(cell.jobs_done) if partial else "",
        "jobs-expected": str(cell.jobs_expected) if partial else "",
    }
    return {name: text for name, text in attributes.items() if text}


def _number(value: float, scale: float) -> str:
    return f"{value * scale:.10g}" if math.isfinite(value) else ""
