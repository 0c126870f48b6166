"""Whether what a done job's files say fits together; nothing is run again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mribench.errors import StoreError
from mribench.interfaces.metric import ScoreStatus
from mribench.results import Store
from mribench.results.keys import key_of
from mribench.results.records import PREDICTIONS, SCORE_FILE_SCHEMA
from mribench.results.sound import find_any_damage
from mribench.results.specification import EvaluateSpec, Specification, read_specification
from mribench.training.weights import state_digest
from mribench.verify.results import Results, Verifiable
from mribench.wording import list_some

_ENCODERS = {"encoder.safetensors": "", "model.safetensors": "encoder."}
"""Files that hold an encoder, and the prefix of its names there."""
MOST_NAMES = 3
_NUMBERS = ("value", "penalty")
_OK = ("ok", "few")
_ONE_EMPTY = ("pred-empty", "ref-empty")
_LEFT_OUT = ("both-empty", "failed")
_WHERE = ("subject", "session", "label", "metric")
"""Columns that tell people where a row is."""


def check_integrity(results: Results) -> dict[str, list[str]]:
    """Return, by job id, one sentence for each contradiction in the files of a done job."""
    problems_of: dict[str, list[str]] = {}
    for key, job in results.jobs.items():
        problems = [results.damaged[key]] if key in results.damaged else []
        if key in results.done:
            problems += _problems(results.store, job, results.unbounded)
        if problems:  # jobs of several plans may share a name
            problems_of.setdefault(job.id, []).extend(problems)
    return problems_of


def _problems(store: Store, job: Verifiable, unbounded: Collection[str]) -> Iterator[str]:
    folder = store.directory(job.key)
    yield from find_any_damage(folder, store.status(job.key).files)
    try:
        said = read_specification(folder)
    except StoreError as error:
        yield error.message
        return
    if said.id not in job.ids or said.kind != job.kind:
        yield f"job.json is of {said.kind} job {said.id}, the plan of {job.kind} job {job.id}"
    elif said.cell != job.cell:
        yield "the cell in job.json is not the plan's"
    if key_of(said.spec, said.content) != job.key:
        yield "job.json was changed: its content has another key than its folder"
    try:
        yield from _job_row(folder, said)
        if isinstance(said.spec, EvaluateSpec):
            yield from _score_rows(folder, said.spec)
            yield from _counted(folder, unbounded)
            yield from _predictions(folder, said.spec)
        yield from _weights(folder, job.kind)
    except FileNotFoundError as error:
        yield f"{Path(str(error.filename or error)).name} is not there, though the job is done"
    except (OSError, pa.ArrowException, SafetensorError) as error:
        yield f"a file cannot be read: {' '.join(str(error).split())[:160]}"


def _read(path: Path, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the distinct values of columns of a table, in order of their first appearance."""
    with path.open("rb") as file:
        table = pq.ParquetFile(file).read()
    lacking = [name for name in columns if name not in table.column_names]
    if lacking:
        raise pa.ArrowInvalid(f"{path.name} lacks the columns {', '.join(lacking)}")
    return {name: table[name].unique().to_pylist() for name in columns}


def _job_row(folder: Path, said: Specification) -> Iterator[str]:
    expected = {
        "job_key": folder.name,
        "id": said.id,
        "kind": said.kind,
        "split_digest": said.spec.split_digest,
    }
    values = _read(folder / "job.parquet", expected)
    if not values["job_key"]:
        yield "job.parquet has no row"
    yield from _differing("job.parquet", values, expected)


def _score_rows(folder: Path, spec: EvaluateSpec) -> Iterator[str]:
    expected = {"job_key": folder.name}
    values = _read(folder / "records.parquet", {**dict.fromkeys(SCORE_FILE_SCHEMA.names), **expected})
    yield from _differing("records.parquet", values, expected)
    there, asked = set(map(str, values["subject"])), set(spec.subjects)
    if asked - there:
        yield f"records.parquet has no row of {list_some(sorted(asked - there), MOST_NAMES)}"
    if there - asked:
        others = list_some(sorted(there - asked), MOST_NAMES)
        yield f"records.parquet has rows of {others}, who was not asked for"


def _predictions(folder: Path, spec: EvaluateSpec) -> Iterator[str]:
    """Check that the predictions, where the task stores any, are of the subjects that were asked for."""
    if not (folder / PREDICTIONS).exists():
        return
    values = _read(folder / PREDICTIONS, {"job_key": folder.name, "subject": None})
    yield from _differing(PREDICTIONS, values, {"job_key": folder.name})
    odd = sorted(set(map(str, values["subject"])).symmetric_difference(spec.subjects))
    if odd:
        yield f"{PREDICTIONS} has not the subjects that were asked for: {list_some(odd, MOST_NAMES)}"


def _counted(folder: Path, unbounded: Collection[str]) -> Iterator[str]:
    """Check what each row counts: its value where it is ok, nothing where it is left out."""
    with (folder / "records.parquet").open("rb") as file:
        table = pq.ParquetFile(file).read(columns=[*_WHERE, *_NUMBERS, "status"])
    odd = [name for name in _NUMBERS if not pa.types.is_floating(table.schema.field(name).type)]
    if odd:
        raise pa.ArrowInvalid(f"records.parquet holds no numbers in {', '.join(odd)}")
    rows = table.to_pandas()
    value, counts = rows["value"].to_numpy(float), rows["penalty"].to_numpy(float)
    ok, empty, left_out = (rows["status"].isin(names) for names in (_OK, _ONE_EMPTY, _LEFT_OUT))
    finite = np.isfinite(value) | (np.isposinf(value) & rows["metric"].isin(unbounded))
    yield from _rows("are of no known status", rows[~rows["status"].isin(get_args(ScoreStatus))])
    yield from _rows("are ok and have no finite value", rows[ok & ~finite])
    yield from _rows(
        "are ok and count something else than their value", rows[ok & finite & (value != counts)]
    )
    yield from _rows("have one empty mask and count nothing", rows[empty & ~np.isfinite(counts)])
    yield from _rows("are left out and count something", rows[left_out & ~np.isnan(counts)])


def _rows(what: str, rows: pd.DataFrame) -> Iterator[str]:
    if rows.empty:
        return
    first = rows.iloc[0]
    place = ", ".join(str(first[name]) for name in _WHERE if first[name])
    yield (
        f"records.parquet: {len(rows)} rows {what} ({place}: value {first['value']}, penalty"
        f" {first['penalty']}, status {first['status']})"
    )


def _differing(name: str, values: Mapping[str, list[Any]], expected: Mapping[str, Any]) -> Iterator[str]:
    for column, value in expected.items():
        others = [other for other in values[column] if other != value]
        if others:
            other = others[0]
            yield f"{name} says {column} {other!r}, job.json {value!r}"


def _weights(folder: Path, kind: str) -> Iterator[str]:
    """Compare stored encoders with the digests that the job noted when it ended."""
    files = [path for path in folder.glob("*.safetensors") if path.name != "checkpoint.safetensors"]
    if kind in ("pretrain", "adapt") and not files:
        yield "its weights are not there, though the job is done"
    for path in files:
        if path.name not in _ENCODERS:
            continue
        prefix = _ENCODERS[path.name]
        noted = _read(folder / "job.parquet", {"encoder_digest_after": None})["encoder_digest_after"]
        state = {k.removeprefix(prefix): v for k, v in load_file(path).items() if k.startswith(prefix)}
        digest = state_digest(_as_module(state))
        other = [text for text in noted if text and text != digest]
        if other:
            yield f"{path.name} is not the encoder that the job noted ({other[0]})"


def _as_module(state: Mapping[str, Tensor]) -> nn.Module:
    """Return a module with this state dict, whatever the network was."""
    root = nn.Module()
    for name, value in state.items():
        *places, leaf = name.split(".")
        node = root
        for place in places:
            if place not in dict(node.named_children()):
                node.add_module(place, nn.Module())
            node = node.get_submodule(place)
        node.register_buffer(leaf, value)
    return root
