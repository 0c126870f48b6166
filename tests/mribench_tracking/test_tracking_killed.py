"""Real processes: losses are tracked while a job trains; a killed run is gone on with, not doubled."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support_tracking import TINY, Store, curves, event_folder, folders, scalars

STEPS = 400
PART = ("--only", "*/pretrain/*", "--set", f"defaults.pretrain.steps={STEPS}")
TRACK = ("--track", "tensorboard", "--track", "mlflow")


def start(results: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mribench", "run", TINY, "--results", results, "--jobs", 1, *arguments]
    return subprocess.Popen(list(map(str, command)), text=True, **options)  # type: ignore[call-overload]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.1)


def steps_told(store: Store) -> int:
    try:
        return max((len(store.metrics(run).get("total", ())) for run, _ in store.runs().values()), default=0)
    except sqlite3.OperationalError:  # no tables yet
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_while_it_trains_and_gone_on_with(tmp_path, how):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (make test-tracking)")
    pytest.importorskip("mlflow", reason="mlflow is not installed (make test-tracking)")
    store = Store(tmp_path / "tiny/mlflow.db")
    process = start(tmp_path, *PART, *TRACK, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: steps_told(store) > 10, "losses are told while the job trains")
    ((key, folder),) = folders(tmp_path).items()
    assert json.loads((folder / "status.json").read_text())["state"] == "running"
    told = steps_told(store)
    assert told < STEPS
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    process.wait(120)
    wait_until(lambda: not any(child.is_running() for child in children), "its job stops by itself")
    ((identity, status),) = store.runs().values()
    assert status == ("RUNNING" if how is signal.SIGKILL else "KILLED")
    before = set(store.metrics(identity)["total"])
    assert told <= len(before) < STEPS

    again = start(tmp_path, *PART, *TRACK, stdout=subprocess.PIPE)
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    assert "tracking with" not in said
    assert store.runs() == {key: (identity, "FINISHED")}
    found = store.metrics(identity)  # each step once
    found.pop("wall_s")
    assert set(found["total"]) == set(range(STEPS)) > before
    assert found == curves(folder)
    lines = scalars(event_folder(tmp_path / "tiny/tensorboard", key))
    assert set(lines["loss/total"]) == set(range(STEPS))
    assert lines["loss/total"] == pytest.approx(curves(folder)["total"], rel=1e-6)
    assert not (folder / "live.jsonl").exists()


@pytest.mark.slow
def test_two_runs_at_once_report_a_job_once(tmp_path):
    pytest.importorskip("mlflow", reason="mlflow is not installed (make test-tracking)")
    part = ("--only", "scratch/denoise/*", "--track", "mlflow")
    both = [start(tmp_path, *part, stdout=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=400)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "tracking with" not in "".join(said)
    store = Store(tmp_path / "tiny/mlflow.db")
    runs = store.runs()  # one of each job
    assert set(runs) == set(folders(tmp_path))
    assert len(runs) == 3
    for key, (identity, status) in runs.items():
        assert status == "FINISHED"
        found = store.metrics(identity)  # each step once
        assert {name: found[name] for name in curves(folders(tmp_path)[key])} == curves(
            folders(tmp_path)[key]
        )
