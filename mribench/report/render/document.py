"""Tables and tidy rows of one source, in every format; CSV, Parquet and JSON of tidy rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.document import Document
from mribench.report.render.html_table import html_page
from mribench.report.render.latex import latex_document, to_latex
from mribench.report.render.markdown import to_markdown
from mribench.report.render.terminal import print_tables
from mribench.results.places import writing
from mribench.wording import FORMATS


def render(document: Document[Any], output_format: str, console: Console | None = None) -> str | bytes | None:
    """Render a document.

    Args:
        document: what to show.
        output_format: one of ``FORMATS``.
        console: where ``terminal`` prints.

    Returns:
        the text, or bytes of ``parquet``; None for ``terminal``, which prints.

    Raises:
        MRIBenchError: for an unknown format.
    """
    if output_format not in FORMATS:
        raise MRIBenchError(f"unknown format '{output_format}'", did_you_mean(output_format, FORMATS))
    match output_format:
        case "csv":
            return to_csv(document.cells())
        case "json":
            return to_json(document.cells(), document.about)
        case "parquet":
            return to_parquet(document.cells(), document.about)
        case "markdown":
            return "\n".join(map(to_markdown, document.tables()))
        case "latex":
            return latex_document(document.tables())
        case "html":
            return html_page(document.tables(), document.title)
    print_tables(document.tables(), console or Console())
    return None


def save(document: Document[Any], directory: Path) -> list[Path]:
    r"""Write a document in all formats and return the paths.

    ``<table>.md`` and ``<table>.tex`` (to ``\input``) for each name; ``tables.tex`` (to compile) and
    ``tables.html`` of all; ``cells.csv``, ``cells.parquet`` and ``cells.json``.

    Raises:
        StoreError: when they cannot be written.
    """
    built = {spec.name: spec.build(document.source) for spec in document.specs}
    every = [table for tables in built.values() for table in tables]
    cells = document.cells()
    texts: dict[str, str | bytes] = {}
    for name, tables in built.items():
        texts[f"{name}.md"] = "\n".join(map(to_markdown, tables))
        texts[f"{name}.tex"] = "\n".join(map(to_latex, tables))
    texts |= {
        "tables.tex": latex_document(every),
        "tables.html": html_page(every, document.title),
        "cells.csv": to_csv(cells),
        "cells.parquet": to_parquet(cells, document.about),
        "cells.json": to_json(cells, document.about),
    }
    with writing(f"the report to {directory}", "check the permissions"):
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return [directory / name for name in texts]


def to_csv(cells: pd.DataFrame) -> str:
    """Return tidy rows as CSV; what is not there is empty."""
    return cells.to_csv(index=False, lineterminator="\n")


def to_json(cells: pd.DataFrame, head: Mapping[str, Any]) -> str:
    """Return tidy rows and what they come from as JSON; what is not there is null."""
    records: list[dict[str, Any]] = json.loads(cells.to_json(orient="records", double_precision=15))
    return json.dumps({**head, "cells": records}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_parquet(cells: pd.DataFrame, head: Mapping[str, Any]) -> bytes:
    """Return tidy rows as Parquet, with their types; metadata ``mribench``: JSON of what they come from."""
    table = pa.Table.from_pandas(cells, preserve_index=False)
    said = json.dumps(head, ensure_ascii=False, allow_nan=False).encode()
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"mribench": said}), stream)
    return stream.getvalue()
