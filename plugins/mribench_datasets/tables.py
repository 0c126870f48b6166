"""Reads tables: comma- or tab-separated values, and Excel files."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd
import xlrd
from pandas.errors import EmptyDataError, ParserError
from xlrd import XLRDError
from xlrd.compdoc import CompDocError

from mribench.errors import DataError

_NOT_AVAILABLE = ["n/a", "N/A", "NA", "nan", ""]
_BROKEN = (
    ValueError, KeyError, IndexError, TypeError, OSError, EOFError, AssertionError, struct.error, BadZipFile,
    XLRDError, CompDocError,
)  # fmt: skip
"""What pandas, xlrd and openpyxl raise on files that are not what their names say."""


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of comma- or tab-separated values, or the first sheet of an Excel file.

    Raises:
        DataError: naming the file, when it cannot be read, or pandas lacks the library for it.
    """
    try:
        if path.suffix == ".xls":
            return _read_xls(path)
        if path.suffix == ".xlsx":
            return pd.read_excel(path, na_values=_NOT_AVAILABLE)
        separator = "\t" if path.suffix == ".tsv" else ","
        return pd.read_csv(path, sep=separator, na_values=_NOT_AVAILABLE, encoding="utf-8-sig")
    except ImportError as error:
        raise DataError(
            f"{path} cannot be read: pandas needs openpyxl for it",
            f"save it as {path.stem}.csv, or install openpyxl",
        ) from error
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read as a table: {_why(error)}", "save it again") from error


def _read_xls(path: Path) -> pd.DataFrame:
    """Read the first sheet; pandas is about to give up its own reader of old Excel files."""
    with xlrd.open_workbook(path, logfile=io.StringIO()) as book:  # else it prints what it finds odd
        sheet = book.sheet_by_index(0)
        rows = [sheet.row_values(i) for i in range(sheet.nrows)]
    if not rows:
        raise ValueError("it is empty")
    return pd.DataFrame(rows[1:], columns=rows[0]).replace("", None).infer_objects()


def _why(error: Exception) -> str:
    """Say in words what pandas and xlrd say in their own."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, EmptyDataError):
        return "it is empty"
    if isinstance(error, ParserError):
        return "its rows differ in their number of columns, or a quote is never closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is damaged, or not of the type that its name says"


def read_text_table(path: Path) -> pd.DataFrame:
    """Read comma- or tab-separated values as text: nothing is taken for a number or for missing.

    Cells and names of columns are stripped of outer blanks. In a ``.tsv`` file, as BIDS has it, a quotation
    mark is a character like others, except for a pair around a cell.

    Raises:
        DataError: naming the file, when it cannot be read.
    """
    tabs = path.suffix == ".tsv"
    try:
        table = pd.read_csv(
            path, sep="\t" if tabs else ",", dtype=str, keep_default_na=False, encoding="utf-8-sig",
            quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL, index_col=False,
        )  # fmt: skip
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read as a table: {_why(error)}", "save it again") from error
    table = table.fillna("").rename(columns=lambda name: _cell(str(name)))  # rows that are too short
    return table.map(_cell)


def _cell(text: str) -> str:
    stripped = text.strip()
    quoted = len(stripped) > 1 and stripped[0] == stripped[-1] == '"'
    return stripped[1:-1].strip() if quoted else stripped
