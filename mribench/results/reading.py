"""Reads many small Parquet files of one schema into one frame; rows of scores as categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.errors import StoreError, hint_for
from mribench.results.records import CELL_COLUMNS, SCORE_FILE_SCHEMA, SCORE_SCHEMA

_AGAIN = "delete its folder and run the benchmark again"
_THREADS = 2
_MEASURED = pa.schema([field for field in SCORE_FILE_SCHEMA if field.name != "job_key"])


class UnreadableRows(StoreError):  # noqa: N818 - a state of the disk
    """Rows of done jobs cannot be read.

    Args:
        damaged: why, by the key of the job.
    """

    def __init__(self, damaged: Mapping[str, str]) -> None:
        super().__init__(next(iter(damaged.values())), _AGAIN)
        self.damaged = dict(damaged)


def read_rows(jobs: Path, keys: Iterable[str], name: str, schema: pa.Schema) -> pd.DataFrame:
    """Read a file of each of several jobs into one frame, in the order given.

    Args:
        jobs: folder of the jobs.
        keys: of the jobs.
        name: of the file.
        schema: its columns; a file may have more.

    Raises:
        UnreadableRows: when files are not there, cannot be read, or lack columns; names all of them.
        StoreError: when the machine is short of something, or forbids it.
    """
    return _frame(_tables(jobs, keys, name, schema), schema)


def read_scores(jobs: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Read the score rows of evaluate jobs: what was measured from their files, the rest from the plan.

    Args:
        jobs: folder of the jobs.
        cells: one row per job, with ``CELL_COLUMNS`` and ``key``.

    Returns:
        rows of ``SCORE_SCHEMA`` in the order of ``cells``; texts are categories, a fifth of the memory and
        faster to read and to group.

    Raises:
        UnreadableRows, StoreError: as ``read_rows``.
    """
    measured = _with_dictionaries(_MEASURED)
    tables = _tables(jobs, cells["key"], "records.parquet", measured)
    place = np.repeat(np.arange(len(cells)), [table.num_rows for table in tables])
    about = cells[[*CELL_COLUMNS, "key"]].rename(columns={"key": "job_key"}).reset_index(drop=True)
    columns = {}
    for field in SCORE_SCHEMA:
        if field.name in about:
            column = about[field.name]
            coded = column.astype("category") if field.type == pa.string() else column
            columns[field.name] = coded.take(place).reset_index(drop=True)
    return pd.DataFrame(columns).join(_frame(tables, measured))[SCORE_SCHEMA.names]


def _tables(jobs: Path, keys: Iterable[str], name: str, schema: pa.Schema) -> list[pa.Table]:
    paths = {key: jobs / key / name for key in keys}
    read = dict(zip(paths, _read(list(paths.values()), schema), strict=True))
    damaged = {key: found for key, found in read.items() if isinstance(found, str)}
    if damaged:
        raise UnreadableRows(damaged)
    return [found for found in read.values() if not isinstance(found, str)]


def _read(paths: Sequence[Path], schema: pa.Schema) -> list[pa.Table | str]:
    """Read by several threads, or by this one alone where none can be started."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        waiting = [pool.submit(_try_table, path, schema) for path in paths]
    except RuntimeError:
        pool.shutdown(cancel_futures=True)
        return [_try_table(path, schema) for path in paths]
    with pool:
        return [future.result() for future in waiting]


def _try_table(path: Path, schema: pa.Schema) -> pa.Table | str:
    """Return a table, or in words why its file is damaged.

    Raises:
        StoreError: when it cannot be read for another reason.
    """
    try:
        return _table(path, schema)
    except FileNotFoundError:
        return f"{path} is not there, though its job is done"
    except (OSError, pa.ArrowException) as error:
        said = f"cannot read {path}: {' '.join(str(error).split())[:160]}"
        hint = hint_for(error, "")
        if hint:
            raise StoreError(said, hint) from error
        return said


def _frame(tables: Sequence[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    whole = pa.concat_tables(tables) if tables else schema.empty_table()
    return whole.unify_dictionaries().to_pandas()


def _with_dictionaries(schema: pa.Schema) -> pa.Schema:
    coded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([pa.field(f.name, coded if f.type == pa.string() else f.type) for f in schema])


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        # small files, read at once: Arrow's own way to a file takes longer than what is in it
        opened = pq.ParquetFile(pa.BufferReader(path.read_bytes()), read_dictionary=texts)
    except KeyError as error:  # a text column that is not there
        raise pa.ArrowInvalid(f"{path} lacks the column {error}") from error
    with opened as file:
        if not set(schema.names) <= set(file.schema_arrow.names):
            raise pa.ArrowInvalid(f"{path} lacks columns")
        table = file.read(columns=schema.names, use_threads=False)
    if table.schema.equals(schema):  # as it was written
        return table.replace_schema_metadata(None)
    columns = [_cast(table.column(field.name), field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(kind)
