"""Tables of a run: one neutral model, small layouts and renderers. No torch, no plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mribench.errors import MRIBenchError, StoreError, did_you_mean
from mribench.report.data import to_csv, to_json
from mribench.report.layouts import build, table_names
from mribench.report.load import RunData, load_run
from mribench.report.markdown import to_markdown
from mribench.report.terminal import print_tables

FORMATS = ("terminal", "markdown", "csv", "json")

__all__ = ["FORMATS", "RunData", "load_run", "render_run", "save_report"]


def render_run(
    run: RunData, tables: Sequence[str], output_format: str, console: Console | None = None
) -> str | None:
    """Render tables of a run.

    Args:
        run: from ``load_run``.
        tables: names, as in ``report: tables:``; those of the benchmark file when empty.
        output_format: one of ``FORMATS``.
        console: where ``terminal`` prints.

    Returns:
        the text; None for ``terminal``, which prints.

    Raises:
        MRIBenchError: for an unknown table or format.
    """
    names = _checked(run, tables)
    if output_format == "csv":
        return to_csv(run, names)
    if output_format == "json":
        return to_json(run, names)
    built = [table for name in names for table in build(run, name)]
    if output_format == "markdown":
        return "\n".join(to_markdown(table) for table in built)
    if output_format != "terminal":
        raise MRIBenchError(f"unknown format '{output_format}'", did_you_mean(output_format, FORMATS))
    print_tables(built, console or Console())
    return None


def save_report(run: RunData, tables: Sequence[str], directory: Path) -> list[Path]:
    """Write ``<table>.md``, ``cells.csv`` and ``cells.json`` to ``directory``; return their paths.

    Raises:
        StoreError: when they cannot be written.
    """
    names = _checked(run, tables)
    texts = {f"{name}.md": "\n".join(map(to_markdown, build(run, name))) for name in names}
    texts |= {"cells.csv": to_csv(run, names), "cells.json": to_json(run, names)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"cannot write the report to {directory}: {error.strerror}", "check the permissions"
        ) from error
    return [directory / name for name in texts]


def _checked(run: RunData, tables: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(tables or run.manifest["report"]["tables"]))
    known = table_names(run)
    for name in names:
        if name not in known:
            raise MRIBenchError(f"there is no table '{name}'", did_you_mean(name, known))
    return names
