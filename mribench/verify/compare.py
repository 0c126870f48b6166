"""Compares what a job left behind with what it leaves when it is run again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mribench.results.records import SCORE_SCHEMA

COSTS = ("wall_s", "device_s", "peak_memory_bytes")
"""Columns that are no results: they differ from run to run."""
COUNTED = (
    "steps", "views_seen", "voxels_seen", "parameters", "parameters_trained", "distinct_views", "redraws",
    "label_source", "split_digest",
)  # fmt: skip
"""Columns of the job row that are compared exactly on any machine."""
DIGESTS = ("encoder_digest_before", "encoder_digest_after")
"""Compared exactly too, unless a tolerance is given: a digest knows no small difference."""
_NOT_TABLES = ("job.parquet", "history.parquet")
_NAMES = SCORE_SCHEMA.names
_WHERE = (*_NAMES[_NAMES.index("job_key") + 1 : _NAMES.index("value")], "sequence", "measure")
"""Columns that tell people where a row is: of score rows, and of embeddings and measures."""
_OUTCOMES = ("status", "reason")
"""Text columns that follow from values, so that they do not say which row is which."""


@dataclass(frozen=True)
class Discrepancy:
    """What comparing one file showed.

    Attributes:
        same: whether all differences are within the tolerance.
        largest: largest absolute difference; infinite where one side has no number.
        text: what differs, naming the file; empty where nothing does.
    """

    same: bool
    largest: float = 0.0
    text: str = ""


def compare_folders(original: Path, rerun: Path, tolerance: float) -> list[Discrepancy]:
    """Compare the folders of one job: score rows, other tables, weights, digests.

    Args:
        original: the folder whose results are verified.
        rerun: the folder of the same job, run again.
        tolerance: largest absolute difference of a value that counts as none.
    """
    names = {path.name for folder in (original, rerun) for path in folder.glob("*.parquet")}
    weights = {path.name for folder in (original, rerun) for path in folder.glob("*.safetensors")}
    compared = [(name, compare_tables) for name in sorted(names.difference(_NOT_TABLES))]
    compared += [(name, compare_weights) for name in sorted(weights - {"checkpoint.safetensors"})]
    findings = [_compare(name, original, rerun, tolerance, how) for name, how in compared]
    return [*findings, _compare("job.parquet", original, rerun, tolerance, compare_job_rows)]


def _compare(name: str, original: Path, rerun: Path, tolerance: float, how: Any) -> Discrepancy:
    for folder, said in ((original, "is not among the results"), (rerun, "was not made again")):
        if not (folder / name).exists():
            return Discrepancy(False, math.inf, f"{name} {said}")
    try:
        finding: Discrepancy = how(original / name, rerun / name, tolerance)
    except (OSError, pa.ArrowException, SafetensorError) as error:
        return Discrepancy(False, math.inf, f"{name} cannot be read: {' '.join(str(error).split())[:120]}")
    return finding


def compare_tables(original: Path, rerun: Path, tolerance: float) -> Discrepancy:
    """Compare two tables row by row: rows are found by their text and whole numbers, whatever their order."""
    first, second = (pq.ParquetFile(path).read() for path in (original, rerun))
    columns = [name for name in first.column_names if name not in COSTS]
    if set(columns) != {name for name in second.column_names if name not in COSTS}:
        odd = sorted(set(columns).symmetric_difference(second.column_names).difference(COSTS))
        return Discrepancy(False, math.inf, f"{original.name}: columns {', '.join(odd)} are on one side only")
    numbers = [name for name in columns if _is_number(first.schema.field(name).type)]
    keys = [name for name in columns if name not in numbers and name not in _OUTCOMES]
    old, new = _indexed(first, keys), _indexed(second, keys)
    lost, added = old.index.difference(new.index), new.index.difference(old.index)
    both = old.index.intersection(new.index, sort=False)
    old, new = old.loc[both], new.loc[both]
    apart = {name: _apart(old[name], new[name]) for name in numbers}
    apart |= {
        name: np.where(old[name].astype(str) == new[name].astype(str), 0.0, math.inf)
        for name in columns
        if name in _OUTCOMES
    }
    return _summary(original.name, old, apart, tolerance, len(lost), len(added))


def _summary(
    name: str, rows: pd.DataFrame, apart: dict[str, np.ndarray], tolerance: float, lost: int, added: int
) -> Discrepancy:
    table = np.stack(list(apart.values()), axis=1) if apart else np.zeros((len(rows), 0))
    differing = int((table > tolerance).any(axis=1).sum()) if table.size else 0
    largest = float(table.max()) if table.size else 0.0
    texts = [f"{lost} rows are not made again"] if lost else []
    texts += [f"{added} rows are new"] if added else []
    if differing:
        row, column = np.unravel_index(int(table.argmax()), table.shape)
        places = [str(rows.iloc[row][part]) for part in _WHERE if part in rows and rows.iloc[row][part]]
        where = ", ".join(places) or f"row {row}"
        name_of_column = list(apart)[column]
        texts.append(
            f"{differing} of {len(rows)} rows differ, most by {largest:.3g} ({name_of_column} of {where})"
        )
    same = not (lost or added or differing)
    return Discrepancy(
        same, math.inf if lost or added else largest, f"{name}: {'; '.join(texts)}" if texts else ""
    )


def _is_number(kind: pa.DataType) -> bool:
    """Whether a column holds values: real numbers, or lists of them."""
    return bool(pa.types.is_floating(kind) or pa.types.is_list(kind))


def _indexed(table: pa.Table, keys: Sequence[str]) -> pd.DataFrame:
    """Return a table with an index that says which row is which, repeated rows counted."""
    frame = table.to_pandas()
    names = pd.Series(
        ["\x1f".join(map(str, row)) for row in frame[list(keys)].itertuples(index=False)], index=frame.index
    )
    return frame.set_index([names, names.groupby(names).cumcount()])


def _apart(old: pd.Series, new: pd.Series) -> np.ndarray:
    """Return the absolute difference of each row; infinite where one side has no number."""
    return np.array([_distance(a, b) for a, b in zip(old, new, strict=True)], dtype=float)


def _distance(a: Any, b: Any) -> float:
    first, second = (np.atleast_1d(np.asarray(np.nan if x is None else x, dtype=float)) for x in (a, b))
    if first.shape != second.shape:
        return math.inf
    equal = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        apart = np.where(equal, 0.0, np.abs(first - second))
    return float(np.nan_to_num(apart, nan=math.inf, posinf=math.inf).max(initial=0.0))


def compare_weights(original: Path, rerun: Path, tolerance: float) -> Discrepancy:
    """Compare two safetensors files tensor by tensor."""
    first, second = load_file(original), load_file(rerun)
    if first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())
        return Discrepancy(
            False, math.inf, f"{original.name}: tensors {', '.join(odd[:3])} are on one side only"
        )
    apart = {name: _tensors_apart(first[name], second[name]) for name in first}
    worst = max(apart, key=lambda name: apart[name], default="")
    largest = apart.get(worst, 0.0)
    if largest <= tolerance:
        return Discrepancy(True, largest)
    count = sum(value > tolerance for value in apart.values())
    text = f"{original.name}: {count} of {len(apart)} tensors differ, most by {largest:.3g} ({worst})"
    return Discrepancy(False, largest, text)


def _tensors_apart(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape or a.dtype != b.dtype:
        return math.inf
    if torch.equal(a, b):
        return 0.0
    return _distance(a.double().flatten().numpy(), b.double().flatten().numpy())


def compare_job_rows(original: Path, rerun: Path, tolerance: float) -> Discrepancy:
    """Compare the counts and digests of two job rows."""
    old, new = (_first_row(path) for path in (original, rerun))
    names = [*COUNTED, *(() if tolerance else DIGESTS)]
    texts = list(_unequal(names, old, new))
    return Discrepancy(not texts, 0.0, f"{original.name}: {'; '.join(texts)}" if texts else "")


def _first_row(path: Path) -> dict[str, Any]:
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    if not rows:
        raise pa.ArrowInvalid("it has no row")
    return rows[0]


def _unequal(names: Sequence[str], old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in names:
        if old.get(name) != new.get(name):
            yield f"{name} {old.get(name)} → {new.get(name)}"
