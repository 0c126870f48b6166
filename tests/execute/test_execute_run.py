"""Whole runs through the command line: nothing lost, nothing done twice, the same numbers again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from pandas.testing import assert_frame_equal
from tiny_runs import (
    COUNT,
    TINY,
    called,
    command,
    executed,
    jobs,
    run,
    run_here,
    scores,
    start,
    states,
    wait_until,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run that nobody disturbed."""
    results = tmp_path_factory.mktemp("finished")
    result = run(results)
    assert result.returncode == 0, result.stdout + result.stderr
    assert executed(result) == COUNT
    for row in ("seqinv", "seqinv (finetune)", "scratch", "identity"):
        assert row in result.stdout
    return results


def test_every_job_leaves_what_the_layout_promises(finished: Path) -> None:
    folders = list((finished / "tiny/jobs").iterdir())
    assert len(folders) == COUNT
    for folder in folders:
        specification = json.loads((folder / "job.json").read_text())
        names = {path.name for path in folder.iterdir()}
        assert {"job.json", "status.json", "environment.json", "log.txt", "job.parquet"} <= names
        assert ("records.parquet" in names) == (specification["kind"] == "evaluate")
        assert any(name.endswith(".safetensors") for name in names) == (specification["kind"] != "evaluate")
        assert not names & {"lease.json", "checkpoint.safetensors"}
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["versions"]["torch"]
        assert environment["mribench_commit"]
        assert environment["file_commit"]
        assert environment["device"].startswith(("cpu", "NVIDIA"))


def test_rows_are_complete_and_valid(finished: Path) -> None:
    rows = scores(finished)
    assert set(rows.status) <= {"ok", "pred-empty"}
    assert set(rows.method) == {"seqinv", "scratch", "identity"}
    tissue = rows[(rows.task == "tissue") & (rows.arm == "frozen")]
    assert set(tissue.label) == {"GM", "WM", "CSF"}
    assert set(zip(tissue.test_site, tissue.test_sequence, strict=True)) == {
        ("Guys", "T1w"), ("Guys", "T2w"), ("HH", "T1w"), ("HH", "T2w")
    }  # fmt: skip
    assert rows[rows.method == "identity"].seed.isna().all()
    assert rows.value.notna().all()


def test_frozen_means_frozen(finished: Path) -> None:
    rows = jobs(finished)
    adapted = rows[rows.kind == "adapt"]
    same = adapted.encoder_digest_before == adapted.encoder_digest_after
    frozen = adapted.index.str.contains("/frozen/")
    assert same[frozen].all()
    assert not same[~frozen].any()
    pretrained = rows.loc["seqinv/pretrain/seed0", "encoder_digest_after"]
    assert set(adapted.encoder_digest_before[adapted.index.str.startswith("seqinv")]) == {pretrained}
    assert (adapted.parameters_trained[frozen] < adapted.parameters[frozen]).all()


def test_methods_and_scratch_start_from_the_same_weights(finished: Path) -> None:
    rows = jobs(finished)
    start = rows.loc["seqinv/pretrain/seed0", "encoder_digest_before"]
    assert set(rows.encoder_digest_before[rows.index.str.startswith("scratch") & (rows.kind == "adapt")]) == {
        start
    }


def test_pretraining_row_says_what_was_seen(finished: Path) -> None:
    row = jobs(finished).loc["seqinv/pretrain/seed0"]
    assert row.views_seen == 4 * 2 * 2 == row.distinct_views
    assert row.voxels_seen == 16 * 8**3
    assert row.subjects_checked == 5, "two held-out subjects, and the three training subjects"
    assert row.retrieval_queries == 8 * 5
    assert row.collapse_reason == "" or row.collapsed
    assert 0 <= row.untrained_retrieval_hits <= 40


def test_second_run_executes_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("tiny/jobs/*/*")}
    result = run_here(finished)
    assert result.returncode == 0
    assert executed(result) == 0
    assert f"{COUNT} done before" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.glob("tiny/jobs/*/*")} == before


def test_plan_counts_what_is_done(finished: Path) -> None:
    result = called("plan", TINY, "--results", finished)
    assert result.returncode == 0, result.stdout + result.stderr
    row = next(line for line in result.stdout.splitlines() if " all " in line)
    assert row.count(str(COUNT)) == 2  # jobs, done


@pytest.mark.parametrize("after", [1, 8])
def test_sigkill_and_again_gives_the_same_rows(finished: Path, tmp_path: Path, after: int) -> None:
    process = subprocess.Popen(
        command("run", TINY, "--results", tmp_path), stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(lambda: states(tmp_path).count("done") >= after, f"{after} jobs done")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = states(tmp_path).count("done")
    result = run_here(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert executed(result) <= COUNT - done
    assert_frame_equal(scores(tmp_path), scores(finished))
    wait_until(lambda: not any(child.is_running() for child in children), "orphans end by themselves")


def pid_of(results: Path, kind: str) -> int | None:
    """Return the process that works on a job of a kind, once it hears signals; None where there is none."""
    for status in results.glob("tiny/jobs/*/status.json"):
        said = json.loads(status.with_name("job.json").read_text())["kind"]
        lease = status.with_name("lease.json")
        if said == kind and json.loads(status.read_text())["state"] == "running" and lease.exists():
            return int(json.loads(lease.read_text())["pid"])
    return None


LONG = ("--jobs", 1, "--set", "defaults.pretrain.steps=400", "--only", "seqinv/frozen/tissue/*")


@pytest.fixture(scope="module")
def long_scores(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    results = tmp_path_factory.mktemp("long")
    assert run_here(results, *LONG).returncode == 0
    return scores(results)


def test_killed_worker_is_tried_again(long_scores: pd.DataFrame, tmp_path: Path) -> None:
    process = start(tmp_path, *LONG)
    wait_until(lambda: pid_of(tmp_path, "pretrain") is not None, "the pretrain job runs")
    os.kill(pid_of(tmp_path, "pretrain") or 0, signal.SIGKILL)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert "again in 2 s: seqinv/pretrain/seed0: its process was killed by signal 9" in output
    assert "1 tried again" in output
    assert_frame_equal(scores(tmp_path), long_scores)
    (log,) = (tmp_path / "tiny/logs").glob("run-*.log")
    assert "killed by signal 9; see its log.txt (infrastructure)" in log.read_text()


def test_killed_fork_server_is_started_again_and_its_job_kept(
    long_scores: pd.DataFrame, tmp_path: Path
) -> None:
    process = start(tmp_path, *LONG)
    wait_until(lambda: pid_of(tmp_path, "pretrain") is not None, "the pretrain job runs")
    worker = psutil.Process(pid_of(tmp_path, "pretrain"))
    server = worker.parent()
    assert server is not None
    assert server.ppid() == process.pid
    server.kill()
    time.sleep(0.5)
    assert worker.is_running(), "its job lives on"
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert "tried again" not in output
    assert_frame_equal(scores(tmp_path), long_scores)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_disk_is_waited_for_until_there_is_room(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        process = start(disk)
        wait_until(lambda: states(disk).count("done") >= 1, "a job is done")
        with contextlib.suppress(OSError), (disk / "somebody-else").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        assert process.stdout is not None
        before = iter(process.stdout.readline, "")
        sentence = next(line for line in before if "cannot write to" in line)
        assert "No space left on device" in sentence
        assert "mribench clean" in sentence
        (disk / "somebody-else").unlink()
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, output + errors
        assert "the run goes on" in output
        assert_frame_equal(scores(disk), scores(finished))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for words in (
            ("status", disk / "tiny"),
            ("plan", TINY, "--results", disk),
            ("report", disk / "tiny"),
            ("report", TINY, "--results", disk),
            ("compare", disk / "tiny", "seqinv", "scratch"),
        ):
            result = called(*words)
            assert result.returncode == 0, result.stdout + result.stderr
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_failing_job_stops_only_what_needs_it(tmp_path: Path) -> None:
    result = run_here(tmp_path, "--set", "tasks.tissue.adapt.lr=1e30", "--set", "reference_arms=[identity]")
    assert result.returncode == 1
    assert "the loss is not finite" in result.stdout.replace("\n", " ")
    rows = scores(tmp_path)
    assert set(rows.task) == {"denoise"}
    failed = [path for path in tmp_path.glob("tiny/jobs/*/status.json") if "failed" in path.read_text()]
    assert len(failed) == 2
    assert all("Traceback" in json.loads(path.read_text())["traceback"] for path in failed)
    again = run_here(tmp_path, "--set", "tasks.tissue.adapt.lr=1e30", "--set", "reference_arms=[identity]")
    assert again.returncode == 1, "a failed job never counts as done"


def test_inline_executor_gives_the_same_rows(finished: Path, tmp_path: Path) -> None:
    result = run_here(tmp_path, "--executor", "inline")
    assert result.returncode == 0, result.stdout + result.stderr
    assert_frame_equal(scores(tmp_path), scores(finished))


def test_two_runs_at_once_share_the_work(finished: Path, tmp_path: Path) -> None:
    both = [
        subprocess.Popen(
            command("run", TINY, "--results", tmp_path, "--jobs", 1), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum(executed(output) for output in outputs) == COUNT
    assert_frame_equal(scores(tmp_path), scores(finished))


def test_only_limit_and_dry_run(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("tiny/jobs/*"):
        shutil.rmtree(path)
    dry = run_here(tmp_path, "--dry-run")
    assert f"{COUNT} jobs would run" in dry.stdout
    assert not any(tmp_path.glob("tiny/jobs/*"))
    only = run_here(tmp_path, "--only", "identity/*/HH/*")
    assert executed(only) == 1
    assert set(scores(tmp_path).test_site) == {"HH"}


def test_rows_are_read_as_the_document_says(
    finished: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (repository / "results/README.md").read_text(), re.DOTALL)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/quickstart").symlink_to(finished / "tiny")
    script = tmp_path / "read.py"
    script.write_text(block.replace("rows.groupby", "print(len(rows))\nrows.groupby"))
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(scores(finished))
