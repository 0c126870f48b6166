"""Score and job rows read with what the plan knows, against all columns read from the files."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from synthetic_results import DICE, HD95, REFERENCES, Benchmark, Cell, raw_scores, task

from mribench.errors import StoreError
from mribench.report import load_run
from mribench.results.reading import read_rows, read_scores
from mribench.results.records import (
    EVALUATED_SCHEMA,
    JOB_SCHEMA,
    SCORE_SCHEMA,
)


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    if metric == HD95["id"] and subject == "b":
        return (float("nan"), "pred-empty", 99.0)
    return len(f"{cell['method']}{cell['test_site']}") + ord(subject) / 100 + (cell["seed"] or 0)


def benchmark() -> Benchmark:
    return Benchmark(
        score,
        {"tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))},
        references=REFERENCES,
        transfer=True,
    )


def test_score_rows_are_those_in_the_files(tmp_path: Path) -> None:
    run = load_run(benchmark().write(tmp_path))
    order = {key: place for place, key in enumerate(run.cells["key"])}
    rows = raw_scores(tmp_path)
    placed = rows.assign(place=rows["job_key"].map(order))
    known = placed.sort_values("place", kind="stable", ignore_index=True)
    assert list(run.scores.columns) == SCORE_SCHEMA.names
    assert len(run.scores) == len(known) > 500
    for name in SCORE_SCHEMA.names:
        mine, theirs = run.scores[name], known[name]
        if pd.api.types.is_numeric_dtype(theirs):
            pd.testing.assert_series_equal(mine, theirs, check_dtype=False)
        else:
            assert isinstance(mine.dtype, pd.CategoricalDtype), name
            assert mine.astype(object).where(mine.notna(), None).tolist() == [
                None if pd.isna(text) else text for text in theirs
            ]


def test_order_is_that_of_the_cells_and_only_theirs_are_read(tmp_path: Path) -> None:
    run = load_run(benchmark().write(tmp_path))
    some = run.cells.iloc[[7, 2, 11]]
    found = read_scores(tmp_path / "jobs", some)
    assert found["job_key"].drop_duplicates().tolist() == some["key"].tolist()
    none = read_scores(tmp_path / "jobs", some.head(0))
    assert none.empty
    assert list(none.columns) == SCORE_SCHEMA.names


def test_a_file_that_lacks_what_was_measured_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = load_run(benchmark().write(tmp_path))
    path = tmp_path / "jobs" / run.cells["key"][3] / "records.parquet"
    whole = pq.read_table(path)
    pq.write_table(whole.drop_columns(["penalty"]), path)
    load_run(tmp_path)
    assert f"cannot read {path}" in caplog.text
    pq.write_table(whole.drop_columns(["job_key"]), path)  # its folder says it
    pd.testing.assert_frame_equal(load_run(tmp_path).scores, run.scores)


def test_where_no_thread_can_be_started_files_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(benchmark().write(tmp_path))

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    pd.testing.assert_frame_equal(load_run(tmp_path).scores, run.scores)


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EAGAIN, "the machine is short of threads, memory or open files"),
        (errno.EMFILE, "the machine is short of threads, memory or open files"),
        (errno.EACCES, "check the permissions"),
    ],
)
def test_no_sound_file_is_given_up_for_what_the_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    benchmark().write(tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pq, "ParquetFile", refused)
    with pytest.raises(StoreError, match="cannot read ") as caught:
        load_run(tmp_path)
    assert caught.value.hint.startswith(hint)


def test_job_rows_of_evaluations_have_all_columns_that_they_fill(tmp_path: Path) -> None:
    made = benchmark()
    run = load_run(made.write(tmp_path))
    evaluated = run.jobs[run.jobs["kind"] == "evaluate"]
    keys = evaluated["job_key"].tolist()
    assert keys == run.cells["key"].tolist()
    whole = read_rows(tmp_path / "jobs", keys, "job.parquet", JOB_SCHEMA)
    filled = [name for name in whole if whole[name].notna().any()]
    assert set(filled) <= set(EVALUATED_SCHEMA.names)
    for name in filled:
        assert evaluated[name].tolist() == whole[name].tolist()
    assert list(run.jobs.columns) == JOB_SCHEMA.names
    assert run.jobs["steps"].notna().sum() == (run.jobs["kind"] != "evaluate").sum()


def test_a_benchmark_of_references_alone_has_jobs_too(tmp_path: Path) -> None:
    made = dataclasses.replace(benchmark(), methods=(), references=("identity",))
    run = load_run(made.write(tmp_path))
    assert set(run.jobs["kind"]) == {"evaluate"}
    assert len(run.scores) == len(run.cells) * 3 * 2 * 2
