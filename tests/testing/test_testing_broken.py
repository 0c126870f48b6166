"""Deliberately broken entries: every check finds them and says in one sentence what is wrong."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import nn

from mribench.data.volumes import Volume
from mribench.interfaces import (
    Dataset,
    Entry,
    LabelScore,
    Metric,
    MRISequence,
    Objective,
    Options,
    Scan,
    Score,
    SetMetric,
    Subject,
    Task,
    View,
    ViewGenerator,
)
from mribench.testing import (
    ClassTokenEncoder,
    ConformanceError,
    PyramidEncoder,
    check_dataset,
    check_decoder,
    check_encoder,
    check_entry,
    check_metric,
    check_objective,
    check_sequence,
    check_set_metric,
    check_task,
    check_views,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


# ---------------------------------------------------------------------------------------- encoders


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

    with pytest.raises(
        ConformanceError, match=r"strides \(1, 2, 4\): no gradient|strides \(2, 8\): expected"
    ):
        check_decoder(Upsample)


# -------------------------------------------------------------------------------------- objectives


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
    weights = {"distanse": 2.0}


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


# ------------------------------------------------------------------------------- views, sequences


class NoisyViews(ViewGenerator):
    """Conforms: the middle of the map plus noise."""

    needs = ("PD",)

    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        views = []
        for request in requests:
            edge = round(patch_vox * request.patch_scale)
            clean = maps["PD"][:, None, :edge, :edge, :edge] / 100
            noise = torch.stack([self.noise((1, edge, edge, edge), generator) for generator in generators])
            count = len(generators)
            views.append(View(clean + noise, clean, request.role, ["x"] * count, [{} for _ in range(count)]))
        return views

    def noise(self, shape, generator):
        return torch.randn(shape, generator=generator)


class GlobalNoise(NoisyViews):
    def noise(self, shape, generator):
        return torch.randn(shape)


class NoNoise(NoisyViews):
    def noise(self, shape, generator):
        return torch.zeros(shape)


class OneStream(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        return super().views(maps, requests, patch_vox, spacing_mm, [generators[0]] * len(generators))


class OneSize(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        full = [dataclasses.replace(request, patch_scale=1.0) for request in requests]
        return super().views(maps, full, patch_vox, spacing_mm, generators)


class ChangesMaps(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        maps["PD"].mul_(2)
        return super().views(maps, requests, patch_vox, spacing_mm, generators)


class LosesRole(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        views = super().views(maps, requests, patch_vox, spacing_mm, generators)
        return [dataclasses.replace(view, role="global") for view in views]


def test_a_sound_view_generator_conforms():
    check_views(NoisyViews())


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (GlobalNoise, "global random state"),
        (NoNoise, "nothing is random"),
        (OneStream, "depends on the other samples"),
        (OneSize, "image of a local view: expected shape"),
        (ChangesMaps, "in place"),
        (LosesRole, "role 'global' where 'local'"),
    ],
)
def test_broken_views(views, message):
    with pytest.raises(ConformanceError, match=message):
        check_views(views())


class Decay(MRISequence):
    name = family = "decay"

    def draw(self, generator):
        return {"te_s": 0.01 + 0.05 * float(torch.rand(1, generator=generator))}

    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return receive * maps["PD"] * torch.exp(-parameters["te_s"] * maps["R2s"])


class Impossible(Decay):
    def invalid(self, parameters):
        return "te_s is never short enough"


class Normalised(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        signal = super().signal(maps, parameters)
        return signal / signal.max()


class DividesByZero(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return maps["PD"] / maps["R1"]


def test_a_sound_sequence_conforms():
    check_sequence(Decay())


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (Impossible, "never short enough"),
        (Normalised, "depends on the other samples"),
        (DividesByZero, "NaN or infinite"),
    ],
)
def test_broken_sequences(sequence, message):
    with pytest.raises(ConformanceError, match=message):
        check_sequence(sequence())


# ----------------------------------------------------------------------------------------- metrics


class Overlap(Metric):
    """Conforms: intersection over union."""

    id, value_range, on_empty = "iou", (0.0, 1.0), "0 when one mask is empty, left out when both are"

    def score(self, prediction, target, spacing_mm, mask=None):
        from mribench.errors import DataError

        if prediction.shape != target.shape or prediction.dtype != bool:
            raise DataError("expected two masks")
        empty = prediction.any(), target.any()
        if empty == (False, False):
            return Score(math.nan, "both-empty")
        status = {(False, True): "pred-empty", (True, False): "ref-empty"}.get(empty, "ok")
        return Score(float((prediction & target).sum() / (prediction | target).sum()), status, 0.0)


class EmptyIsPerfect(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        if not prediction.any() and not target.any():
            return Score(1.0, "ok", 1.0)
        return super().score(prediction, target, spacing_mm)


class DropsEmpty(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value, found.status)


class IgnoresSpacingOrder(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value ** spacing_mm[0], found.status, found.penalty)


class Percent(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(100 * found.value, found.status, found.penalty)


class Crashes(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape:
            prediction & target
        return super().score(prediction, target, spacing_mm)


def test_a_sound_metric_conforms():
    check_metric(Overlap())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (EmptyIsPerfect, "status 'ok' where it is 'both-empty'"),
        (DropsEmpty, "so that the row counts"),
        (IgnoresSpacingOrder, "turning the volume"),
        (Percent, "a perfect prediction scores 100"),
        (Crashes, "end in ValueError"),
    ],
)
def test_broken_metrics(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric())


class Error(Metric):
    """Conforms: mean absolute error of images."""

    id, higher_is_better = "mae", False

    def score(self, prediction, target, spacing_mm, mask=None):
        from mribench.errors import DataError

        if prediction.shape != target.shape or not np.isfinite(prediction).all():
            raise DataError("expected two finite images of one shape")
        return Score(float(np.abs(prediction - target).mean()))


class WrongDirection(Error):
    value_range, higher_is_better = (-math.inf, 0.0), True


def test_image_metrics():
    check_metric(Error())
    with pytest.raises(ConformanceError, match="more noise scores better"):
        check_metric(WrongDirection())


def test_set_metrics():
    class Agreement(SetMetric):
        id = "agreement"

        def score_set(self, predictions, targets):
            return Score(float(np.mean([predictions[name] == targets[name] for name in targets])))

    class Disagreement(Agreement):
        higher_is_better = False

    check_set_metric(Agreement())
    with pytest.raises(ConformanceError, match="a perfect prediction scores 1"):
        check_set_metric(Disagreement())


# ------------------------------------------------------------------------------------------- tasks


class Copy(Task):
    """Conforms: gives the image back."""

    def __init__(self):
        self.metrics = [Error()]

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
        return [LabelScore("image", Error(), Score(0.0))]


class IdentityOfAnotherShape(Copy):
    def identity(self, volume, generator):
        return volume.image


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
        (IdentityOfAnotherShape, "another shape than a prediction"),
    ],
)
def test_broken_tasks(task, message):
    with pytest.raises(ConformanceError, match=message):
        check_task(task())


# ---------------------------------------------------------------------------------------- datasets


class Cohort(Dataset):
    """Conforms: two subjects, one image each, from memory."""

    def __init__(self, folder: Path):
        self.file = folder / "image.nii"
        self.file.touch()

    def subject(self, name: str, **changes) -> Subject:
        scan = Scan("T1w", {"image": self.file}, labels={"lesion": (self.file,)})
        return dataclasses.replace(Subject("toy", name, "here", (scan,)), **changes)

    def missing(self):
        return ""

    def subjects(self):
        return [self.subject("a"), self.subject("b")]

    def check_scan(self, scan):
        return ""

    def read_images(self, scan):
        return {"image": Volume(np.ones((2, 3, 4)), np.eye(4))}

    def read_labels(self, scan, label):
        return Volume(np.ones((1, 2, 3, 4)), np.eye(4))


class Absent(Cohort):
    def missing(self):
        return "no such folder"


class Unsorted(Cohort):
    def subjects(self):
        return super().subjects()[::-1]


class Twice(Cohort):
    def subjects(self):
        return [self.subject("a"), self.subject("a")]


class NoScan(Cohort):
    def subjects(self):
        return [self.subject("a", scans=())]


class NoFile(Cohort):
    def subjects(self):
        return [self.subject("a", scans=(Scan("T1w", {"image": self.file.with_name("absent.nii")}),))]


class LabelNumbers(Cohort):
    def read_labels(self, scan, label):
        return Volume(np.full((1, 2, 3, 4), 3), np.eye(4))


class NotANumber(Cohort):
    def read_images(self, scan):
        return {"image": Volume(np.full((2, 3, 4), np.nan), np.eye(4))}


def test_a_sound_dataset_conforms(tmp_path):
    check_dataset(Cohort(tmp_path))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Absent, "no such folder"),
        (Unsorted, "not sorted"),
        (Twice, r"there twice: \['toy:a'\]"),
        (NoScan, "toy:a has no scan"),
        (NoFile, "absent.nii"),
        (LabelNumbers, "not in 0..1"),
        (NotANumber, "not finite"),
    ],
)
def test_broken_datasets(dataset, message, tmp_path):
    with pytest.raises(ConformanceError, match=message):
        check_dataset(dataset(tmp_path))


# ----------------------------------------------------------------------------------------- entries


class Described(Options):
    scale: float = Field(1.0, description="a number")


class Undescribed(Options):
    scale: float = 1.0


def objective_entry(**changes) -> Entry:
    entry = Entry("objective", "distance", lambda options, encoder: Distance(encoder), Described, "distance")
    return dataclasses.replace(entry, **changes)


def test_a_sound_entry_conforms():
    check_entry(objective_entry())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My_Objective"}, "lower case with hyphens"),
        ({"summary": ""}, "no summary"),
        ({"options": Undescribed}, "option 'scale' has no description"),
        ({"factory": lambda options, encoder: NoTerms(encoder)}, "no named terms"),
        ({"kind": "metric", "factory": lambda options: Overlap()}, "its id is 'iou'"),
        ({"kind": "task", "factory": lambda options: Overlap()}, "expected a Task, got Overlap"),
    ],
)
def test_broken_entries(changes, message):
    with pytest.raises(ConformanceError, match=message):
        check_entry(objective_entry(**changes))


def test_the_users_random_state_is_left_alone():
    before = torch.get_rng_state()
    check_objective(Distance)
    check_encoder(PyramidEncoder())
    check_views(NoisyViews())
    check_task(Copy())
    assert torch.equal(before, torch.get_rng_state())
