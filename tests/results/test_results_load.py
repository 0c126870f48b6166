from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from synthetic_results import DICE, REFERENCES, Benchmark, Cell, task

from mribench.errors import StoreError
from mribench.report import load_run
from mribench.results import SCHEMA, Store, read_json


def constant(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.5


def by_seed(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.1 * (1 + cell["seed"])


def test_reads_scores_jobs_and_cells(tmp_path: Path) -> None:
    run = load_run(Benchmark(constant, references=REFERENCES).write(tmp_path), "0123456789abcdef")
    assert len(run.cells) == 2 * 2 + 2 * 2 + 1  # (method + reference) × seed, and identity
    assert len(run.scores) == len(run.cells) * 3 * 2
    assert set(run.cells["state"]) == {"done"}
    assert set(run.jobs["kind"]) == {"pretrain", "adapt", "evaluate"}
    assert run.superseded == 0
    assert run.manifest.profiles == ("corrected",)
    identity = run.cells[run.cells["arm"] == "identity"]
    assert identity[["seed", "fraction", "train_sequence", "pretrain"]].isna().all(axis=None)


def test_a_job_that_has_been_inspected_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(Benchmark(constant).write(tmp_path))
    store = Store(tmp_path)
    inspected = {key: store.inspect(key) for key in run.status}
    first, *others = inspected
    looked_at: list[str] = []
    inspect = store.inspect
    monkeypatch.setattr(Store, "inspect", lambda _, key: looked_at.append(key) or inspect(key))
    again = load_run(tmp_path, inspected={key: inspected[key] for key in others})
    assert (looked_at, again.status) == ([first], run.status)


def test_a_folder_without_plans(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        load_run(tmp_path)
    Benchmark(constant).write(tmp_path / "quickstart")
    with pytest.raises(StoreError) as error:
        load_run(tmp_path)
    assert "quickstart" in error.value.hint


def test_a_digest_that_was_never_run(tmp_path: Path) -> None:
    Benchmark(constant).write(tmp_path)
    with pytest.raises(StoreError, match="no run with these settings"):
        load_run(tmp_path, "f" * 16)


@pytest.mark.parametrize("content", ['{"schema": 99}', "{}", "[]"])
def test_another_schema_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    Benchmark(constant).write(tmp_path)
    (tmp_path / "plans" / "0000000000000000.json").write_text(content)
    with pytest.raises(
        StoreError, match=r"0000000000000000\.json is of schema version .*, this mribench reads \d"
    ) as error:
        load_run(tmp_path)
    assert error.value.hint


def test_a_manifest_that_is_not_json(tmp_path: Path) -> None:
    Benchmark(constant).write(tmp_path)
    (tmp_path / "plans" / "0123456789abcdef.json").write_text("{")
    with pytest.raises(StoreError, match=r"0123456789abcdef\.json"):
        load_run(tmp_path)


def test_records_that_are_gone_or_broken_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = load_run(Benchmark(constant).write(tmp_path))
    path = tmp_path / "jobs" / run.cells["key"].iloc[0] / "records.parquet"
    path.write_bytes(b"not parquet")
    for said in (f"{path} cannot be read", f"{path} is not there, though its job is done"):
        caplog.clear()
        rest = load_run(tmp_path)
        assert said in caplog.text
        assert rest.status[path.parent.name] == "damaged"
        assert len(rest.scores) < len(run.scores)
        path.unlink(missing_ok=True)


DAMAGED = ["{}", "{", "null", '"\\u001b[31m"', f'{{"schema": {SCHEMA},\n "seal": "0"\n}}']


@pytest.mark.parametrize("text", [None, *DAMAGED])
def test_a_marker_that_says_nothing_leaves_the_word_to_the_jobs(tmp_path: Path, text: str | None) -> None:
    Benchmark(constant).write(tmp_path)
    marker = tmp_path / "store.json"
    marker.write_text(f'{{"schema": {SCHEMA}}}')
    before = load_run(tmp_path)
    if text is None:
        marker.unlink()
    else:
        marker.write_text(text)
    assert load_run(tmp_path).cells.equals(before.cells)
    Store(tmp_path).open()
    assert read_json(marker) == {"schema": SCHEMA}


@pytest.mark.parametrize("text", [None, '{"schema": 99}', *DAMAGED])
def test_a_folder_of_another_schema_is_refused(tmp_path: Path, text: str | None) -> None:
    Benchmark(constant).write(tmp_path)
    marker = tmp_path / "store.json"
    if text is not None:
        marker.write_text(text)
    if text is None or text in DAMAGED:
        (status, *_) = sorted(tmp_path.glob("jobs/*/status.json"))
        status.write_text('{"schema": 99, "state": "done"}')
    with pytest.raises(StoreError, match=r"holds results of schema version 99"):
        load_run(tmp_path)
    with pytest.raises(StoreError, match=r"holds results of schema version 99"):
        Store(tmp_path).open()


@pytest.mark.parametrize("text", DAMAGED)
def test_a_marker_that_says_nothing_is_refused_where_no_job_says_more(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=r"store\.json") as caught:
        Store(tmp_path).open()
    assert "nothing else is lost" in caught.value.hint


def test_jobs_behind_a_failed_one_are_failed_and_name_it(tmp_path: Path) -> None:
    pretrain, adapt = "base/pretrain/seed0", "base/frozen/tissue/T1w/1/subset0/seed0"
    states = {pretrain: "failed", adapt: "todo", f"{adapt}/test/Guys/T1w": "todo"}
    run = load_run(Benchmark(constant, states=states).write(tmp_path))
    cell = run.cells[(run.cells["method"] == "base") & (run.cells["seed"] == 0)].iloc[0]
    assert (cell["state"], cell["blame"]) == ("failed", pretrain)
    assert run.reasons[pretrain] == "it broke"
    assert (run.cells["blame"] == "").sum() == len(run.cells) - 1


def test_a_job_whose_process_died_is_interrupted(tmp_path: Path) -> None:
    states = {"base/frozen/tissue/T1w/1/subset0/seed0/test/Guys/T1w": "running"}
    run = load_run(Benchmark(constant, states=states).write(tmp_path))
    assert sorted(run.cells["state"]) == ["done", "done", "done", "interrupted"]


def test_without_data_there_are_cells_and_no_keys(tmp_path: Path) -> None:
    run = load_run(Benchmark(constant, no_data=True).write(tmp_path))
    assert len(run.cells) == 4
    assert run.cells["key"].isna().all()
    assert run.scores.empty
    assert run.jobs.empty


def test_two_plans_are_united(tmp_path: Path) -> None:
    Benchmark(by_seed, methods=("base",), seeds=(0,)).write(tmp_path, "a" * 16)
    more = task([DICE], fractions=(0.1, 1.0))
    newer = Benchmark(by_seed, {"tissue": more}, methods=("new",), seeds=(1,), created="2026-02-01")
    newer.write(tmp_path, "b" * 16)
    run = load_run(tmp_path)
    assert [method.name for method in run.manifest.methods] == ["base", "new"]
    assert run.manifest.seeds == (0, 1)
    assert run.manifest.tasks["tissue"].fractions == (0.1, 1.0)
    assert run.superseded == 0
    assert len(run.cells) == 1 + 2
    assert set(load_run(tmp_path, "a" * 16).scores["method"]) == {"base"}


def test_the_newest_finished_result_of_a_cell_is_used(tmp_path: Path) -> None:
    Benchmark(lambda *_: 0.1, created="2026-01-01", salt="old").write(tmp_path, "f" * 16)
    Benchmark(lambda *_: 0.2, created="2026-03-01", salt="new").write(tmp_path, "a" * 16)
    Benchmark(lambda *_: 0.3, created="2026-02-01", salt="middle").write(tmp_path, "b" * 16)
    run = load_run(tmp_path)
    assert set(run.scores["value"]) == {0.2}
    assert len(run.cells) == 4
    assert run.superseded == 8


def test_what_counts_is_when_a_result_was_finished_not_when_it_was_planned(tmp_path: Path) -> None:
    Benchmark(lambda *_: 0.1, created="2026-01-01", finished="2026-06-01", salt="a").write(tmp_path, "a" * 16)
    Benchmark(lambda *_: 0.2, created="2026-02-01", finished="2026-03-01", salt="b").write(tmp_path, "b" * 16)
    assert set(load_run(tmp_path).scores["value"]) == {0.1}


def test_an_older_result_stands_in_until_the_newer_is_done(tmp_path: Path) -> None:
    Benchmark(lambda *_: 0.1, created="2026-01-01", salt="old").write(tmp_path, "f" * 16)
    late = Benchmark(lambda *_: 0.2, created="2026-03-01", salt="new")
    late.states = {job["id"]: "todo" for job in late.jobs() if "seqinv" in job["id"]}
    late.write(tmp_path, "a" * 16)
    run = load_run(tmp_path)
    assert run.scores.groupby("method")["value"].unique().map(list).to_dict() == {
        "base": [0.2],
        "seqinv": [0.1],
    }
    assert run.superseded == 2


def test_one_job_of_two_plans_counts_once(tmp_path: Path) -> None:
    benchmark = Benchmark(by_seed)
    benchmark.write(tmp_path, "a" * 16)
    shutil.copy(tmp_path / "plans" / f"{'a' * 16}.json", tmp_path / "plans" / f"{'b' * 16}.json")
    run = load_run(tmp_path)
    assert len(run.cells) == 4
    assert len(run.scores) == 4 * 6
    assert run.superseded == 0


def test_another_encoder_under_one_method_name_is_the_same_cell(tmp_path: Path) -> None:
    Benchmark(lambda *_: 0.1, salt="old").write(tmp_path, "a" * 16)
    Benchmark(lambda *_: 0.2, salt="new", created="2026-05-01").write(tmp_path, "b" * 16)
    path = tmp_path / "plans" / f"{'b' * 16}.json"
    manifest = json.loads(path.read_text())
    for job in manifest["jobs"]:
        if job["cell"]:
            job["cell"]["encoder"] = "larger"
    path.write_text(json.dumps(manifest))
    assert set(load_run(tmp_path).scores["value"]) == {0.2}
