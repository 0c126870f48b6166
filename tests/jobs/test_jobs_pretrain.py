"""The pretrain job on a phantom cohort of 8 mm: what its row says of encoders that learned nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from specifications import pretrain_spec, trained_cohort
from torch import Tensor, nn

from mribench.interfaces import (
    DatasetRef,
    Encoder,
    EncoderRef,
    Entry,
    Objective,
    ObjectiveRef,
    View,
    ViewsRef,
)
from mribench.jobs import Context, Outcome, run_spec
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry
from mribench.results.records import JOB_SCHEMA

SUBJECTS = 6
Run = Callable[..., dict[str, Any]]


class Idle(Objective):
    """Trains a number of its own, and passes the encoder in training mode."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.number = nn.Parameter(torch.ones(()))

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        with torch.no_grad():
            self.encoder.feature_maps(views[0].image)
        return {"own": self.number.square()}


class Flattening(Idle):
    """Makes an encoder that maps everything to zero."""

    def after_step(self, step: int, total_steps: int) -> None:
        for parameter in self.encoder.parameters():
            parameter.data.zero_()


class Diverging(Idle):
    """Makes an encoder whose embeddings are not finite, while the loss is."""

    def after_step(self, step: int, total_steps: int) -> None:
        if step + 1 == total_steps:
            for parameter in self.encoder.parameters():
                parameter.data.fill_(torch.nan)


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = load_registry()
    for name, kind in {"idle": Idle, "flattening": Flattening, "diverging": Diverging}.items():
        entry = Entry("objective", name, lambda options, encoder, kind=kind: kind(encoder))
        registry.add(Registered(entry, "tests", "tests", "0"))
    return registry


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a pretraining of three steps and gives its row."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("mpm")
    phantom = {"name": "phantom", "layout": "mpm", "subjects": SUBJECTS, "spacing_mm": 8, "seed": 1}
    registry.resolve(DatasetRef.model_validate(phantom), "test", "corrected").make().write(folder)
    data = {"name": "mpm", "root": str(folder)}
    reader = registry.resolve(DatasetRef.model_validate(data), "test", "corrected").make()
    subjects = [subject.id for subject in reader.subjects()]

    def _run(objective: str, held_out: int = 2, train: int = 4) -> dict[str, Any]:
        spec = pretrain_spec(
            views=ViewsRef(name="mprage"),
            objective=ObjectiveRef(name=objective),
            encoder=EncoderRef.model_validate({"name": "cnn", "features": [4, 8]}),
            pretrain={"patch_vox": 8, "spacing_mm": 8, "steps": 3, "batch_size": 1, "lr": 1e-3},
            sources=(
                trained_cohort(
                    data=DatasetRef.model_validate(data), train=tuple(subjects[-train:]),
                    held_out=tuple(subjects[:held_out]),
                ),
            ),
        )  # fmt: skip
        place = folder / objective
        context = Context(registry, place, folder, torch.device("cpu"), lambda done, total: None, 60.0)
        outcome: Outcome = run_spec(spec, context)
        assert set(outcome.job) <= set(JOB_SCHEMA.names)
        return outcome.job

    return _run


def test_an_objective_that_leaves_the_encoder_alone_is_not_trained(run: Run) -> None:
    job = run("idle")
    assert job["encoder_remarks"].split("; ")[0] == "not trained: no parameter has changed"
    assert job["subjects_checked"] == SUBJECTS, "held-out subjects, and training subjects beside them"
    assert job["retrieval_hits"] == job["untrained_retrieval_hits"]
    assert job["mean_cosine"] == job["untrained_mean_cosine"]


def test_an_encoder_that_maps_all_to_one_point_is_collapsed(run: Run) -> None:
    job = run("flattening")
    assert job["collapsed"] is True
    assert job["collapse_reason"] == "all embeddings are one point"
    assert job["encoder_remarks"] == ""
    assert job["untrained_retrieval_hits"] > 0


def test_an_encoder_that_is_not_finite_is_no_crash_and_no_collapse(run: Run) -> None:
    job = run("diverging")
    assert job["collapsed"] is None
    assert job["encoder_remarks"] == f"not finite: {2 * 8 * SUBJECTS} of {2 * 8 * SUBJECTS} embeddings"


def test_one_subject_is_not_checked(run: Run) -> None:
    job = run("simclr-recon", held_out=0, train=1)
    assert job["collapsed"] is None
    assert job["subjects_checked"] == 1
    assert "not trained" not in job["encoder_remarks"]
