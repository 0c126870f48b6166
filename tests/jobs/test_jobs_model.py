"""Frozen means frozen, unless a defect says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from torch import Tensor, nn

from mribench.config import Optimisation
from mribench.defects import ACTIVE_DROPOUT, ENCODER_CLIPPING
from mribench.interfaces import Encoder
from mribench.jobs.model import TaskModel, is_clipped, scale_layers
from mribench.testing import PyramidEncoder, make_task_volume
from mribench.training import Trainee, train
from mribench.training.weights import state_digest


class _Encoder(Encoder):
    channels, strides, embedding_dim = (4,), (1,), 4

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv3d(1, 4, 1), nn.BatchNorm3d(4), nn.Dropout3d(0.5))

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        del mask
        return [self.net(image)]


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.conv(maps[-1])


class _Task:
    dense = True

    def build_head(self, encoder: Encoder) -> nn.Module:
        del encoder
        return _Head()


def model(*defects: str, frozen: bool = True) -> TaskModel:
    torch.manual_seed(0)
    task: Any = _Task()
    return TaskModel(_Encoder(), task, frozen=frozen, seed=0, defects=defects).train()


IMAGE = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def features(of: TaskModel) -> Tensor:
    return of.encoder.feature_maps(IMAGE)[0]


def test_a_frozen_encoder_has_neither_dropout_nor_statistics_nor_gradients() -> None:
    frozen = model()
    before = state_digest(frozen.encoder)
    torch.testing.assert_close(features(frozen), features(frozen), rtol=0, atol=0)
    frozen(IMAGE).sum().backward()
    assert state_digest(frozen.encoder) == before
    assert all(p.grad is None for p in frozen.encoder.parameters())


def test_active_dropout_is_dropout_alone() -> None:
    shown = model(ACTIVE_DROPOUT)
    before = state_digest(shown.encoder)
    assert not torch.equal(features(shown), features(shown))
    assert state_digest(shown.encoder) == before, "the statistics of the batch norm stay"
    shown.eval()
    torch.testing.assert_close(features(shown), features(shown), rtol=0, atol=0)


def test_the_defect_says_nothing_about_an_encoder_that_is_trained() -> None:
    assert model(ACTIVE_DROPOUT, frozen=False).encoder.training


@pytest.mark.parametrize(("defects", "clipped"), [((), True), ((ENCODER_CLIPPING,), False)])
def test_encoder_clipping_leaves_the_heads_gradient_as_it_is(defects: tuple[str, ...], clipped: bool) -> None:
    trained = model(frozen=False)
    norms: list[float] = []

    class Looked(Trainee):
        module, identity = trained, ("test",)

        def losses(self, step: int, batch: int) -> dict[str, Tensor]:
            return {"loss": 1e4 * trained(IMAGE).square().mean() + 0 * step + 0 * batch}

        def is_clipped(self, name: str) -> bool:
            return is_clipped(name, defects)

        def after_step(self, step: int, total: int) -> None:
            gradients = [p.grad for p in trained.head.parameters() if p.grad is not None]
            norms.append(sum(float(gradient.norm()) ** 2 for gradient in gradients))

    train(Looked(), Optimisation(steps=1, lr=1e-3, clip_norm=1.0), torch.device("cpu"))
    assert (norms[0] ** 0.5 <= 1.0 + 1e-4) is clipped


def test_layers_learn_more_slowly_towards_the_image() -> None:
    encoder = CnnEncoder(CnnOptions(features=(4, 8, 12)))
    scales = scale_layers(encoder, 0.5)
    assert set(scales) == {f"encoder.{name}" for name, _ in encoder.named_parameters()}
    by_block = {name.split(".")[2]: scale for name, scale in scales.items()}
    assert by_block == {"0": 0.125, "1": 0.25, "2": 0.5}
    assert scale_layers(PyramidEncoder(), 0.5) == {}


def test_a_head_of_embeddings_sees_the_mean_over_windows() -> None:
    class Embeds(_Task):
        dense = False

        def build_head(self, encoder: Encoder) -> nn.Module:
            return nn.Sequential(nn.Linear(encoder.embedding_dim, 2), nn.Tanh())

    task: Any = Embeds()
    made = TaskModel(PyramidEncoder(), task, frozen=True, seed=0).eval()
    scan = make_task_volume(None, None)  # 24 x 16 x 32, its head from 2 to 22, 14 and 30
    output = made.over_windows(scan, 16)
    with torch.no_grad():
        windows = [scan.image[None, :, i : i + 16, :, k : k + 16] for i in (2, 6) for k in (2, 14)]
        embeddings = [made.encoder.embed(window) for window in windows]
        expected = made.head(torch.stack(embeddings).mean(0))[0]
    torch.testing.assert_close(output, expected)
    assert not torch.allclose(output, made.head(embeddings[0])[0])


@pytest.mark.parametrize("n_windows", [1, 3, 5, 7, 8])
def test_half_the_windows_at_a_time_give_the_same_bits(n_windows: int) -> None:
    """Of a network of convolutions, as a CPU computes them: one window alone would be rounded otherwise."""
    task: Any = _Task()
    built = TaskModel(CnnEncoder(CnnOptions(features=(4,))), task, frozen=True, seed=0).eval()
    sizes: list[int] = []
    image = torch.randn(1, 16, 16, 16 * n_windows, generator=torch.Generator().manual_seed(2))
    whole = built.over_volume(image, (16, 16, 16), 0.0)
    built.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    assert torch.equal(built.over_volume(image, (16, 16, 16), 0.0, parts=2), whole)
    assert max(sizes) <= 2
