"""An encoder that must not change is caught changing, wherever it keeps its state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from specifications import evaluate_cell, spec_of
from torch import Tensor, nn

from mribench.errors import JobError
from mribench.interfaces import DatasetRef, Encoder, EncoderRef, Entry, TaskRef
from mribench.jobs import Context, Outcome, Shared, adapted, evaluate, run_spec
from mribench.jobs.model import TaskModel, adapted_model
from mribench.jobs.shared import MOST
from mribench.jobs.still import StillEncoder
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry
from mribench.training.weights import save_weights, state_digest

CPU = torch.device("cpu")


class Steady(Encoder):
    """One convolution."""

    channels, strides, embedding_dim = (4,), (2,), 4

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv3d(1, 4, 2, stride=2)
        self.register_buffer("offset", torch.zeros(1), persistent=False)
        self.plain = torch.zeros(1)

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        return [self.net(image) + self.offset + self.plain]


class DriftingBuffer(Steady):
    """Moves a buffer that is not saved with each pass."""

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        self.offset += 1e-3
        return super().feature_maps(image)


class DriftingAttribute(Steady):
    """Moves a tensor that no state dict knows with each pass."""

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        self.plain = self.plain + 1e-3
        return super().feature_maps(image)


class DriftingToken(Steady):
    """Its maps stay, and its embedding does not."""

    def maps_and_embedding(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = self.feature_maps(image)
        self.offset = self.offset + 1e-3
        return maps, self.pool(maps) + self.offset


DRIFTING = {"buffer": DriftingBuffer, "attribute": DriftingAttribute, "token": DriftingToken}


@pytest.mark.parametrize("kind", DRIFTING)
def test_what_no_digest_sees_is_seen_in_the_maps(kind: str) -> None:
    encoder = DRIFTING[kind]()
    still = StillEncoder(encoder, (8, 8, 8), CPU)
    digest = state_digest(encoder)
    encoder.maps_and_embedding(torch.zeros(1, 1, 4, 4, 4))
    assert state_digest(encoder) == digest
    with pytest.raises(JobError, match=r"^the encoder changed while x: it gives other feature maps"):
        still.require_unchanged("while x")


@pytest.mark.parametrize("fill", [None, 0.0, torch.nan])
def test_a_steady_encoder_passes_whatever_its_values(fill: float | None) -> None:
    encoder = Steady()
    if fill is not None:
        encoder.net.weight.data.fill_(fill)
    still = StillEncoder(encoder, (8, 8, 8), CPU)
    encoder.embed(torch.ones(2, 1, 8, 8, 8))
    still.require_unchanged("while x")


def test_a_change_of_one_weight_is_seen() -> None:
    encoder = Steady()
    still = StillEncoder(encoder, (8, 8, 8), CPU)
    encoder.net.bias.data[0] += 1e-4
    with pytest.raises(JobError):
        still.require_unchanged("while x")


# Jobs


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = load_registry()
    for name, kind in {"steady": Steady, **DRIFTING}.items():
        entry = Entry("encoder", name, lambda options, kind=kind: kind())
        registry.add(Registered(entry, "tests", "tests", "0"))
    return registry


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcome]:
    """Runs an adapt, evaluate or embed job with an encoder."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("ixi")
    phantom = {"name": "phantom", "layout": "ixi", "sites": {"Guys": 2}, "spacing_mm": 8, "seed": 1}
    registry.resolve(DatasetRef.model_validate(phantom), "test", "corrected").make().write(folder)
    data = {"name": "ixi", "root": str(folder)}
    reader = registry.resolve(DatasetRef.model_validate(data), "test", "corrected").make()
    subjects = tuple(subject.id for subject in reader.subjects())
    task = {"name": "denoising", "sigma": 0.2}
    options = {"steps": 2, "lr": 1e-3, "patch_vox": 8, "batch_size": 1}
    common = {"data": DatasetRef.model_validate(data), "pretrain_key": None}
    learnt = {"task": TaskRef.model_validate(task), "adapt": options}
    of_kind: dict[str, dict[str, Any]] = {
        "adapt": {**learnt, "arm": "random-frozen", "train": subjects},
        "evaluate": {**learnt, "cell": evaluate_cell(arm="random-frozen", seed=0), "subjects": subjects},
        "embed": {"patch_vox": 8, "spacing_mm": 8, "subjects": subjects},
    }

    def _run(kind: str, encoder: str, place: Path, shared: Shared | None = None) -> Outcome:
        asked = {**common, **of_kind[kind], "encoder": EncoderRef(name=encoder)}
        if kind == "evaluate":
            trained = _run("adapt", "steady", place)
            (place / "adapted").mkdir(exist_ok=True)
            save_weights(place / "adapted" / "head.safetensors", trained.weights["head.safetensors"])
            asked |= {"adapt_key": "adapted"}
        context = Context(
            registry, place / kind, place, CPU, lambda done, total: None, 60.0, shared=shared or Shared()
        )
        return run_spec(spec_of(kind, **asked), context)

    return _run


@pytest.mark.parametrize("kind", ["adapt", "evaluate", "embed"])
def test_jobs_with_a_steady_encoder_end_well(run: Callable[..., Outcome], kind: str, tmp_path: Path) -> None:
    assert run(kind, "steady", tmp_path).job["parameters"] > 0


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        ("adapt", "while the head was trained, though it is frozen"),
        ("evaluate", "while scans were evaluated"),
        ("embed", "while scans were embedded"),
    ],
)
@pytest.mark.parametrize("encoder", DRIFTING)
def test_jobs_with_a_drifting_encoder_fail(
    run: Callable[..., Outcome], kind: str, when: str, encoder: str, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=f"the encoder changed {when}: ") as error:
        run(kind, encoder, tmp_path)
    assert "no buffer, saved or not" in str(error.value.hint)


# Shared by the jobs of a batch


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[TaskModel]:
    """The models that were loaded."""
    models: list[TaskModel] = []

    def load(*arguments: Any) -> TaskModel:
        models.append(adapted_model(*arguments))
        return models[-1]

    monkeypatch.setattr(adapted, "adapted_model", load)
    return models


def test_jobs_of_a_batch_share_a_model_and_give_the_rows_of_jobs_that_load_their_own(
    run: Callable[..., Outcome], loaded: list[TaskModel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    predict, drawn = evaluate._predict, []

    def drawing(*arguments: Any) -> torch.Tensor:
        drawn.append(float(torch.rand(())))  # as a network may that draws from torch's own generator
        return predict(*arguments)

    monkeypatch.setattr(evaluate, "_predict", drawing)
    shared = Shared()
    alone = run("evaluate", "steady", tmp_path)
    together = [run("evaluate", "steady", tmp_path, shared) for _ in range(3)]
    assert len(loaded) == 2
    assert all(outcome.scores == alone.scores and outcome.job == alone.job for outcome in together)
    assert len(drawn) == 8
    assert drawn == drawn[:2] * 4


def test_a_model_that_was_written_to_is_loaded_anew(
    run: Callable[..., Outcome], loaded: list[TaskModel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    predict, shared = evaluate._predict, Shared()

    def writing(*arguments: Any) -> torch.Tensor:
        with torch.no_grad():
            next(loaded[-1].head.parameters()).mul_(2)
        return predict(*arguments)

    monkeypatch.setattr(evaluate, "_predict", writing)
    first, second = (run("evaluate", "steady", tmp_path, shared) for _ in range(2))
    assert len(loaded) == 2
    assert first.scores == second.scores


def test_a_job_that_fails_leaves_its_model_to_none(
    run: Callable[..., Outcome], loaded: list[TaskModel], tmp_path: Path
) -> None:
    shared = Shared()
    for number in (1, 2):
        with pytest.raises(JobError, match="the encoder changed"):
            run("evaluate", next(iter(DRIFTING)), tmp_path, shared)
        assert len(loaded) == number


def test_a_shared_model_whose_file_was_damaged_meanwhile_is_not_used(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shared = Shared()
    run("evaluate", "steady", tmp_path, shared)
    monkeypatch.setattr(adapted, "require_sound", lambda path: pytest.fail(f"{path.name} is looked at"))
    with pytest.raises(pytest.fail.Exception, match=r"head\.safetensors is looked at"):
        run("evaluate", "steady", tmp_path, shared)


def test_what_was_taken_is_nobody_elses_and_the_oldest_is_forgotten() -> None:
    shared = Shared()
    for number in range(MOST + 1):
        shared.give_back(number, f"kept {number}")
    assert [shared.take(number, lambda: "new") for number in (0, 1, 1)] == ["new", "kept 1", "new"]
