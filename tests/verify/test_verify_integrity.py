"""Contradictions in the files of a done job are found without running anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_verify import ADAPT, EVALUATE, IDENTITY, PRETRAIN, Done

from mribench.verify import check_integrity, open_results

Find = Callable[[str], Done]


def test_what_was_run_fits_together(finished: Path) -> None:
    results = open_results(finished)
    assert len(results.done) == len(results.jobs) == 19
    assert check_integrity(results) == {}


def problems(results: Path, name: str) -> str:
    found = check_integrity(open_results(results))
    assert set(found) == {name}
    return "; ".join(found[name])


def test_a_cell_that_is_not_the_jobs(results: Path, done: Find) -> None:
    done(EVALUATE).set("records.parquet", "method", "better")
    assert "records.parquet says method 'better', job.json 'seqinv'" in problems(results, EVALUATE)


def test_rows_of_another_job(results: Path, done: Find) -> None:
    shutil.copy(done(IDENTITY).folder / "records.parquet", done(EVALUATE).folder)
    assert "records.parquet says task 'denoise', job.json 'tissue'" in problems(results, EVALUATE)


def test_a_dropped_subject(results: Path, done: Find) -> None:
    (subject,) = json.loads((done(EVALUATE).folder / "job.json").read_text())["payload"]["subjects"]
    done(EVALUATE).drop("records.parquet", lambda row: row["subject"] != subject)
    assert f"records.parquet has no row of {subject}" in problems(results, EVALUATE)


def test_a_subject_that_was_not_asked_for(results: Path, done: Find) -> None:
    done(EVALUATE).set("records.parquet", "subject", "someone:else")
    assert "rows of someone:else, who was not asked for" in problems(results, EVALUATE)


def test_another_split_than_the_jobs(results: Path, done: Find) -> None:
    done(ADAPT).set("job.parquet", "split_digest", "0" * 16)
    assert "job.parquet says split_digest '0000000000000000', job.json " in problems(results, ADAPT)


def longer(specification: dict[str, Any]) -> None:
    specification["payload"]["pretrain"]["steps"] = 400


def older_file(specification: dict[str, Any]) -> None:
    prints = specification["content"]["fingerprints"]
    prints[min(prints)] = "0" * 64


@pytest.mark.parametrize("change", [longer, older_file])
def test_a_specification_that_was_edited(results: Path, done: Find, change: Any) -> None:
    done(PRETRAIN).edit("job.json", change)
    assert problems(results, PRETRAIN) == "job.json was changed: its content has another key than its folder"


def test_paths_are_not_content(results: Path, done: Find) -> None:
    done(EVALUATE).edit("job.json", lambda said: said["payload"]["data"].update(root="elsewhere"))
    assert check_integrity(open_results(results)) == {}


def test_results_that_do_not_record_their_content_cannot_be_checked_for_it(results: Path, done: Find) -> None:
    done(PRETRAIN).edit("job.json", lambda said: said.pop("content"))
    assert check_integrity(open_results(results)) == {}


def test_a_job_under_another_name(results: Path, done: Find) -> None:
    done(PRETRAIN).edit("job.json", lambda said: said.update(id="other/pretrain/seed0"))
    assert f"the plan of pretrain job {PRETRAIN}" in problems(results, PRETRAIN)


def test_a_flipped_weight_of_an_encoder(results: Path, done: Find) -> None:
    done(PRETRAIN).add_to_weight("encoder.safetensors", 1e-3)
    assert "encoder.safetensors is not the encoder that the job noted" in problems(results, PRETRAIN)


@pytest.mark.parametrize(
    ("name", "file", "sentence"),
    [
        (EVALUATE, "records.parquet", "records.parquet is not there, though the job is done"),
        (EVALUATE, "job.parquet", "job.parquet is not there, though the job is done"),
        (ADAPT, "head.safetensors", "its weights are not there, though the job is done"),
        (ADAPT, "job.json", "is not there"),
    ],
)
def test_files_that_are_gone(results: Path, done: Find, name: str, file: str, sentence: str) -> None:
    (done(name).folder / file).unlink()
    assert sentence in problems(results, name)


@pytest.mark.parametrize(
    ("name", "file"),
    [(EVALUATE, "records.parquet"), (PRETRAIN, "encoder.safetensors"), (ADAPT, "job.parquet")],
)
def test_files_that_cannot_be_read(results: Path, done: Find, name: str, file: str) -> None:
    (done(name).folder / file).write_bytes(b"broken")
    assert "a file cannot be read" in problems(results, name)


def test_a_damaged_status_is_named_and_the_job_not_taken_for_done(results: Path, done: Find) -> None:
    (done(EVALUATE).folder / "status.json").write_text('{"state": "great"}')
    assert "is not the status of a job" in problems(results, EVALUATE)
    assert len(open_results(results).done) == 18
