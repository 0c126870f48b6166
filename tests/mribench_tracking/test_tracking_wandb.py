"""W&B against an imitation of its module: what is called, never the service."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from mribench_tracking.wandb import WandbOptions, WandbTracker

from mribench.interfaces import JobOutcome, Logged, TrackedJob, TrackedRun
from mribench.plugins import load_registry
from mribench.testing import check_entry

RUN = TrackedRun("tiny", "corrected", "tiny.yaml", Path("results/tiny"))


class Run:
    """One run: keeps what it is told, and refuses what W&B would."""

    def __init__(self, settings: dict) -> None:
        self.settings, self.points, self.summary, self.ended = settings, [], {}, None

    def log(self, values: dict, step: int | None = None) -> None:
        assert self.ended is None
        assert step is None or all(step > before for before, _ in self.points if before is not None)
        self.points.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.ended = exit_code


@pytest.fixture
def runs(monkeypatch) -> list[Run]:
    made: list[Run] = []
    module = ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None)

    def init(**settings: object) -> Run:
        made.append(Run(settings))
        return made[-1]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return made


def job(key: str) -> TrackedJob:
    return TrackedJob(key, f"seqinv/{key}", "adapt", Path("jobs") / key, {"method": "seqinv", "seed": 0})


def test_a_job_is_a_run_of_its_key(runs):
    tracker = WandbTracker(WandbOptions())
    tracker.run_started(RUN)
    tracker.job_started(job("a"))
    tracker.job_started(job("b"))  # two at a time
    tracker.job_logged(job("a"), [Logged(0, {"total": 2.0}), Logged(1, {"total": 1.0})])
    tracker.job_logged(job("b"), [Logged(0, {"total": 5.0})])
    tracker.job_ended(job("b"), JobOutcome("failed", "no memory", 3.0))
    tracker.job_logged(job("a"), [Logged(0, {"mean_cosine": 0.5})])  # checks come late
    tracker.job_ended(job("a"), JobOutcome("done", "", 4.0, {"dice": 0.9}))
    first, second = runs
    assert first.settings["id"] == "a"
    assert first.settings["name"] == "seqinv/a"
    assert first.settings["project"] == "tiny"
    assert first.settings["mode"] == "offline"
    assert (first.settings["resume"], first.settings["reinit"]) == ("allow", "create_new")
    assert first.settings["config"] == {"method": "seqinv", "seed": 0, "directory": "jobs/a"}
    assert first.points == [
        (0, {"total": 2.0}), (1, {"total": 1.0}), (None, {"mean_cosine": 0.5, "at_step": 0})
    ]  # fmt: skip
    assert first.summary == {"dice": 0.9, "state": "done", "reason": "", "wall_s": 4.0}
    assert (first.ended, second.ended) == (0, 1)
    assert second.points == [(0, {"total": 5.0})]
    assert second.summary == {"state": "failed", "reason": "no memory", "wall_s": 3.0}


def test_options_and_what_is_left_open(runs):
    tracker = WandbTracker(WandbOptions(project="mine", mode="online"))
    tracker.run_started(RUN)
    tracker.job_started(job("a"))
    tracker.run_ended()
    assert runs[0].ended == 1
    assert (runs[0].settings["project"], runs[0].settings["mode"]) == ("mine", "online")
    assert tracker.unfinished([job("a")]) == ()


def test_it_keeps_the_rules_of_trackers(runs):
    """With the imitation: what W&B itself refuses beyond that is not known here."""
    registry = load_registry()
    check_entry(registry.get("tracker", "wandb"), registry=registry)
    assert {run.settings["mode"] for run in runs} == {"offline"}
    open_ones = [run for run in runs if run.ended is None]
    assert len(open_ones) == 1, "that of the run that was killed"
    assert len({run.settings["id"] for run in runs}) < len(runs), "a job that is told again has its old id"
