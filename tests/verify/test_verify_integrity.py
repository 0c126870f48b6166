"""Contradictions in the files of a done job are found without running anything."""

from __future__ import annotations

import json
import math
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


def test_a_cell_that_is_not_the_plans(results: Path, done: Find) -> None:
    done(EVALUATE).edit("job.json", lambda said: said["payload"]["cell"].update(method="better"))
    assert "the cell in job.json is not the plan's" in problems(results, EVALUATE)


def test_rows_of_another_job(results: Path, done: Find) -> None:
    shutil.copy(done(IDENTITY).folder / "records.parquet", done(EVALUATE).folder)
    assert f"records.parquet says job_key '{done(IDENTITY).folder.name}', " in problems(results, EVALUATE)


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
    prints = specification["content"]["cohorts"][0]["fingerprints"]
    prints[min(prints)] = "0" * 64


@pytest.mark.parametrize("change", [longer, older_file])
def test_a_specification_that_was_edited(results: Path, done: Find, change: Any) -> None:
    done(PRETRAIN).edit("job.json", change)
    assert problems(results, PRETRAIN) == "job.json was changed: its content has another key than its folder"


def test_paths_are_not_content(results: Path, done: Find) -> None:
    done(EVALUATE).edit("job.json", lambda said: said["payload"]["data"].update(root="elsewhere"))
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


def table(results: Path, done: Find, name: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(done(name).folder / "records.parquet").to_pylist()
    return rows


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"value": 0.123}, "1 rows are ok and count something else than their value"),
        ({"penalty": 0.123}, "1 rows are ok and count something else than their value"),
        ({"penalty": math.nan}, "1 rows are ok and count something else than their value"),
        ({"penalty": math.inf}, "1 rows are ok and count something else than their value"),
        ({"value": math.nan, "penalty": math.nan}, "1 rows are ok and have no finite value"),
        ({"value": math.inf, "penalty": math.inf}, "1 rows are ok and have no finite value"),
        ({"value": -math.inf, "penalty": -math.inf}, "1 rows are ok and have no finite value"),
        ({"value": None}, "1 rows are ok and have no finite value"),
        ({"status": "fine"}, "1 rows are of no known status"),
        ({"status": None}, "1 rows are of no known status"),
        ({"status": "failed", "penalty": 0.5}, "1 rows are left out and count something"),
        ({"status": "both-empty", "penalty": 0.5}, "1 rows are left out and count something"),
        ({"status": "pred-empty", "penalty": math.nan}, "1 rows have one empty mask and count nothing"),
    ],
)
def test_rows_that_count_what_they_must_not(
    results: Path, done: Find, values: dict[str, Any], sentence: str
) -> None:
    row = next(i for i, found in enumerate(table(results, done, EVALUATE)) if found["status"] == "ok")
    for column, value in values.items():
        done(EVALUATE).set("records.parquet", column, value, row)
    text = problems(results, EVALUATE)
    assert text.startswith(f"records.parquet: {sentence} (")
    assert table(results, done, EVALUATE)[row]["subject"] in text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (IDENTITY, {"value": math.inf, "penalty": math.inf}),  # PSNR of two equal images
        (IDENTITY, {"value": math.nan, "penalty": math.nan, "status": "failed"}),
        (EVALUATE, {"value": math.nan, "penalty": math.nan, "status": "both-empty"}),
        (EVALUATE, {"value": math.nan, "penalty": 0.0, "status": "pred-empty"}),
    ],
)
def test_rows_that_count_what_their_metric_defines(
    results: Path, done: Find, name: str, values: dict[str, Any]
) -> None:
    for column, value in values.items():
        done(name).set("records.parquet", column, value)
    assert check_integrity(open_results(results)) == {}


def test_scores_of_another_type_cannot_be_read(results: Path, done: Find) -> None:
    import pandas as pd

    path = done(EVALUATE).folder / "records.parquet"
    pd.read_parquet(path).assign(value="x").to_parquet(path)
    assert "a file cannot be read: records.parquet holds no numbers in value" in problems(results, EVALUATE)


@pytest.mark.parametrize("name", [PRETRAIN, ADAPT, EVALUATE])
def test_every_key_of_a_payload_is_missed(results: Path, done: Find, name: str) -> None:
    path = done(name).folder / "job.json"
    whole = path.read_text()
    for key in json.loads(whole)["payload"]:
        done(name).edit("job.json", lambda said, key=key: said["payload"].pop(key))
        text = problems(results, name)
        assert text.startswith(f"{path} is not the specification of a job: payload.{key} is missing")
        path.write_text(whole)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda said: said["payload"].update(data=3), "payload.data"),
        (lambda said: said["payload"].update(subjects=3), "payload.subjects"),
        (lambda said: said["content"].pop("results"), "content.results"),
        (lambda said: said["content"]["entries"][0].pop("source"), "content.entries.0.source"),
        (
            lambda said: said["content"]["cohorts"][0].update(fingerprints=[]),
            "content.cohorts.0.fingerprints",
        ),
        (lambda said: said.update(kind="guess"), "kind"),
        (lambda said: said.update(id=["a"]), "id"),
    ],
)
def test_a_specification_of_another_form(results: Path, done: Find, change: Any, place: str) -> None:
    done(EVALUATE).edit("job.json", change)
    assert f"is not the specification of a job: {place} is missing" in problems(results, EVALUATE)


def test_a_job_row_that_is_gone(results: Path, done: Find) -> None:
    done(PRETRAIN).drop("job.parquet", lambda row: False)
    assert problems(results, PRETRAIN) == "job.parquet has no row"
