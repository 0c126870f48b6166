"""Tables and figures of many methods, and how they look.

What a number means lies in ``statistics``, how it is read in ``results``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console

from mribench.errors import MRIBenchError, did_you_mean
from mribench.report.render.data import about, tidy, typed
from mribench.report.render.document import FORMATS, Document, render, save
from mribench.report.tables.layouts import build, table_names
from mribench.results.load import RunData, load_run

if TYPE_CHECKING:
    from mribench.report.tables.published import Published

__all__ = [
    "FORMATS", "Document", "RunData", "load_run", "render", "render_run", "run_document", "save",
    "save_report",
]  # fmt: skip


def run_document(run: RunData, tables: Sequence[str], published: Published | None = None) -> Document:
    """Return tables of a run and their cells.

    Args:
        run: from ``load_run``.
        tables: names, as in ``report: tables:``; those of the benchmark file when empty.
        published: values to set beside the run's, in tables of their own at the end.

    Raises:
        MRIBenchError: for an unknown table.
    """
    names = tuple(dict.fromkeys(tables or run.manifest.report.tables))
    known = table_names(run)
    for name in names:
        if name not in known:
            raise MRIBenchError(f"there is no table '{name}'", did_you_mean(name, known))
    whole = Document(
        title=run.manifest.benchmark,
        names=names,
        build=lambda name: build(run, name),
        cells=lambda: tidy(run, names),
        about=about(run),
    )
    return whole if published is None else _beside(whole, run, published)


def _beside(document: Document, run: RunData, published: Published) -> Document:
    from mribench.report.tables.against import COLUMNS, NAME, against_frame, against_tables

    def cells() -> pd.DataFrame:
        own = document.cells()
        beside = against_frame(run, published).assign(table=NAME)
        columns = [*own.columns, *COLUMNS]
        return pd.concat([typed(part.reindex(columns=columns)) for part in (own, beside)], ignore_index=True)

    return replace(
        document,
        names=(*document.names, NAME),
        build=lambda name: against_tables(run, published) if name == NAME else document.build(name),
        cells=cells,
        about={**document.about, "published": published.name, "source": published.about.source},
    )


def render_run(
    run: RunData, tables: Sequence[str], output_format: str, console: Console | None = None
) -> str | bytes | None:
    """Render tables of a run: ``render`` of its ``run_document``."""
    return render(run_document(run, tables), output_format, console)


def save_report(run: RunData, tables: Sequence[str], directory: Path) -> list[Path]:
    """Write tables of a run in all formats: ``save`` of its ``run_document``."""
    return save(run_document(run, tables), directory)
