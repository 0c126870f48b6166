"""Deliberately broken encoders, decoders and objectives: the checks find them and say what is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from mribench_encoders.unet import UNetDecoder, UNetOptions
from torch import nn

from mribench.interfaces import (
    Objective,
)
from mribench.testing import (
    ClassTokenEncoder,
    ConformanceError,
    PyramidEncoder,
    check_decoder,
    check_encoder,
    check_objective,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_sample_encoders_conform():
    check_encoder(PyramidEncoder())
    check_encoder(ClassTokenEncoder())


class WrongStride(PyramidEncoder):
    def __init__(self):
        super().__init__()
        self.strides = (1, 2, 8)


class TooFewChannels(PyramidEncoder):
    def __init__(self):
        super().__init__()
        self.channels = (4, 6)


class Random(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found + torch.rand(()) for found in super().feature_maps(image)]


class BatchMean(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found - found.mean(0) for found in super().feature_maps(image)]


class Detached(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found.detach().requires_grad_() for found in super().feature_maps(image)]


class Infinite(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found / 0 for found in super().feature_maps(image)]


class ConstantEmbedding(PyramidEncoder):
    def pool(self, feature_maps):
        return torch.zeros(len(feature_maps[0]), self.embedding_dim)


class EmbedOnly(PyramidEncoder):
    def embed(self, image):
        return 2 * super().embed(image)


class CoarseFirst(PyramidEncoder):
    def __init__(self):
        super().__init__((4, 4), (4, 1))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (WrongStride, "feature map 2"),
        (TooFewChannels, "2 channels and 3 strides"),
        (Random, "random in evaluation"),
        (BatchMean, "depends on the other samples"),
        (Detached, "no finite gradient"),
        (Infinite, "NaN or infinite"),
        (ConstantEmbedding, "same embedding"),
        (EmbedOnly, "override the latter"),
        (CoarseFirst, "from fine to coarse"),
    ],
)
def test_broken_encoders(encoder, message):
    with pytest.raises(ConformanceError, match=message):
        check_encoder(encoder())


def test_decoders_that_fit_one_encoder_only():
    class Upsample(nn.Module):
        def __init__(self, encoder, out_channels):
            super().__init__()
            self.layer = nn.Conv3d(encoder.channels[0], out_channels, 1)

        def forward(self, features):
            return self.layer(features[0])

    with pytest.raises(ConformanceError, match=r"strides \(2, 8\): expected shape"):
        check_decoder(Upsample)


class Distance(Objective):
    """Conforms: squared distance of two embeddings."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def loss(self, views, step, total_steps):
        first, second = (self.encoder.embed(view.image) for view in views)
        return {"distance": (first - second).square().mean()}


class NoTerms(Distance):
    def loss(self, views, step, total_steps):
        return {}


class NotScalar(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": self.encoder.embed(views[0].image)}


class NotFinite(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": super().loss(views, step, total_steps)["distance"] * math.inf}


class NoGradient(Distance):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.head = nn.Linear(encoder.embedding_dim, 1)

    def loss(self, views, step, total_steps):
        return {"distance": self.head(self.encoder.embed(views[0].image).detach()).mean()}


class MisspeltWeight(Distance):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.weights = {"distanse": 2.0}


class HiddenState(Distance):
    seen = 0

    def loss(self, views, step, total_steps):
        return {"distance": super().loss(views, step, total_steps)["distance"] * (1 + self.seen)}

    def after_step(self, step, total_steps):
        self.seen += 1


class InPlace(Distance):
    def loss(self, views, step, total_steps):
        views[0].image.add_(1)
        return super().loss(views, step, total_steps)


class OwnEncoder(Distance):
    def __init__(self, encoder):
        super().__init__(PyramidEncoder())


def test_a_sound_objective_conforms():
    check_objective(Distance)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (NoTerms, "no named terms"),
        (NotScalar, "not a scalar"),
        (NotFinite, "not finite at batch size 2"),
        (NoGradient, "no finite gradient reaches the encoder"),
        (MisspeltWeight, r"weights names \['distanse'\]"),
        (HiddenState, "restored from its state_dict"),
        (InPlace, "changes the views in place"),
        (OwnEncoder, "not the given encoder"),
    ],
)
def test_broken_objectives(objective, message):
    with pytest.raises(ConformanceError, match=message):
        check_objective(objective)


def test_the_users_random_state_is_left_alone():
    encoder, before = PyramidEncoder(), torch.get_rng_state()
    check_objective(Distance)
    check_encoder(encoder)
    check_decoder(lambda encoder, out_channels: UNetDecoder(UNetOptions(), encoder, out_channels))
    assert torch.equal(before, torch.get_rng_state())
