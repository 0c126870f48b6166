"""The rows of a CSV file of published results: each is read whole, or refused with its line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from mribench.errors import StoreError
from mribench.wording import printable

COLUMNS = (
    "table", "task", "site", "sequence", "fraction", "method", "metric", "unit", "higher_is_better", "mean",
    "se", "printed_mark",
)  # fmt: skip
CELL = ["table", "task", "site", "sequence", "fraction", "metric"]
"""The columns in which the methods that are compared agree."""
PRINTED_MARKS = ("", "best", "second", "bold", "underline")
README = "plugins/mribench_paper/README.md describes the columns"
_NAMES = ("table", "task", "site", "sequence", "method", "metric")
"""The columns that are never empty, and no numbers."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_AS_CSV = "save it as CSV (comma delimited) in UTF-8"


def read_rows(path: Path) -> pd.DataFrame:
    """Read the rows of a file: ``COLUMNS``, numbers as float64, and ``decimals`` of the mean as printed.

    Raises:
        StoreError: when the file cannot be read or is wrong; with the line, and what is expected there.
    """
    rows = list(_rows(path, _text(path)))
    if not rows:
        raise StoreError(f"{path}, line 2: expected a row of values, got none below the header", README)
    lines = [row.pop("line") for row in rows]
    cells = pd.DataFrame(rows, columns=[*COLUMNS, "decimals"])
    _check_once(path, cells, lines)
    _check_metrics(path, cells, lines)
    return cells


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        there = sorted(found.name for found in path.parent.glob("*") if found.suffix.lower() == ".csv")
        known = f"in that folder: {', '.join(there)}" if there else README
        raise StoreError(f"cannot read {path}: there is no such file", known) from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}", README) from error
    if content.startswith(_UTF_16):
        raise StoreError(f"{path}, line 1: expected UTF-8, got UTF-16", _AS_CSV)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StoreError(
            f"{path}, line {line}: expected UTF-8, got the byte 0x{content[error.start]:02x}", _AS_CSV
        ) from None


def _rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header)
        for values in reader:
            where = f"{path}, line {reader.line_num}"
            if not values:
                continue
            if len(values) != len(header):
                raise StoreError(
                    f"{where}: expected {len(header)} values as in the header, got {len(values)}",
                    'a value with a comma in it is written in quotes: "a, b"',
                )
            yield {**_row(dict(zip(header, values, strict=True)), where), "line": reader.line_num}
    except csv.Error as error:
        raise StoreError(f"{path}, line {reader.line_num}: not CSV: {error}", _AS_CSV) from error


def _check_header(path: Path, header: Sequence[str]) -> None:
    lacking = [name for name in COLUMNS if name not in header]
    other = next((sign for sign in (";", "\t") if header and header[0].count(sign) >= len(COLUMNS) - 1), "")
    if other:
        raise StoreError(f"{path}, line 1: expected ',' between values, got {other!r}", _AS_CSV)
    if lacking:
        raise StoreError(
            f"{path}, line 1: is no file of published results: it lacks {', '.join(lacking)}", README
        )
    twice = next((name for name in COLUMNS if header.count(name) > 1), "")
    if twice:
        raise StoreError(f"{path}, line 1: expected one column '{twice}', got {header.count(twice)}", README)


def _row(row: Mapping[str, str], where: str) -> dict[str, Any]:
    texts = {name: row[name].strip() for name in COLUMNS}
    empty = next((name for name in _NAMES if not texts[name]), "")
    if empty:
        raise StoreError(f"{where}: expected a {empty}, got nothing", README)
    if texts["printed_mark"] not in PRINTED_MARKS:
        raise StoreError(
            f"{where}: printed_mark '{printable(texts['printed_mark'], 40)}', expected"
            f" {', '.join(PRINTED_MARKS[1:])} or nothing",
            README,
        )
    if texts["higher_is_better"].lower() not in ("true", "false"):
        raise StoreError(
            f"{where}: higher_is_better is to be true or false,"
            f" got '{printable(texts['higher_is_better'], 40)}'",
            README,
        )
    fraction = _number(texts["fraction"], f"{where}: fraction")
    if not 0 < fraction <= 1:
        raise StoreError(f"{where}: expected a fraction above 0 and up to 1, got {fraction:g}", README)
    se = _number(texts["se"], f"{where}: se") if texts["se"] else math.nan
    if se < 0:
        raise StoreError(f"{where}: expected an se of 0 or more, got {texts['se']}", README)
    return {
        **texts,
        "fraction": fraction,
        "higher_is_better": texts["higher_is_better"].lower() == "true",
        "mean": _number(texts["mean"], f"{where}: mean"),
        "se": se,
        "decimals": max(0, -int(Decimal(texts["mean"]).as_tuple().exponent)),
    }


def _number(text: str, where: str) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StoreError(f"{where} is '{printable(text, 40)}', which is no number", README)
    return value


def _check_once(path: Path, cells: pd.DataFrame, lines: Sequence[int]) -> None:
    """Refuse two values for one cell."""
    seen: dict[tuple[Any, ...], int] = {}
    for line, key in zip(lines, cells[[*CELL, "method"]].itertuples(index=False, name=None), strict=True):
        if key in seen:
            at = dict(zip([*CELL, "method"], key, strict=True))
            said = printable(f"{at['site']} {at['sequence']} {at['method']}", 120)
            raise StoreError(
                f"{path}, line {line}: expected one value for each cell, got two values for {said},"
                f" the first in line {seen[key]}",
                README,
            )
        seen[key] = line


def _check_metrics(path: Path, cells: pd.DataFrame, lines: Sequence[int]) -> None:
    """Refuse a metric of a table whose unit or direction is not the same in all rows."""
    for name in ("unit", "higher_is_better"):
        seen: dict[tuple[str, str], tuple[Any, int]] = {}
        rows = cells[["table", "metric", name]].itertuples(index=False, name=None)
        for line, (table, metric, value) in zip(lines, rows, strict=True):
            first, where = seen.setdefault((table, metric), (value, line))
            if value != first:
                expected, got = (printable(str(text), 40) for text in (first, value))
                raise StoreError(
                    f"{path}, line {line}: expected the {name} '{expected}' of {printable(metric, 40)}, as in"
                    f" line {where}, got '{got}'",
                    "one metric of a table has one unit and one direction",
                )
