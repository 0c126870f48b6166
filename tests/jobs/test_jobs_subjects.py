"""The evaluate job of a task about people: who fails, what sets without a value give, what is stored."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from specifications import evaluate_cell, evaluate_spec

from mribench.errors import DataError
from mribench.interfaces import Scan, SetMetric, SetScore, Subject
from mribench.jobs import subjects
from mribench.results.records import PREDICTIONS

NAMES = ("one", "unreadable", "diverged", "two")


class Nearness(SetMetric):
    """Minus the absolute error, which one subject alone has none of."""

    id = "nearness"
    of = "numbers"

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        components = -np.abs(predictions - targets)
        if len(targets) < 2:
            return SetScore(math.nan, np.full(1, math.nan), "failed", "one subject alone")
        return SetScore(float(components.mean()), components)


class Scans:
    """Two scans of each subject; a file of one of them ends too early."""

    def __init__(self, spec: Any, *_: Any) -> None:
        self.all = [
            (Subject("c", name.removeprefix("c:"), "", ()), Scan("T1w", {}, session=session))
            for name in spec.subjects
            for session in "ab"
        ]

    def __len__(self) -> int:
        return len(self.all)

    def pairs(self) -> list[tuple[Subject, Scan]]:
        return self.all

    def read(self, subject: Subject, scan: Scan) -> Any:
        if subject.name == "unreadable" and scan.session == "b":
            raise DataError(f"{subject.id}: the file ends too early", "copy it again")
        return SimpleNamespace(subject=subject.id, session=scan.session)

    def label_source(self) -> str:
        return "none"

    def voxel_counts(self) -> dict[str, int]:
        return {}


class Predictor:
    """Predicts 10 and 20 of the two scans, and their mean of the subject."""

    n_parameters = 7
    finished = 0

    def __init__(self, *_: Any) -> None:
        pass

    def predict(self, volumes: Any) -> np.ndarray:
        seen = list(volumes)
        values = [math.nan if "diverged" in v.subject else 10.0 + 10 * (v.session == "b") for v in seen]
        return np.array([np.mean(values)])

    def finish(self) -> None:
        type(self).finished += 1


def evaluate(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], folder: Any) -> Any:
    monkeypatch.setattr(subjects, "TaskScans", Scans)
    monkeypatch.setattr(subjects, "_Trained", Predictor)
    task = SimpleNamespace(
        build_probe=lambda: None, classes=(), metrics=[Nearness()], target_name="age",
        target=lambda covariates: float(covariates["age"]),
    )  # fmt: skip
    ids = tuple(f"c:{name}" for name in names)
    spec = evaluate_spec(
        cell=evaluate_cell(seed=0), adapt={"spacing_mm": None}, subjects=ids,
        covariates={name: {"age": 12 + 3 * place} for place, name in enumerate(ids)},
    )  # fmt: skip
    context: Any = SimpleNamespace(directory=folder, tick=lambda *_: None)
    return subjects.evaluate_subjects(spec, context, task)  # type: ignore[arg-type]


def test_a_row_for_each_subject_whose_mean_is_the_sets_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = Predictor.finished
    outcome = evaluate(monkeypatch, NAMES, tmp_path)
    assert Predictor.finished == before + 1, "the encoder is looked at again at the end"
    assert [row["subject"] for row in outcome.scores] == [f"c:{name}" for name in NAMES]
    assert [row["status"] for row in outcome.scores] == ["ok", "failed", "failed", "ok"]
    assert [row["value"] for row in outcome.scores[::3]] == [-3.0, -6.0]  # 15 against 12, against 21
    assert all(row["penalty"] == row["value"] for row in outcome.scores[::3])
    assert {(row["session"], row["label"], row["metric"]) for row in outcome.scores} == {
        ("", "age", "nearness")
    }
    assert all(math.isnan(row["value"]) for row in outcome.scores[1:3])
    said = caplog.text
    assert "the file ends too early" in said
    assert "the prediction of c:diverged is not finite" in said


def test_predictions_and_targets_are_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    rows, _ = evaluate(monkeypatch, NAMES, tmp_path).tables[PREDICTIONS]
    assert [(row["target"], row["prediction"]) for row in rows] == [
        (12.0, [15.0]), (15.0, None), (18.0, None), (21.0, [15.0])
    ]  # fmt: skip


@pytest.mark.parametrize(("names", "reason"), [(("one",), "one subject alone"), (NAMES[1:3], "nobody")])
def test_a_set_without_a_value_is_failed_rows(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    caplog: pytest.LogCaptureFixture,
    names: tuple[str, ...],
    reason: str,
) -> None:
    outcome = evaluate(monkeypatch, names, tmp_path)
    assert [row["status"] for row in outcome.scores] == ["failed"] * len(names)
    assert reason in caplog.text
