"""Tables that say something about the subjects: demographics, BIDS participants."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mribench.errors import DataError
from mribench.interfaces import Exclusion
from mribench_datasets.files import Found
from mribench_datasets.tables import read_text_table

People = Mapping[str, Mapping[str, object]]
"""Covariates by subject; those that are not available are not there."""

_NOT_AVAILABLE = ("n/a", "N/A", "")
_NO_NUMBER = (*_NOT_AVAILABLE, "NA", "NaN", "nan")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
"""A number that no text was meant by: a code such as 01 has no value."""
_CODES = ("site",)
"""Columns that are text, whatever they look like."""


def participants(path: Path, found: Found) -> People:
    """Return the covariates of a BIDS ``participants.tsv``, by subject without ``sub-``.

    Ids and sites stay as they are written. A column all of whose values are numbers has numbers, whole ones
    where all are; ``n/a`` and an empty cell are not available, and in a column of numbers ``NA`` and ``nan``
    too.

    Raises:
        DataError: when there is such a file and it cannot be read, or has no ``participant_id``.
    """
    if not path.is_file():
        return {}
    table = read_text_table(path)
    if "participant_id" not in table:
        raise DataError(f"{path} has no column participant_id", "BIDS asks for it as the first column")
    columns = {
        str(name): column_values(table[name].tolist(), name in _CODES)
        for name in table
        if name != "participant_id"
    }
    rows = [
        (str(name).removeprefix("sub-"), {key: values[place] for key, values in columns.items()})
        for place, name in enumerate(table["participant_id"])
        if name not in _NOT_AVAILABLE
    ]
    return people(rows, path, found)


def column_values(texts: Sequence[str], code: bool = False) -> list[object]:
    """Return the values of a column, None where there is none.

    Args:
        texts: as they are written.
        code: whether they are text, whatever they look like.
    """
    given = [text for text in texts if text not in _NO_NUMBER]
    if code or not all(_NUMBER.fullmatch(text) for text in given):
        return [None if text in _NOT_AVAILABLE else text for text in texts]
    number = float if any("." in text for text in given) else int
    return [None if text in _NO_NUMBER else number(text) for text in texts]


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


def add_participants(path: Path, found: Found, site: str = "site") -> None:
    """Give the subjects the covariates of a ``participants.tsv``, and their site from a column of it.

    Args:
        path: of the table, which need not be there.
        found: whose subjects they are.
        site: name of the column.
    """
    if not path.is_file() or not add_from_table(found, path, participants):
        return
    for place, subject in enumerate(found.subjects):
        values = dict(subject.covariates)
        named = values.pop(site, None)
        found.subjects[place] = replace(
            subject, site=subject.site if named is None else str(named), covariates=values
        )
