"""Deliberately broken tasks: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mribench.interfaces import (
    LabelScore,
    Metric,
    Score,
    SetMetric,
    SetScore,
    Task,
)
from mribench.testing import (
    ConformanceError,
    check_task,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Deviation(Metric):
    """Conforms: mean absolute error of images."""

    id, higher_is_better = "mae", False

    def score(self, prediction, target, spacing_mm, mask=None):
        from mribench.errors import DataError

        if prediction.shape != target.shape or not np.isfinite(prediction).all():
            raise DataError("expected two finite images of one shape")
        return Score(float(np.abs(prediction - target).mean()))


class Copy(Task):
    """Conforms: gives the image back."""

    def __init__(self):
        self.metrics = [Deviation()]

    def build_head(self, encoder):
        return _Head(encoder)

    def training_sample(self, volume, patch_vox, generator):
        image = volume.image[:, :1, :1, :1].expand(1, patch_vox, patch_vox, patch_vox)
        return {"image": image + torch.randn(image.shape, generator=generator)}

    def loss(self, output, batch):
        return (output - batch["image"]).square().mean()

    def predict(self, forward, volume, generator):
        return forward(volume.image)[0]

    def score(self, prediction, volume):
        found = self.metrics[0].score(prediction.numpy(), volume.image[0].numpy(), (1, 1, 1))
        return [LabelScore("image", self.metrics[0], found)]


class _Head(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.up = nn.ConvTranspose3d(encoder.channels[-1], 1, encoder.strides[-1], encoder.strides[-1])

    def forward(self, features):
        return self.up(features[-1])


class WrongPatch(Copy):
    def training_sample(self, volume, patch_vox, generator):
        return super().training_sample(volume, min(patch_vox, 24), generator)


class GlobalSample(Copy):
    def training_sample(self, volume, patch_vox, generator):
        return super().training_sample(volume, patch_vox, torch.default_generator)


class RandomTest(Copy):
    def predict(self, forward, volume, generator):
        return super().predict(forward, volume, generator) + torch.rand(())


class LossOfTheInput(Copy):
    def loss(self, output, batch):
        return batch["image"].square().mean().requires_grad_()


class ScoresTwice(Copy):
    def score(self, prediction, volume):
        return 2 * super().score(prediction, volume)


class StrangeMetric(Copy):
    def score(self, prediction, volume):
        return [LabelScore("image", Deviation(), Score(0.0))]


class IdentityOfAnotherShape(Copy):
    def identity(self, volume, generator):
        return volume.image


class Agreement(SetMetric):
    id = "agreement"
    of = "numbers"

    def score_set(self, predictions, targets):
        return SetScore(0.5, np.full(len(targets), 0.5))


class ScoredOverTheSet(Copy):
    def __init__(self):
        self.metrics = [Deviation(), Agreement()]


class _Counting(_Head):
    """Its output depends on how often it was trained, which no state dict has."""

    trained = 0

    def forward(self, maps):
        self.trained += self.training
        return super().forward(maps) * (1 + self.trained)


class CountingHead(Copy):
    def build_head(self, encoder):
        return _Counting(encoder)


class OtherHeads(Copy):
    """Builds another head each time."""

    built = 0

    def build_head(self, encoder):
        self.built += 1
        head = super().build_head(encoder)
        head.extra = nn.Linear(1, self.built)
        return head


class SpreadOfBatch(Copy):
    """Not a number for a batch of one."""

    def loss(self, output, batch):
        return super().loss(output, batch) / (len(output) - 1)


def test_a_sound_task_conforms():
    check_task(Copy())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (WrongPatch, r"expected shape \(1, 40, 40, 40\)"),
        (GlobalSample, "global random state"),
        (RandomTest, "global random state"),
        (LossOfTheInput, "reaches the head"),
        (ScoresTwice, "scored twice"),
        (StrangeMetric, "not in 'metrics'"),
        (ScoredOverTheSet, "'agreement' in 'metrics' is a metric of a whole set of subjects"),
        (CountingHead, "task: head: restored from its state_dict"),
        (OtherHeads, "task: head: its weights do not fit a new one"),
        (SpreadOfBatch, "task: loss of a batch of 1: has values that are NaN or infinite"),
        (IdentityOfAnotherShape, "another shape than a prediction"),
    ],
)
def test_broken_tasks(task, message):
    with pytest.raises(ConformanceError, match=message):
        check_task(task())
