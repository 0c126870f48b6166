"""What the tests of trackers share: a small part of the tiny benchmark, and readers of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from command_line import Said, call

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
PART = ("--only", "seqinv/frozen/denoise/*")
COUNT = 4
"""Jobs of the part: pretrain, adapt, two evaluations."""


def mribench(*arguments: object) -> Said:
    """Call the command line as a shell would, in this process."""
    return call(*arguments, environment={"COLUMNS": "200"})


def run(results: Path, *arguments: object, part: tuple[str, ...] = PART) -> Said:
    """Run a part of the tiny benchmark in this process."""
    return mribench("run", TINY, "--results", results, "--executor", "inline", *part, *arguments)


def folders(results: Path) -> dict[str, Path]:
    """Return the folder of each job by its key."""
    return {path.name: path for path in sorted((results / "tiny/jobs").iterdir())}


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """Return what the history of a job says, by name and step."""
    path = folder / "history.parquet"
    found: dict[str, dict[int, float]] = {}
    for row in pq.read_table(path).to_pylist() if path.exists() else []:
        step = row.pop("step")
        for name, value in row.items():
            if value is not None:
                found.setdefault(name, {})[step] = value
    return found


def scores(folder: Path) -> dict[str, float]:
    """Return the mean of each metric, computed from the rows without the statistics of mribench."""
    path = folder / "records.parquet"
    if not path.exists():
        return {}
    rows = pd.read_parquet(path)
    means = rows.groupby(["metric", "subject", "session"]).penalty.mean()
    by_subject = means.groupby(level=["metric", "subject"]).mean()
    return dict(by_subject.groupby(level="metric").mean())


class Store:
    """Reads an MLflow store with SQL alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _rows(self, query: str, *values: object) -> list[tuple]:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def runs(self) -> dict[str, tuple[str, str]]:
        """Return (id, status) of the run of each job; two of one job are an error."""
        found = self._rows(
            "select t.value, r.run_uuid, r.status from runs r join tags t on t.run_uuid = r.run_uuid"
            " where t.key = 'mribench.key' and r.lifecycle_stage = 'active'"
        )
        keys = [key for key, _, _ in found]
        assert len(set(keys)) == len(keys), "a job has two runs"
        return {key: (run, status) for key, run, status in found}

    def metrics(self, run: str) -> dict[str, dict[int, float]]:
        """Return the metrics of a run by name and step; a step that is there twice is an error."""
        found: dict[str, dict[int, float]] = {}
        for name, step, value in self._rows("select key, step, value from metrics where run_uuid = ?", run):
            assert step not in found.setdefault(name, {}), f"{name} has step {step} twice"
            found[name][step] = value
        return found

    def texts(self, table: str, run: str) -> dict[str, str]:
        return dict(self._rows(f"select key, value from {table} where run_uuid = ?", run))  # noqa: S608


def events(folder: Path):
    """Return TensorBoard's own reader of a folder that holds one event file."""
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1, folder
    return module.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    found = events(folder)
    named = {}
    for tag in found.Tags()["scalars"]:
        points = [(event.step, event.value) for event in found.Scalars(tag)]
        assert len(dict(points)) == len(points), f"{tag} has a step twice"
        named[tag] = dict(points)
    return named


def text(folder: Path, name: str) -> str:
    (event,) = events(folder).Tensors(f"{name}/text_summary")
    return event.tensor_proto.string_val[0].decode()


def event_folder(root: Path, key: str) -> Path:
    """Return the folder of a job's event file."""
    (found,) = [path for path in root.rglob(key[:8]) if path.is_dir()]
    return found
