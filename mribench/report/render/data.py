"""Tidy rows: CSV, Parquet and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


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
