"""The schema of a result row (score rows) and of a job row. No torch here: the report reads these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

CELL_COLUMNS = {
    "benchmark": pa.string(),
    "profile": pa.string(),
    "method": pa.string(),
    "views": pa.string(),
    "objective": pa.string(),
    "encoder": pa.string(),
    "arm": pa.string(),
    "task": pa.string(),
    "dataset": pa.string(),
    "train_site": pa.string(),
    "test_site": pa.string(),
    "train_sequence": pa.string(),
    "test_sequence": pa.string(),
    "fraction": pa.float64(),
    "n_train_subjects": pa.int64(),
    "subset_seed": pa.int64(),
    "seed": pa.int64(),
}
"""What an evaluate job is about. ``identity`` rows have no training: their training columns are null.

A null ``subset_seed`` of a row with a seed: the labelled subjects are those that the train seed drew, or all.
"""

SCORE_SCHEMA = pa.schema(
    {
        **CELL_COLUMNS,
        "job_key": pa.string(),
        "subject": pa.string(),
        "session": pa.string(),
        "label": pa.string(),
        "metric": pa.string(),
        "value": pa.float64(),
        "unit": pa.string(),
        "status": pa.string(),
        "penalty": pa.float64(),
    }
)
"""One row per subject, session, label and metric. ``value`` is raw; ``status`` is ok, pred-empty,
ref-empty, both-empty or failed; ``penalty`` is what the default empty-mask policy counts instead."""

SCORE_FILE_SCHEMA = pa.schema([field for field in SCORE_SCHEMA if field.name not in CELL_COLUMNS])
"""A score row as it lies on disk: the key of its job says what it is about, by the plan's cell of that job."""

JOB_SCHEMA = pa.schema(
    {
        "job_key": pa.string(),
        "id": pa.string(),
        "kind": pa.string(),
        "wall_s": pa.float64(),
        "device_s": pa.float64(),
        "steps": pa.int64(),
        "views_seen": pa.int64(),
        "voxels_seen": pa.int64(),
        "parameters": pa.int64(),
        "parameters_trained": pa.int64(),
        "peak_memory_bytes": pa.int64(),
        "split_digest": pa.string(),
        "encoder_digest_before": pa.string(),
        "encoder_digest_after": pa.string(),
        "first_loss": pa.float64(),
        "last_loss": pa.float64(),
        "chance_loss": pa.float64(),
        "subjects_checked": pa.int64(),
        "retrieval_hits": pa.int64(),
        "retrieval_queries": pa.int64(),
        "retrieval_chance": pa.float64(),
        "retrieval_p": pa.float64(),
        "mean_cosine": pa.float64(),
        "effective_rank": pa.float64(),
        "direction_share": pa.float64(),
        "embedding_sd": pa.float64(),
        "untrained_retrieval_hits": pa.int64(),
        "untrained_retrieval_p": pa.float64(),
        "untrained_mean_cosine": pa.float64(),
        "untrained_effective_rank": pa.float64(),
        "untrained_direction_share": pa.float64(),
        "collapsed": pa.bool_(),
        "collapse_reason": pa.string(),
        "encoder_remarks": pa.string(),
        "distinct_views": pa.int64(),
        "views_counted": pa.int64(),
        "redraws": pa.int64(),
        "clipped_vox": pa.int64(),
        "repaired_vox": pa.int64(),
        "label_source": pa.string(),
        "device": pa.string(),
        "versions": pa.string(),
    }
)
"""One row per job: cost, digests, checks. Not reproducible bit for bit, as score rows are."""

EVALUATED_SCHEMA = pa.schema(
    [
        JOB_SCHEMA.field(name)
        for name in (
            "job_key", "id", "kind", "wall_s", "parameters", "peak_memory_bytes", "split_digest",
            "clipped_vox", "repaired_vox", "label_source", "device", "versions",
        )
    ]
)  # fmt: skip
"""The columns of a job row that an evaluate job fills; it trains nothing, and the others are null."""

EMBEDDED_COLUMNS = {
    name: CELL_COLUMNS[name]
    for name in (
        "benchmark", "profile", "method", "views", "objective", "encoder", "arm", "dataset", "seed",
    )
}  # fmt: skip
"""What an embed job is about: an encoder on the test subjects of a cohort."""

EMBEDDING_SCHEMA = pa.schema(
    {
        **EMBEDDED_COLUMNS,
        "job_key": pa.string(),
        "subject": pa.string(),
        "session": pa.string(),
        "site": pa.string(),
        "sequence": pa.string(),
        "status": pa.string(),
        "n_windows": pa.int64(),
        "embedding": pa.list_(pa.float32()),
    }
)
"""One row per scan: the mean of the embeddings of its windows. ``status`` is ok or failed; a scan that
failed has no embedding."""

INVARIANCE_SCHEMA = pa.schema(
    {
        **EMBEDDED_COLUMNS,
        "job_key": pa.string(),
        "split_digest": pa.string(),
        "patch_vox": pa.int64(),
        "measure": pa.string(),
        "subject": pa.string(),
        "value": pa.float64(),
        "chance": pa.float64(),
        "n": pa.int64(),
        "n_subjects": pa.int64(),
        "n_failed": pa.int64(),
        "n_windows": pa.int64(),
        "status": pa.string(),
        "reason": pa.string(),
    }
)
"""One row per measure and subject; an empty ``subject`` is the whole set. ``n`` is what the value is a mean
over (pairs, queries or scans), ``n_failed`` and ``n_windows`` count the scans that failed and the windows
behind it. ``status`` is ok, not-measurable (``reason`` says why) or failed."""


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet; keys that a row lacks are null, keys outside the schema are an error."""
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise ValueError(f"columns outside the schema: {sorted(unknown)}")
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)


def read_tables(paths: Iterable[Path], schema: pa.Schema) -> pd.DataFrame:
    """Read Parquet files of one schema into one frame, in the order given."""
    tables = [pq.read_table(path, schema=schema) for path in paths]
    return (pa.concat_tables(tables) if tables else schema.empty_table()).to_pandas()
