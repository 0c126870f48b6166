"""A job that is told twice, as after a kill: one record, each step once."""

from __future__ import annotations

from pathlib import Path

import pytest
from mribench_tracking.mlflow import MlflowOptions, MlflowTracker
from mribench_tracking.tensorboard import TensorboardOptions, TensorboardTracker
from support_tracking import Store, event_folder, scalars

from mribench.interfaces import JobOutcome, Logged, TrackedJob, TrackedRun, Tracker

pytestmark = pytest.mark.filterwarnings("default:::(mlflow|sqlalchemy|tensorboard|torch|google).*")
JOB = TrackedJob("0123456789abcdef", "m/pretrain/seed0", "pretrain", Path("jobs/0123"), {"method": "m"})


def rows(first: int, last: int) -> list[Logged]:
    return [
        Logged(step, {"total": 1.0 / (1 + step), "odd (name)": float(step)}) for step in range(first, last)
    ]


def attempt(tracker: Tracker, folder: Path, last: int, outcome: JobOutcome | None) -> None:
    tracker.run_started(TrackedRun("b", "corrected", "b.yaml", folder))
    tracker.job_started(JOB)
    tracker.job_logged(JOB, rows(0, 3))
    tracker.job_logged(JOB, rows(3, last))
    if outcome:
        tracker.job_ended(JOB, outcome)
    tracker.run_ended()


def test_mlflow_logs_what_lacks(tmp_path):
    pytest.importorskip("mlflow", reason="mlflow is not installed (make test-tracking)")
    attempt(MlflowTracker(MlflowOptions()), tmp_path, 6, None)
    store = Store(tmp_path / "mlflow.db")
    ((first, status),) = store.runs().values()
    assert status == "RUNNING"
    again = MlflowTracker(MlflowOptions())
    attempt(again, tmp_path, 10, JobOutcome("done", "", 2.0, {"dice": 0.5}))
    assert store.runs() == {JOB.key: (first, "FINISHED")}
    assert store.metrics(first) == {
        "total": {step: 1.0 / (1 + step) for step in range(10)},
        "odd _name_": {step: float(step) for step in range(10)},
        "dice": {0: 0.5},
        "wall_s": {0: 2.0},
    }
    other = TrackedJob("f" * 16, "m", "adapt", Path("jobs/f"))
    assert set(again.unfinished([JOB, other])) == {other.key}


def test_tensorboard_begins_anew(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (make test-tracking)")
    attempt(TensorboardTracker(TensorboardOptions()), tmp_path, 6, JobOutcome("interrupted", "stopped", 1.0))
    place = event_folder(tmp_path / "tensorboard", JOB.key)
    assert set(scalars(place)["loss/total"]) == set(range(6))
    again = TensorboardTracker(TensorboardOptions())
    attempt(again, tmp_path, 10, JobOutcome("done", "", 2.0, {"dice": 0.5}))
    found = scalars(place)
    assert found["loss/total"] == pytest.approx({step: 1.0 / (1 + step) for step in range(10)})
    assert found["score/dice"] == {0: 0.5}
    assert again.unfinished([JOB]) == []
