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
from mribench.jobs import Context, Outcome, run_spec
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

    def _run(kind: str, encoder: str, place: Path) -> Outcome:
        asked = {**common, **of_kind[kind], "encoder": EncoderRef(name=encoder)}
        if kind == "evaluate":
            trained = _run("adapt", "steady", place)
            (place / "adapted").mkdir()
            save_weights(place / "adapted" / "head.safetensors", trained.weights["head.safetensors"])
            asked |= {"adapt_key": "adapted"}
        context = Context(registry, place / kind, place, CPU, lambda done, total: None, 60.0)
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
