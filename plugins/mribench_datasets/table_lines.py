"""Reads the lines of a table as text, each with its number: CSV, TSV, and lists in JSON.

People write such tables by hand, in spreadsheets and in scripts: with a byte order mark, with semicolons and
decimal commas, with quotes, with the line ends of any system.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mribench.errors import DataError
from mribench_datasets.files import one_line

ENDS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
"""What tables of scans may be called."""

_SEPARATORS = "\t;,"
_NAMED_SEPARATOR = re.compile(r'"?sep=(.)"?\s*')
"""A first line that spreadsheets write."""
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_BYTE_ORDER_MARK = "\ufeff"
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        number: of the line in the file, from 1; in JSON of the entry, from 1.
        cells: text by column, without outer blanks.
    """

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Lines:
    """What a table holds.

    Attributes:
        columns: in their order.
        lines: without blank ones.
        noun: what a line is called: ``line`` or ``entry``.
        problems: what is wrong with lines that are not among them, by their number.
    """

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    noun: str
    problems: Mapping[int, str]


def read_lines(path: Path, image_column: str) -> Lines:
    """Read a table.

    Args:
        path: its ending says what it is.
        image_column: of lists in JSON: an object that has it is a line, and has the values of those around.

    Raises:
        DataError: naming the file, when it cannot be read or has no line.
    """
    if path.suffix.lower() not in ENDS:
        raise DataError(
            f"{one_line(path)} is no table that can be read, expected one of {', '.join(ENDS)}",
            "save a spreadsheet as 'CSV UTF-8'",
        )
    text = _read_text(path)
    if path.suffix.lower() in (".json", ".jsonl"):
        lines = _read_json(path, text, image_column)
    else:
        lines = _read_separated(path, text)
    if not lines.lines and not lines.problems:
        raise DataError(f"{one_line(path)} has no {lines.noun} below its header", "write one for each image")
    return lines


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith(_BYTE_ORDER_MARKS) else "utf-8-sig"
        return content.decode(encoding).lstrip(_BYTE_ORDER_MARK)
    except OSError as error:
        raise DataError(f"{one_line(path)} cannot be opened: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{one_line(path)} is not UTF-8 text", "save it as 'CSV UTF-8' (in spreadsheets: Save As)"
        ) from error


def _read_separated(path: Path, text: str) -> Lines:
    first, _, rest = text.partition("\n")
    named = _NAMED_SEPARATOR.fullmatch(first)
    separator = named[1] if named else _likely_separator(text.lstrip("\r\n"))
    try:
        rows = list(_rows(rest if named else text, separator, 2 if named else 1))
    except csv.Error as error:
        raise DataError(
            f"{one_line(path)} cannot be read as a table: {error}", "is a quotation mark never closed?"
        ) from error
    if not rows:
        raise DataError(f"{one_line(path)} is empty", "write a header, and one line for each image")
    _, header = rows[0]
    _check_header(path, header)
    lines, problems = [], {}
    for number, cells in rows[1:]:
        if any(cells[len(header) :]):
            problems[number] = (
                f"has {len(cells)} cells, and the header has {len(header)}: is a cell with a '{separator}' in"
                " it not quoted?"
            )
            continue
        padded = [*cells, *[""] * (len(header) - len(cells))]
        named_cells = {name: cell for name, cell in zip(header, padded, strict=False) if name}
        lines.append(Line(number, _with_points(named_cells) if separator == ";" else named_cells))
    return Lines(tuple(name for name in header if name), tuple(lines), "line", problems)


def _likely_separator(text: str) -> str:
    """Return what separates the cells of the header."""
    header = text.splitlines()[0] if text else ""
    return max(_SEPARATORS, key=header.count)


def _rows(text: str, separator: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank.

    Between tabs a quotation mark is a character like others, but for a pair around a cell; elsewhere too
    where a blank stands before it.
    """
    tabs = separator == "\t"
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True,
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    number = first
    for row in reader:
        cells = [_unquoted(cell) for cell in row]
        if any(cells):
            yield number, cells
        number = first + reader.line_num


def _unquoted(cell: str) -> str:
    stripped = cell.strip()
    is_quoted = len(stripped) > 1 and stripped[0] == stripped[-1] == '"'
    return stripped[1:-1].strip() if is_quoted else stripped


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = [name for name, number in Counter(header).items() if name and number > 1]
    if twice:
        raise DataError(
            f"{one_line(path)} has {header.count(twice[0])} columns of the name '{twice[0]}'", "rename one"
        )


def _with_points(cells: Mapping[str, str]) -> dict[str, str]:
    """Return cells with decimal points: where semicolons separate, commas are decimal commas."""
    return {
        name: cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell
        for name, cell in cells.items()
    }


def _read_json(path: Path, text: str, image_column: str) -> Lines:
    """Read every object that has an image, wherever it lies in lists and objects."""
    try:
        is_list_of_lines = path.suffix.lower() == ".jsonl"
        content = [json.loads(line) for line in text.splitlines() if line.strip()] if is_list_of_lines else (
            json.loads(text)
        )  # fmt: skip
        found = list(_objects(content, image_column, {}))
    except ValueError as error:
        raise DataError(f"{one_line(path)} cannot be read as JSON: {error}", "save it again") from error
    except RecursionError as error:
        raise DataError(f"{one_line(path)} is nested too deeply", "write one list of objects") from error
    lines = tuple(Line(number, cells) for number, cells in zip(count(1), found, strict=False))
    columns = dict.fromkeys(name for line in lines for name in line.cells)
    return Lines(tuple(columns), lines, "entry", {})


def _objects(content: Any, image_column: str, around: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield what each object with an image says, with what the objects around it say of it too."""
    if isinstance(content, list):
        for item in content:
            yield from _objects(item, image_column, around)
    elif isinstance(content, dict):
        says = {**around, **_plain_values(content, image_column)}
        if image_column in content:
            yield says
            return
        for value in content.values():
            yield from _objects(value, image_column, says)


def _plain_values(content: Mapping[str, Any], image_column: str) -> dict[str, str]:
    """Return the values of an object, and those of objects in it that hold nothing but values.

    An object with an image says something of that image alone.
    """
    values: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict) and _is_plain(value) and image_column not in value:
            values |= {inner: _said(one) for inner, one in value.items()}
        elif not isinstance(value, dict | list):
            values[name] = _said(value)
    return values


def _is_plain(content: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in content.values())


def _said(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)
