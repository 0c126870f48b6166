"""The evaluate job: a scan that has no score is a failed row, and the others count."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from specifications import evaluate_cell, evaluate_spec

from mribench.errors import DataError
from mribench.interfaces import Scan, Subject
from mribench.interfaces.metric import Score
from mribench.jobs import evaluate

METRIC = SimpleNamespace(id="mae", unit="")
SUBJECTS = ("unreadable", "diverged", "sound")


class Scans:
    """Three test scans, the first of which cannot be read."""

    def __init__(self, *_: Any) -> None:
        self.all = [(Subject("c", name, "", ()), Scan("T1w", {}, session="a")) for name in SUBJECTS]

    def __len__(self) -> int:
        return len(self.all)

    def pairs(self) -> list[tuple[Subject, Scan]]:
        return self.all

    def read(self, subject: Subject, scan: Scan) -> Any:
        if "unreadable" in subject.id:
            raise DataError(f"{subject.id}: the file ends too early", "copy it again")
        return SimpleNamespace(subject=subject.id, session=scan.session, sequence="T1w")

    def label_source(self) -> str:
        return "none"

    def voxel_counts(self) -> dict[str, int]:
        return {}


class Task:
    """Scores what is finite."""

    metrics = (METRIC,)

    def identity(self, volume: Any, _: torch.Generator) -> torch.Tensor:
        return torch.full((2, 2, 2), math.nan if "diverged" in volume.subject else 1.0)

    def score(self, prediction: torch.Tensor, _: Any) -> list[Any]:
        if not torch.isfinite(prediction).all():
            raise DataError("the prediction has voxels that are NaN", "the network diverged")
        return [SimpleNamespace(metric=METRIC, label="", score=Score(0.25))]


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.setattr(evaluate, "TaskScans", Scans)
    monkeypatch.setattr(evaluate, "example_file", lambda *_: None)
    ticks: list[tuple[int, int]] = []
    context = SimpleNamespace(
        directory=tmp_path, tick=lambda *done: ticks.append(done), make=lambda *_: Task()
    )
    spec = evaluate_spec(
        cell=evaluate_cell(arm="identity"), adapt={"steps": 1, "lr": 1e-3, "patch_vox": 8},
        adapt_key=None, pretrain_key=None,
    )  # fmt: skip
    return evaluate.run_evaluate(spec, context)


def test_what_has_no_score_is_a_failed_row(outcome: Any) -> None:
    assert [row["subject"].split(":")[-1] for row in outcome.scores] == list(SUBJECTS)
    assert [row["status"] for row in outcome.scores] == ["failed", "failed", "ok"]
    assert math.isnan(outcome.scores[0]["value"])
    assert math.isnan(outcome.scores[1]["value"])
    assert outcome.scores[2]["value"] == outcome.scores[2]["penalty"] == 0.25


def test_the_reason_is_logged(caplog: pytest.LogCaptureFixture, outcome: Any) -> None:
    assert len(outcome.scores) == len(SUBJECTS)
    said = " ".join(record.getMessage() for record in caplog.get_records("setup"))
    assert "the file ends too early" in said
    assert "voxels that are NaN" in said
