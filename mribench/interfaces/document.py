"""What a report can show: tables by name, each with its section of the page and its tidy rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, TypeVar

import pandas as pd

from mribench.interfaces.table import Cell, Column, Row, Section, Table

TidyType = Literal["string", "float64", "Int64", "boolean"]
"""The type of a column of tidy rows; all may be missing."""
TidyColumns = Mapping[str, TidyType]
CELL_COLUMNS: TidyColumns = {
    "row": "string", "column": "string", "text": "string", "mean": "float64", "se": "float64",
    "low": "float64", "high": "float64", "n_subjects": "Int64", "n_subjects_total": "Int64",
    "status": "string", "mark": "string",
}  # fmt: skip
"""Columns of the tidy rows of a table that has none of its own; ``column``: headers, outermost first."""
_OF_CELL = ("mean", "se", "n_subjects", "n_subjects_total", "status", "mark")
Source = TypeVar("Source", contravariant=True)
"""What tables are made of: the results of a run, a comparison, a file of published values."""


_TYPES: Mapping[str, TidyType] = {"float": "float64", "int": "Int64", "bool": "boolean"}


def columns_of(model: type[Any]) -> TidyColumns:
    """Return the tidy columns of a dataclass whose fields are numbers and texts."""
    return {each.name: _TYPES.get(str(each.type), "string") for each in fields(model)}


@dataclass(frozen=True)
class TableSpec(Generic[Source]):
    """What ``--table``, ``report: tables:``, the page and the data formats call by one name.

    Attributes:
        name: lower case with hyphens.
        section: of the page that it stands in.
        build: makes the tables; some names make several.
        rows: makes the tidy rows, one per cell, unscaled and unrounded; columns that are not declared are
            left out. Where None: the cells of the tables, with ``CELL_COLUMNS``.
        columns: of the tidy rows, those that the document has for all its tables aside.
        on_page: whether a page shows it whatever tables were asked for.
    """

    name: str
    section: Section
    build: Callable[[Source], Sequence[Table]]
    rows: Callable[[Source], pd.DataFrame] | None = None
    columns: TidyColumns = field(default_factory=dict)
    on_page: bool = False

    def tidy(self, source: Source) -> pd.DataFrame:
        """Return the tidy rows, with the name in the column ``table``."""
        rows = _cells_of(self.build(source)) if self.rows is None else self.rows(source)
        return rows.assign(table=self.name)

    @property
    def tidy_columns(self) -> TidyColumns:
        """The columns of the tidy rows, those aside that the document has for all its tables."""
        return {**CELL_COLUMNS, **self.columns} if self.rows is None else self.columns


@dataclass(frozen=True)
class Document(Generic[Source]):
    """What is shown, whatever it was read from.

    Attributes:
        title: of the page.
        source: what the tables are made of.
        specs: the tables, in order.
        columns: of the tidy rows of all tables.
        about: what they come from, for JSON and Parquet.
    """

    title: str
    source: Source
    specs: tuple[TableSpec[Source], ...]
    columns: TidyColumns
    about: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(spec.name for spec in self.specs)

    def tables(self) -> list[Table]:
        """Return the tables of all names."""
        return [table for spec in self.specs for table in spec.build(self.source)]

    def cells(self) -> pd.DataFrame:
        """Return the tidy rows of all tables, with the name of theirs in the column ``table``."""
        columns: dict[str, TidyType] = dict(self.columns)
        for spec in self.specs:
            columns |= spec.tidy_columns
        parts = [spec.tidy(self.source).reindex(columns=list(columns)).astype(columns) for spec in self.specs]
        return pd.concat(parts, ignore_index=True)


def _cells_of(tables: Sequence[Table]) -> pd.DataFrame:
    rows = [
        _tidy_cell(row, column, cell)
        for table in tables
        for row, cells in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, cells, strict=True)
        if cell is not None
    ]
    return pd.DataFrame(rows, columns=list(CELL_COLUMNS))


def _tidy_cell(row: Row, column: Column, cell: Cell) -> dict[str, Any]:
    return {
        "row": " · ".join(row.header),
        "column": " · ".join(filter(None, column.header)),
        "text": cell.text,
        "low": cell.interval[0] if cell.interval else cell.low,
        "high": cell.interval[1] if cell.interval else cell.high,
        **{name: getattr(cell, name) for name in _OF_CELL},
    }
