"""Tables of results, by name, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from mribench_paper.tables import PaperTables
from rich.console import Console

from mribench.interfaces.document import TableSpec
from mribench.interfaces.table import Table
from mribench.report import Material, RunData, catalogue, render, run_document, save
from mribench.report.figures import save_figures
from mribench.report.page import page as whole_page

_last: list[Material] = []


def material_of(run: RunData, directory: Path | None = None) -> Material:
    """Return what tables are made of, those of the first-party plugin among them."""
    return Material(run, directory, (PaperTables(),))


def shared_material(run: RunData) -> Material:
    """Return what tables are made of; the same again for the same run, as for all tables of a report."""
    if not (_last and _last[0].run is run):
        _last[:] = [material_of(run)]
    return _last[0]


def render_run(
    run: RunData, tables: Sequence[str], output_format: str, console: Console | None = None
) -> str | bytes | None:
    """Render tables of a run."""
    return render(run_document(shared_material(run), tables), output_format, console)


def save_report(run: RunData, tables: Sequence[str], directory: Path) -> list[Path]:
    """Write tables of a run in all formats."""
    return save(run_document(material_of(run), tables), directory)


def build(run: RunData, name: str) -> list[Table]:
    """Return the tables of a name."""
    material = shared_material(run)
    (spec,) = catalogue.choose(catalogue.specs_of(material), [name])
    return list(spec.build(material))


def table_names(run: RunData) -> list[str]:
    """Return the names of the tables that results can make."""
    return list(catalogue.specs_of(shared_material(run)))


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
    return run_document(shared_material(run), tables).cells()


def page(
    run: RunData,
    tables: Sequence[str | Table] = (),
    directory: Path | None = None,
) -> str:
    """Return the page of results; of some tables, by name or made."""
    material = material_of(run, directory)
    known = catalogue.specs_of(material)
    specs = [
        catalogue.choose(known, [table])[0] if isinstance(table, str) else spec_of(table) for table in tables
    ]
    return whole_page(material, specs)


def spec_of(table: Table) -> TableSpec[Material]:
    return TableSpec(table.name, "results", lambda _: [table])


def saved_figures(
    run: RunData, directory: Path | None, target: Path, formats: Sequence[str] = ("svg", "pdf")
) -> list[Path]:
    return save_figures(material_of(run, directory), target, formats)
