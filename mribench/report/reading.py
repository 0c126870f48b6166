"""Reads many small Parquet files of one schema into one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.errors import StoreError

_AGAIN = "delete its folder and run the benchmark again"
_THREADS = 4


def read_rows(
    jobs: Path, keys: Iterable[str], name: str, schema: pa.Schema, *, categorical: bool = False
) -> pd.DataFrame:
    """Read a file of each of several jobs, in the order given.

    Args:
        jobs: folder of the jobs.
        keys: of the jobs.
        name: of the file.
        schema: its columns; a file may have more.
        categorical: texts as categories: a fifth of the memory, and faster to read and to group.

    Raises:
        StoreError: when one is not there, cannot be read, or lacks columns.
    """
    paths = [jobs / key / name for key in keys]
    wanted = _with_dictionaries(schema) if categorical else schema
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            tables = list(pool.map(lambda path: _table(path, wanted), paths))
    except FileNotFoundError as error:
        gone = next((path for path in paths if not path.exists()), error.filename or name)
        raise StoreError(f"{gone} is not there, though its job is done", _AGAIN) from error
    except (OSError, pa.ArrowException) as error:
        broken = [path for path in paths if not _readable(path, wanted)]
        where = str(broken[0]) if broken else f"some {name} under {jobs}"
        reason = " ".join(str(error).split())
        raise StoreError(f"cannot read {where}: {reason[:160]}", _AGAIN) from error
    whole = pa.concat_tables(tables) if tables else wanted.empty_table()
    return whole.unify_dictionaries().to_pandas()


def _with_dictionaries(schema: pa.Schema) -> pa.Schema:
    coded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([pa.field(f.name, coded if f.type == pa.string() else f.type) for f in schema])


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        opened = pq.ParquetFile(path, read_dictionary=_texts(schema))
    except KeyError as error:  # a text column that is not there
        raise pa.ArrowInvalid(f"{path} lacks the column {error}") from error
    with opened as file:
        if not set(schema.names) <= set(file.schema_arrow.names):
            raise pa.ArrowInvalid(f"{path} lacks columns")
        found = file.read(columns=schema.names, use_threads=False)
    if found.schema.equals(schema):  # as it was written
        return found.replace_schema_metadata(None)
    columns = [_cast(found.column(field.name), field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _texts(schema: pa.Schema) -> Sequence[str]:
    return [field.name for field in schema if pa.types.is_dictionary(field.type)]


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(kind)


def _readable(path: Path, schema: pa.Schema) -> bool:
    try:
        _table(path, schema)
    except (OSError, pa.ArrowException):
        return False
    return True
