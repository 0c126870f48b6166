"""Tables of results, by name, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mribench.interfaces.document import TableSpec
from mribench.interfaces.table import Table
from mribench.report import Material, RunData, catalogue, run_document
from mribench.report.figures import save_figures
from mribench.report.page import page as whole_page


def build(run: RunData, name: str) -> list[Table]:
    """Return the tables of a name."""
    return catalogue.build(Material(run), name)


def table_names(run: RunData) -> list[str]:
    """Return the names of the tables that results can make."""
    return list(catalogue.specs_of(Material(run)))


def leaderboard(run: RunData) -> Table:
    (table,) = build(run, "leaderboard")
    return table


def transfer(run: RunData) -> list[Table]:
    return build(run, "transfer")


def paper(run: RunData, number: int) -> Table:
    (table,) = build(run, f"paper-{number}")
    return table


def tidy(run: RunData, tables: Sequence[str]) -> pd.DataFrame:
    """Return the tidy rows of tables."""
    return run_document(Material(run), tables).cells()


def page(
    run: RunData,
    tables: Sequence[str | Table] = (),
    directory: Path | None = None,
    views: Path | None = None,
) -> str:
    """Return the page of results; of some tables, by name or made."""
    material = Material(run, directory)
    specs = [
        catalogue.chosen(material, [table])[0] if isinstance(table, str) else spec_of(table)
        for table in tables
    ]
    return whole_page(material, specs, views)


def spec_of(table: Table) -> TableSpec[Material]:
    return TableSpec(table.name, "results", lambda _: [table])


def saved_figures(
    run: RunData, directory: Path | None, target: Path, formats: Sequence[str] = ("svg", "pdf")
) -> list[Path]:
    return save_figures(Material(run, directory), target, formats)
