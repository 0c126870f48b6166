"""What a job leaves in its folder when it is done: every file, or none that counts."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import platform
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mribench.execute.peak_memory import measure_peak_memory
from mribench.execute.provenance import plugins_of, versions
from mribench.jobs import Outcome
from mribench.results.attempt import Attempt
from mribench.results.environment import ENVIRONMENT, Environment, put_environment
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, JobRow, write_table
from mribench.results.sound import digest_file
from mribench.results.specification import SPECIFICATION, Specification
from mribench.results.status import FileDigest
from mribench.training.weights import write_weights


def commit(attempt: Attempt, job: Specification, outcome: Outcome) -> dict[str, FileDigest]:
    """Leave what a job made in its folder, and return the digest of each file.

    All is written and synced in the private folder before the first file is put into its place. The status
    comes last, from the caller, and only then is the job done.

    Raises:
        LeaseLost: when another process has taken the job over.
        StoreError: when something cannot be written.
    """
    files: dict[str, FileDigest] = {}
    for name, write in _list_files(attempt.directory.name, job, outcome).items():
        files[name] = digest_file(attempt.prepare(name, write))
    attempt.publish(list(files))
    return {**files, SPECIFICATION: digest_file(attempt.directory / SPECIFICATION)}


def _list_files(key: str, job: Specification, outcome: Outcome) -> dict[str, Callable[[Path], object]]:
    """Return what writes each file of a job, by name."""
    files: dict[str, Callable[[Path], object]] = {
        name: functools.partial(write_weights, state=state) for name, state in outcome.weights.items()
    }
    if outcome.history:
        history = pa.Table.from_pylist(_aligned(outcome.history))
        files["history.parquet"] = functools.partial(pq.write_table, history)
    row: JobRow = {
        "job_key": key,
        "id": job.id,
        "kind": job.kind,
        **outcome.job,
        "split_digest": job.spec.split_digest,
        "versions": _versions(job),
    }
    tables = {"job.parquet": ([row], JOB_SCHEMA), **outcome.tables}
    if job.kind == "evaluate":
        tables["records.parquet"] = (outcome.scores, SCORE_FILE_SCHEMA)
    for name, (rows, schema) in tables.items():
        files[name] = functools.partial(write_table, rows=rows, schema=schema)
    pictures = outcome.files if job.examples else {}
    for name, content in pictures.items():
        files[name] = functools.partial(Path.write_bytes, data=content)
    files[ENVIRONMENT] = functools.partial(put_environment, environment=_environment(job, outcome))
    return files


def _aligned(rows: list[dict[str, float]]) -> list[dict[str, float | None]]:
    """Give every row every column."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [dict.fromkeys(names) | row for row in rows]


def _environment(job: Specification, outcome: Outcome) -> Environment:
    return Environment(
        **dataclasses.asdict(job.provenance),
        host=socket.gethostname(),
        platform=platform.platform(),
        device=outcome.job["device"],
        python=platform.python_version(),
        versions=dict(part.split("=") for part in _versions(job).split()),
        threads=torch.get_num_threads(),
        window_parts=outcome.window_parts,
        written=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _versions(job: Specification) -> str:
    return versions(plugins_of(job.content))


def measure_cost(started: float, device: torch.device) -> JobRow:
    """Return the time since ``started`` and the peak memory, as the job row has them."""
    on_gpu = device.type == "cuda"
    name = (
        torch.cuda.get_device_name(device) if on_gpu else f"cpu {platform.processor() or platform.machine()}"
    )
    return {
        "wall_s": time.perf_counter() - started,
        "peak_memory_bytes": measure_peak_memory(device),
        "device": name,
    }
