"""Whole runs through the command line: nothing lost, nothing done twice, the same numbers again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from pandas.testing import assert_frame_equal
from synthetic_results import raw_scores

from mribench import cli
from mribench.results.records import JOB_SCHEMA, read_tables

COUNT = 27  # 1 pretrain; tissue 3 adapt + 12 evaluate; denoise 3 adapt + 6 evaluate + 2 identity
TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mribench", *map(str, arguments)]


def run(results: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tiny benchmark in a process of its own."""
    return subprocess.run(
        command("run", TINY, "--results", results, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def called(*words: object) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process, which has torch already; jobs have their own all the same."""
    arguments = [*map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["mribench", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out.getvalue(), err.getvalue())


def run_here(results: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tiny benchmark from this process, where the command's own process is not what is tested."""
    return called("run", TINY, "--results", results, *arguments)


def executed(result: subprocess.CompletedProcess[str] | str) -> int:
    text = result if isinstance(result, str) else result.stdout
    found = re.search(r"(\d+) jobs executed", text)
    assert found, text
    return int(found[1])


def scores(results: Path) -> pd.DataFrame:
    """Return all score rows, in an order of their own."""
    frame = raw_scores(results / "tiny")
    keys = [name for name in frame.columns if name not in ("value", "penalty")]
    return frame.sort_values(keys, ignore_index=True)


def jobs(results: Path) -> pd.DataFrame:
    return read_tables(sorted(results.glob("tiny/jobs/*/job.parquet")), JOB_SCHEMA).set_index("id")


def states(results: Path) -> list[str]:
    files = results.glob("tiny/jobs/*/status.json")
    return [json.loads(path.read_text())["state"] for path in files]


def job_runs(results: Path) -> bool:
    """Whether a job runs and hears signals: its lease is there before it does, its status only then."""
    return "running" in states(results)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)


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


def start(results: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the tiny benchmark, in a group of its own as a terminal does."""
    return subprocess.Popen(
        command("run", TINY, "--results", results, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # who runs the tests under nohup has the hang-up ignored, and so would the run
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


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


def test_interrupt_keeps_a_checkpoint_and_goes_on(tmp_path: Path) -> None:
    options = ("--only", "*/pretrain/*", "--set", "defaults.pretrain.steps=300")
    process = subprocess.Popen(
        command("run", TINY, "--results", tmp_path, *options),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: job_runs(tmp_path), "a job runs")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "nothing is lost" in errors
    assert states(tmp_path) == ["interrupted"]
    assert len(list(tmp_path.glob("tiny/jobs/*/checkpoint.safetensors"))) == 1
    resumed = run_here(tmp_path, *options)
    assert resumed.returncode == 0
    whole = tmp_path / "whole"
    assert run_here(whole, *options).returncode == 0
    assert jobs(tmp_path).encoder_digest_after.tolist() == jobs(whole).encoder_digest_after.tolist()


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_whole_run(tmp_path: Path, executor: str, number: signal.Signals) -> None:
    """As a queueing system sends them: to the run, its server and its jobs at once."""
    process = start(
        tmp_path, "--executor", executor, "--jobs", 1,
        "--set", "defaults.pretrain.steps=4000", "--set", "reference_arms=[]",
    )  # fmt: skip
    wait_until(lambda: job_runs(tmp_path), "a job runs")
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}; nothing is lost" in errors
    assert f"stopped by {number.name}: 0 jobs executed" in output
    assert "17 left to do" in output
    assert "Traceback" not in errors
    assert states(tmp_path) == ["interrupted"], "no other job was begun"


@pytest.mark.parametrize("delay_s", [0.2, 0.7, 1.5])
def test_interrupt_in_the_first_seconds_shows_no_traceback(tmp_path: Path, delay_s: float) -> None:
    process = start(tmp_path)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors, errors


@pytest.mark.parametrize("delay_s", [0.2, 1.0])
def test_interrupt_at_the_start_is_no_defect(tmp_path: Path, delay_s: float) -> None:
    """The terminal interrupts the whole group: the run, and the server that is still importing."""
    process = subprocess.Popen(
        command("run", TINY, "--results", tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: any(tmp_path.glob("tiny/jobs/*/job.json")), "the first job is asked for")
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors, errors


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
