"""Tables and figures of many methods, and how they look.

What a number means lies in ``statistics``, how it is read in ``results``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mribench.interfaces.document import Document
from mribench.report.catalogue import BUILT_IN, FIRST_PARTY, taken_names
from mribench.report.material import Material
from mribench.report.render.document import render, save
from mribench.report.run_document import run_document
from mribench.results.load import RunData, load_run
from mribench.wording import FORMATS

__all__ = [
    "BUILT_IN", "FIRST_PARTY", "FORMATS", "Document", "Material", "RunData", "load_run", "render",
    "render_run", "run_document", "save", "save_report", "taken_names",
]  # fmt: skip


def render_run(
    run: RunData, tables: Sequence[str], output_format: str, console: Console | None = None
) -> str | bytes | None:
    """Render tables of a run: ``render`` of its ``run_document``."""
    return render(run_document(Material(run), tables), output_format, console)


def save_report(run: RunData, tables: Sequence[str], directory: Path) -> list[Path]:
    """Write tables of a run in all formats: ``save`` of its ``run_document``."""
    return save(run_document(Material(run), tables), directory)
