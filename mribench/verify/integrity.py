"""Whether what a done job's files say fits together; nothing is run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mribench.errors import StoreError
from mribench.plan.changes import plain, some
from mribench.plan.job import key_of_specification
from mribench.plan.stale import specification
from mribench.records import CELL_COLUMNS, SCORE_SCHEMA
from mribench.store import Store
from mribench.training.weights import state_digest
from mribench.verify.results import Planned, Results

_ENCODERS = {"encoder.safetensors": "", "model.safetensors": "encoder."}
"""Files that hold an encoder, and the prefix of its names there."""


def check_integrity(results: Results) -> dict[str, list[str]]:
    """Return, by job id, one sentence for each contradiction in the files of a done job."""
    found = {results.jobs[key].id: [message] for key, message in results.damaged.items()}
    for key, job in results.jobs.items():
        if key in results.done:
            problems = list(_problems(results.store, job))
            if problems:
                found[job.id] = problems
    return found


def _problems(store: Store, job: Planned) -> Iterator[str]:
    folder = store.directory(job.key)
    try:
        said = specification(store, job.key)
    except StoreError as error:
        yield error.message
        return
    if said["id"] not in job.ids or said["kind"] != job.kind:
        yield f"job.json is of {said['kind']} job {said['id']}, the plan of {job.kind} job {job.id}"
    if job.cell is not None and said["payload"].get("cell") != plain(job.cell):
        yield "the cell in job.json is not the plan's"
    if key_of_specification(said) not in (None, job.key):
        yield "job.json was changed: its content has another key than its folder"
    try:
        yield from _job_row(folder, said)
        yield from (_score_rows(folder, said) if job.kind == "evaluate" else ())
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


def _job_row(folder: Path, said: Mapping[str, Any]) -> Iterator[str]:
    expected = {
        "job_key": folder.name,
        "id": said["id"],
        "kind": said["kind"],
        "split_digest": said["payload"].get("split_digest"),
    }
    yield from _differing("job.parquet", _read(folder / "job.parquet", expected), expected)


def _score_rows(folder: Path, said: Mapping[str, Any]) -> Iterator[str]:
    cell = said["payload"].get("cell", {})
    expected = {name: cell.get(name) for name in CELL_COLUMNS} | {"job_key": folder.name}
    found = _read(folder / "records.parquet", {**dict.fromkeys(SCORE_SCHEMA.names), **expected})
    yield from _differing("records.parquet", found, expected)
    there, asked = set(found["subject"]), set(said["payload"].get("subjects", ()))
    if asked - there:
        yield f"records.parquet has no row of {some(sorted(asked - there))}"
    if there - asked:
        yield f"records.parquet has rows of {some(sorted(there - asked))}, who was not asked for"


def _differing(name: str, found: Mapping[str, list[Any]], expected: Mapping[str, Any]) -> Iterator[str]:
    for column, value in expected.items():
        if any(other != value for other in found[column]):
            other = next(other for other in found[column] if other != value)
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
        (noted,) = _read(folder / "job.parquet", {"encoder_digest_after": None})["encoder_digest_after"]
        state = {k.removeprefix(prefix): v for k, v in load_file(path).items() if k.startswith(prefix)}
        if noted and state_digest(_as_module(state)) != noted:
            yield f"{path.name} is not the encoder that the job noted ({noted})"


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
