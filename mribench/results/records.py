"""The schema of a result row (score rows) and of a job row. No torch here: the report reads these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict, get_args, get_type_hints

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.results.cell import EmbedCell, EvaluateCell

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _columns_of(row: type) -> dict[str, pa.DataType]:
    """Return the columns of a row that is declared as a model or a ``TypedDict``; each may be null."""
    kinds = {name: get_args(kind) or (kind,) for name, kind in get_type_hints(row).items()}
    return {name: _TYPES[kind[0]] for name, kind in kinds.items()}


CELL_COLUMNS = _columns_of(EvaluateCell)
"""What an evaluate job is about. ``identity`` rows have no training: their training columns are null.

A null ``subset_seed`` of a row with a seed: the labelled subjects are those that the train seed drew, or all.
"""


class ScoreRow(TypedDict):
    """What an evaluate job measures of one subject, session, label and metric.

    ``value`` is raw, or the subject's component where the metric is one of a whole set; ``status`` is ok, few
    (of a set too small for an interval), pred-empty, ref-empty, both-empty or failed; ``penalty`` is what the
    default empty-mask policy counts instead. What the row is about is said by the key of its job.
    """

    job_key: str
    subject: str
    session: str
    label: str
    metric: str
    value: float
    unit: str
    status: str
    penalty: float


SCORE_FILE_SCHEMA = pa.schema(_columns_of(ScoreRow))
"""A score row as it lies on disk."""

SCORE_SCHEMA = pa.schema([*pa.schema(CELL_COLUMNS), *SCORE_FILE_SCHEMA])
"""A score row as it is read: with the cell of its job, by the plan."""

MIN_CHECKED = 5
"""Subjects from which encoders are checked for collapse, with ``collapsed`` null in the job rows of fewer.

With four, the smallest p that there can be is 1/4!, above that of the test.
"""


class JobRow(TypedDict, total=False):
    """One row per job: cost, digests, checks. Not reproducible bit for bit, as score rows are."""

    job_key: str
    id: str
    kind: str
    wall_s: float
    device_s: float
    steps: int
    views_seen: int
    voxels_seen: int
    parameters: int
    parameters_trained: int
    peak_memory_bytes: int
    split_digest: str
    encoder_digest_before: str
    encoder_digest_after: str
    first_loss: float
    last_loss: float
    chance_loss: float | None
    subjects_checked: int
    retrieval_hits: int | None
    retrieval_queries: int
    retrieval_chance: float
    retrieval_p: float
    mean_cosine: float
    effective_rank: float
    direction_share: float
    embedding_sd: float
    untrained_retrieval_hits: int | None
    untrained_retrieval_p: float
    untrained_mean_cosine: float
    untrained_effective_rank: float
    untrained_direction_share: float
    collapsed: bool | None
    collapse_reason: str
    encoder_remarks: str
    distinct_views: int
    views_counted: int
    redraws: int
    clipped_vox: int
    repaired_vox: int
    weights_account: str | None
    channels_account: str | None
    label_source: str
    device: str
    versions: str


JOB_SCHEMA = pa.schema(_columns_of(JobRow))
"""The columns of ``JobRow``."""

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

EMBEDDED_COLUMNS = _columns_of(EmbedCell)
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

LEARNING_RATES = "learning_rates.parquet"
"""The file of an adapt job that chose its learning rate."""

LEARNING_RATE_SCHEMA = pa.schema(
    {
        "job_key": pa.string(),
        "lr": pa.float64(),
        "lr_factor": pa.float64(),
        "metric": pa.string(),
        "score": pa.float64(),
        "n_rows": pa.int64(),
        "n_failed": pa.int64(),
        "chosen": pa.bool_(),
    }
)
"""One row for each rate that was tried: the mean ``score`` on the validation scans by the task's first
metric, null where scans failed, and which one was chosen."""

PREDICTIONS = "predictions.parquet"
"""The file of an evaluate job of a task about people."""

PREDICTION_SCHEMA = pa.schema(
    {
        **CELL_COLUMNS,
        "job_key": pa.string(),
        "subject": pa.string(),
        "label": pa.string(),
        "classes": pa.list_(pa.string()),
        "target": pa.float64(),
        "prediction": pa.list_(pa.float64()),
    }
)
"""One row per test subject. ``label`` is what is predicted, ``classes`` the names of its classes, empty for a
number. ``target`` is the number, or that of the class; ``prediction`` has one number, or the probability of
each class, and is null where the subject could not be predicted."""

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


def write_table(path: Path, rows: Iterable[Mapping[str, object]], schema: pa.Schema) -> None:
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
