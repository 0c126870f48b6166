"""Tissue and lesion segmentation: label maps, loss, prediction, scores, learning."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from support_segmentation import blocks, make, one_hot_forward, scan

from mribench.errors import ConfigError, DataError
from mribench.plugins import load_registry
from mribench.testing import PyramidEncoder


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def test_tissue_label_is_the_most_probable_class_with_the_background(registry):
    task = make(registry, "tissue-segmentation")
    memberships = np.zeros((3, 2, 2, 2), np.float32)
    memberships[:, 0, 0, 0] = 0.6, 0.3, 0.1
    memberships[:, 0, 0, 1] = 0.2, 0.7, 0.1
    memberships[:, 0, 1, 0] = 0.1, 0.1, 0.8
    memberships[:, 0, 1, 1] = 0.2, 0.2, 0.1  # background 0.5
    memberships[:, 1, 0, 0] = 0.34, 0.33, 0.33
    label = task.label_map(memberships)
    assert label.dtype == np.int64
    assert label.ravel().tolist() == [1, 2, 3, 0, 1, 0, 0, 0]


def test_tissue_label_maps_agree_with_one_hot_memberships(registry):
    label = blocks(4)
    memberships = np.stack([label == number for number in (1, 2, 3)]).astype(np.float32)
    assert np.array_equal(make(registry, "tissue-segmentation").label_map(memberships), label)


def test_lesion_label_is_above_one_half(registry):
    memberships = np.array([0, 0.5, 0.51, 1], np.float32).reshape(1, 2, 2, 1)
    label = make(registry, "lesion-segmentation").label_map(memberships)
    assert label.dtype == np.int64
    assert label.ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "shape"), [("tissue-segmentation", (1, 4, 4, 4)), ("lesion-segmentation", (4, 4, 4))]
)
def test_labels_of_another_shape_are_refused(registry, name, shape):
    with pytest.raises(DataError, match="expected"):
        make(registry, name).label_map(np.zeros(shape, np.float32))


def by_hand(logits: torch.Tensor, label: torch.Tensor, weight: float = 1.0) -> float:
    """Dice over the foreground classes of each sample, and cross-entropy over all classes, in NumPy."""
    logits, label = logits.double().numpy(), label[:, 0].numpy()
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probability = exponentials / exponentials.sum(1, keepdims=True)
    dice = [
        1 - (2 * (p * (truth == c)).sum() + 1e-5) / (p.sum() + (truth == c).sum() + 1e-5)
        for sample, truth in zip(probability, label, strict=True)
        for c, p in enumerate(sample)
        if c > 0
    ]
    chosen = np.take_along_axis(probability, label[:, None], 1)[:, 0]
    weights = np.where(label > 0, weight, 1.0)
    return float(np.mean(dice) - (weights * np.log(chosen)).sum() / weights.sum())


@pytest.mark.parametrize(("name", "classes"), [("tissue-segmentation", 4), ("lesion-segmentation", 2)])
def test_loss_is_dice_plus_cross_entropy(registry, name, classes):
    logits = torch.randn(2, classes, 6, 7, 8)
    label = torch.randint(classes, (2, 1, 6, 7, 8))
    ours = make(registry, name).loss(logits, {"label": label}).item()
    assert ours == pytest.approx(by_hand(logits, label), rel=1e-5)
    monai = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    assert ours == pytest.approx(monai(logits, label).item(), rel=1e-5)


def test_class_weight_weighs_the_lesion_in_the_cross_entropy(registry):
    logits, label = torch.randn(2, 2, 6, 6, 6), torch.randint(2, (2, 1, 6, 6, 6))
    ours = make(registry, "lesion-segmentation", class_weight=6).loss(logits, {"label": label}).item()
    assert ours == pytest.approx(by_hand(logits, label, weight=6), rel=1e-5)


def test_loss_of_bf16_logits_is_single_precision(registry):
    logits, label = torch.randn(1, 4, 4, 4, 4).bfloat16(), torch.randint(4, (1, 1, 4, 4, 4))
    assert make(registry, "tissue-segmentation").loss(logits, {"label": label}).dtype == torch.float32


def test_default_metrics(registry):
    ids = {
        name: [metric.id for metric in make(registry, name).metrics]
        for name in ("tissue-segmentation", "lesion-segmentation")
    }
    assert ids == {"tissue-segmentation": ["dice"], "lesion-segmentation": ["dice", "hd95:max-directed"]}


def test_a_perfect_prediction_scores_best(registry):
    for name, classes, labels in (
        ("tissue-segmentation", 4, ["GM", "WM", "CSF"]),
        ("lesion-segmentation", 2, ["lesion", "lesion"]),
    ):
        task, label = make(registry, name), blocks(classes)
        volume = scan(label)
        prediction = task.predict(one_hot_forward(label, classes), volume, torch.Generator())
        assert prediction.dtype == torch.int64
        assert np.array_equal(prediction.numpy(), label)
        scores = task.score(prediction, volume)
        assert [item.label for item in scores] == labels
        assert [item.score.value for item in scores] == [
            0.0 if "hd95" in s.metric.id else 1.0 for s in scores
        ]


def test_scores_are_in_mm_of_the_images_own_grid(registry):
    task = make(registry, "lesion-segmentation", metrics=["hd95:max-directed"])
    label, moved = np.zeros((12, 12, 12), np.int64), np.zeros((12, 12, 12), np.int64)
    label[5, 5, 5] = moved[5, 5, 7] = 1
    (found,) = task.score(torch.from_numpy(moved), scan(label))
    assert found.score.value == pytest.approx(2 * 3.0)


def test_prediction_is_resampled_as_probabilities_and_then_decided(registry):
    """On the native grid each voxel sees the mean of two working voxels: 0.9 and 0.2 make class 1."""
    task = make(registry, "lesion-segmentation")
    probability = torch.tensor([0.9, 0.2, 0.3, 0.6]).view(1, 4, 1, 1)
    logits = torch.cat([(1 - probability).log(), probability.log()])
    volume = scan(
        np.zeros((2, 1, 1), np.int64), to_native=lambda channels: (channels[:, ::2] + channels[:, 1::2]) / 2
    )
    assert task.predict(lambda _image: logits, volume, torch.Generator()).ravel().tolist() == [1, 0]


def test_an_empty_prediction_is_a_status_and_not_a_gap(registry):
    scores = make(registry, "lesion-segmentation").score(torch.zeros(16, 16, 16).long(), scan(blocks(2)))
    assert [item.score.status for item in scores] == ["pred-empty", "pred-empty"]
    assert scores[1].score.penalty == pytest.approx(math.hypot(16, 32, 48))


@pytest.mark.parametrize("name", ["tissue-segmentation", "lesion-segmentation"])
def test_a_scan_without_label_is_named(registry, name):
    task, volume = make(registry, name), dataclasses.replace(scan(blocks(2)), label=None, native_label=None)
    with pytest.raises(DataError, match="t:1, T1w: no reference label"):
        task.training_sample(volume, 8, torch.Generator())
    with pytest.raises(DataError, match="no reference label"):
        task.score(torch.zeros(16, 16, 16), volume)


def test_doing_nothing_is_not_defined(registry):
    assert not make(registry, "tissue-segmentation").has_identity


def test_a_misspelt_augmentation_is_named(registry):
    with pytest.raises(ConfigError, match="rotation_degrees"):
        make(registry, "tissue-segmentation", augment={"rotation_degrees": 3})


@pytest.mark.parametrize(("name", "classes"), [("tissue-segmentation", 4), ("lesion-segmentation", 2)])
def test_a_few_steps_on_one_scan_are_learned(registry, name, classes):
    task, volume = make(registry, name), scan(blocks(classes))
    encoder = PyramidEncoder((4, 8), (1, 2))
    head = task.build_head(encoder)
    optimiser = torch.optim.Adam(head.parameters(), lr=2e-2)
    losses = []
    for step in range(40):
        samples = [
            task.training_sample(volume, 12, torch.Generator().manual_seed(2 * step + i)) for i in (0, 1)
        ]
        batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
        loss = task.loss(head(encoder(batch["image"])), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
