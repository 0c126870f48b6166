"""Tables that say something about the subjects: demographics, BIDS participants."""

from __future__ import annotations

import io
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd
import xlrd
from pandas.errors import EmptyDataError, ParserError
from xlrd import XLRDError
from xlrd.compdoc import CompDocError

from mribench.errors import DataError
from mribench.interfaces import Exclusion
from mribench_datasets.folders import Found

People = Mapping[str, Mapping[str, object]]
"""Covariates by subject; those that are not available are not there."""

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


def participants(path: Path, found: Found) -> People:
    """Return the covariates of a BIDS ``participants.tsv``, by subject without ``sub-``.

    Raises:
        DataError: when there is such a file and it cannot be read, or has no ``participant_id``.
    """
    if not path.is_file():
        return {}
    table = read_table(path)
    if "participant_id" not in table:
        raise DataError(f"{path} has no column participant_id", "BIDS asks for it as the first column")
    rows = [
        (str(row.pop("participant_id")).removeprefix("sub-"), row)
        for row in table.dropna(subset="participant_id").to_dict("records")
    ]
    return people(
        ((name, {str(key): value for key, value in row.items()}) for name, row in rows), path, found
    )


def people(rows: Iterable[tuple[str, Mapping[str, object]]], path: Path, found: Found) -> People:
    """Return one set of covariates for each subject; values that are not available are left out.

    Of several rows of one subject the values that do not contradict each other are used; a covariate about
    which they do is left out, with the reason in ``found.excluded``.
    """
    by_name: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for name, row in rows:
        by_name[name].append({key: value for key, value in row.items() if pd.notna(value)})  # type: ignore[call-overload]
    return {name: _one_row(name, several, path, found) for name, several in by_name.items()}


def _one_row(name: str, rows: list[Mapping[str, object]], path: Path, found: Found) -> Mapping[str, object]:
    merged: dict[str, object] = {}
    doubtful: list[str] = []
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if key in row]
        if all(value == values[0] for value in values):
            merged[key] = values[0]
        else:
            doubtful.append(key)
    if doubtful:
        reason = f"{path} has {len(rows)} rows that differ in {', '.join(doubtful)}: not used"
        found.excluded.append(Exclusion(name, reason, "covariates in which two rows differ"))
    elif len(rows) > 1:
        reason = f"{path} has {len(rows)} rows that agree: used as one"
        found.remarks.append(Exclusion(name, reason, "more than one row of covariates"))
    return merged


def add_from_table(found: Found, path: Path, read: Callable[[Path, Found], People]) -> bool:
    """Give each subject its covariates, or remark that the table cannot be read.

    Args:
        found: whose subjects they are.
        path: of a table that is there.
        read: returns what the table says.

    Returns:
        Whether it could be read.
    """
    try:
        known = read(path, found)
    except DataError as error:
        hint = f" ({error.hint})" if error.hint else ""
        reason = f"{error.message}; covariates are left out{hint}"
        found.remarks.append(Exclusion("", reason, "table that cannot be read"))
        return False
    add_covariates(found, known, path)
    return True


def add_covariates(found: Found, known: People, path: Path) -> None:
    """Give each subject its covariates, and remark who has no row in a table that is there."""
    for place, subject in enumerate(found.subjects):
        if subject.name not in known:
            reason = f"{path} has no row for it: used without covariates"
            found.remarks.append(Exclusion(subject.name, reason, "no row of covariates"))
        else:
            found.subjects[place] = replace(subject, covariates=dict(known[subject.name]))
