"""Checks of tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from mribench.errors import MRIBenchError
from mribench.interfaces import Encoder, Forward, LabelScore, SetMetric, Task, TaskVolume
from mribench.seeding import torch_generator
from mribench.testing.problems import (
    ConformanceError,
    has_gradient,
    isolate_randomness,
    require,
    require_no_global_randomness,
    require_restored,
    require_tensor,
    step,
    use_channels_last,
)
from mribench.testing.samples import ClassTokenEncoder, PyramidEncoder, make_task_volume

_PATCHES_VOX = (8, 16, 40)
"""Smaller than the scan, as large as its shortest axis, and larger than all of it."""
_MOST_CHANNELS = 8


def check_task(task: Task) -> None:
    """Check a task: label map, training samples, loss, prediction, scores, identity.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(task, Task), f"expected a Task, got {type(task).__name__}")
    require(len(task.metrics) > 0, "task: 'metrics' is empty")
    for metric in task.metrics:
        require(
            not isinstance(metric, SetMetric),
            f"task: '{getattr(metric, 'id', metric)}' in 'metrics' is a metric of a whole set of subjects; "
            "those are not computed yet",
        )
    volume = _make_volume(task)
    if task.target_sequence is not None:
        volume = replace(volume, target=volume.image.flip(3).square())
    for patch_vox in _PATCHES_VOX:
        _check_samples(task, volume, patch_vox)
    if task.multichannel:
        two = torch.cat([volume.image, volume.image.flip(1)])
        _check_samples(task, replace(volume, image=two), _PATCHES_VOX[1])
    for kind in (PyramidEncoder, ClassTokenEncoder):
        with isolate_randomness():
            encoder = kind()
            head = task.build_head(encoder)
            require(isinstance(head, nn.Module), "task: build_head() does not return a module")
            _check_loss(task, encoder, head, volume)
            _check_prediction(task, _make_forward(task, encoder, head), volume)
            _check_a_job(task, encoder, head, volume)


def _make_volume(task: Task) -> TaskVolume:
    if task.label is None:
        return make_task_volume(None, None)
    tissue = np.zeros((24, 16, 32), np.int64)
    tissue[4:12, 4:12, 4:16], tissue[12:20, 4:12, 4:16], tissue[4:12, 4:12, 16:28] = 1, 2, 3
    for memberships in (*_make_shares(tissue), *_make_numbers(tissue, task)):
        try:
            label = task.label_map(memberships)
        except MRIBenchError:
            continue
        expected = label.shape == tissue.shape and np.issubdtype(label.dtype, np.integer)
        require(expected, f"task: label_map gives {label.dtype} {label.shape}, expected integers (I, J, K)")
        return make_task_volume(memberships, label)
    raise ConformanceError(f"task: label_map refuses 1 to {_MOST_CHANNELS} membership maps (C, I, J, K)")


def _make_shares(tissue: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the shares of one class, two, and so on: ``(C, I, J, K)``."""
    for channels in range(1, _MOST_CHANNELS + 1):
        yield np.stack([tissue % (channels + 1) == 1 + c for c in range(channels)]).astype(np.float32)


def _make_numbers(tissue: np.ndarray, task: Task) -> Iterator[np.ndarray]:
    """Yield a map of the first numbers that the task names, ``(1, I, J, K)``; none where it names none."""
    named = [number for numbers in task.class_numbers.values() for number in numbers]
    if named:
        yield np.array([0, *np.resize(named, 3)], np.float32)[tissue][None]


def _check_samples(task: Task, volume: TaskVolume, patch_vox: int) -> None:
    image = volume.image.clone()
    first, again, other = (
        require_no_global_randomness(
            lambda seed=seed: task.training_sample(  # type: ignore[misc]
                volume, patch_vox, torch_generator("conformance", "crop", seed)
            ),
            "task: training_sample()",
        )
        for seed in (0, 0, 1)
    )
    require("image" in first, f"task: a training sample has no 'image', only {sorted(first)}")
    edges = (patch_vox,) * 3 if task.dense else tuple(first["image"].shape[1:])
    channels = len(volume.image)
    require_tensor(
        first["image"], (channels, *edges), f"task: image of a training sample of {patch_vox} voxels"
    )
    same = set(first) == set(again) and all(torch.equal(first[name], again[name]) for name in first)
    require(same, "task: the same generator gives another training sample")
    require(torch.equal(image, volume.image), "task: training_sample() changes the scan in place")
    differs = any(not torch.equal(first[name], other[name]) for name in first)
    require(differs or not task.dense, "task: other generators give the same training sample")


def _check_loss(task: Task, encoder: Encoder, head: nn.Module, volume: TaskVolume) -> None:
    samples = [
        task.training_sample(volume, 16, torch_generator("conformance", "batch", seed)) for seed in range(2)
    ]
    for size in (2, 1):
        head.zero_grad()
        batch = default_collate(samples[:size])
        loss = task.loss(_make_output(task, encoder, head, batch["image"]), batch)
        require_tensor(loss, (), f"task: loss of a batch of {size}")
        loss.backward()
        require(
            has_gradient(head), f"task: no finite gradient of the loss of a batch of {size} reaches the head"
        )


def _check_a_job(task: Task, encoder: Encoder, head: nn.Module, volume: TaskVolume) -> None:
    """Train the head for a step in channels-last memory; a new one with its weights predicts the same."""
    image = task.training_sample(volume, 16, torch_generator("conformance", "job"))["image"][None]
    with torch.no_grad():
        features = encoder.feature_maps(image) if task.dense else encoder.embed(image)
    trained, fresh = use_channels_last(head), use_channels_last(task.build_head(encoder))
    step(trained, lambda: [trained(features)])
    require_restored(trained, fresh, lambda network: [network.eval()(features)], "task: head", "output")


def _check_prediction(task: Task, forward: Forward, volume: TaskVolume) -> None:
    with torch.no_grad():
        first, again = (
            require_no_global_randomness(
                lambda: task.predict(forward, volume, torch_generator("conformance", "test")),
                "task: predict()",
            )
            for _ in range(2)
        )
    require(torch.equal(first, again), "task: the same generator gives another prediction")
    _check_scores(task, task.score(first, volume))
    if task.has_identity:
        nothing = task.identity(volume, torch_generator("conformance", "test"))
        if nothing is None:
            raise ConformanceError("task: identity() is overridden and gives None")
        require(nothing.shape == first.shape, "task: identity() has another shape than a prediction")
        _check_scores(task, task.score(nothing, volume))


def _check_scores(task: Task, scores: list[LabelScore]) -> None:
    require(len(scores) > 0, "task: score() gives no score")
    for item in scores:
        require(isinstance(item, LabelScore), f"task: score() gives {type(item).__name__}, not LabelScore")
        require(item.metric in task.metrics, f"task: scores by {item.metric.id}, which is not in 'metrics'")
        usable = math.isfinite(item.score.value) or item.score.status != "ok"
        require(usable, f"task: {item.label} {item.metric.id} is {item.score.value} with status ok")
    pairs = [(item.label, item.metric.id) for item in scores]
    require(len(set(pairs)) == len(pairs), f"task: a label is scored twice by one metric: {pairs}")


def _make_output(task: Task, encoder: Encoder, head: nn.Module, images: Tensor) -> Tensor:
    return head(encoder.feature_maps(images) if task.dense else encoder.embed(images))


def _make_forward(task: Task, encoder: Encoder, head: nn.Module) -> Forward:
    def forward(image: Tensor) -> Tensor:
        return _make_output(task, encoder.eval(), head.eval(), image[None])[0]

    return forward
