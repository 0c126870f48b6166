"""Checks of tasks."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from mribench.errors import MRIBenchError
from mribench.interfaces import (
    Encoder,
    Forward,
    LabelScore,
    Probe,
    SetMetric,
    SubjectTask,
    Task,
    TaskVolume,
    TrainingSubject,
)
from mribench.seeding import torch_generator
from mribench.testing.probes import check_probe
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
    """Check a task: label map, training samples, loss, prediction, scores, identity; targets and probe.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(task, Task), f"expected a Task, got {type(task).__name__}")
    require(len(task.metrics) > 0, "task: 'metrics' is empty")
    if isinstance(task, SubjectTask):
        _check_subject_task(task)
        return
    for metric in task.metrics:
        require(
            not isinstance(metric, SetMetric),
            f"task: '{getattr(metric, 'id', metric)}' in 'metrics' is a metric of a whole set of subjects; "
            "only a SubjectTask is scored by those",
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
            _check_a_job(task, task, encoder, head, volume)


def _check_subject_task(task: SubjectTask) -> None:
    """Check what is said of targets, then the probe, or the head and its training."""
    asked = "classes" if task.classes else "numbers"
    for metric in task.metrics:
        fits = isinstance(metric, SetMetric) and metric.of == asked
        name = getattr(metric, "id", metric)
        require(fits, f"task: '{name}' in 'metrics' is no SetMetric of {asked}, which the task predicts")
    require(bool(task.target_name), "task: 'target_name' is empty")
    require(len(task.covariates) > 0, "task: 'covariates' is empty, and a target is made from them")
    people = _check_targets(task)
    if task.build_probe() is not None:
        _check_own_probe(task)
        return
    volume = replace(make_task_volume(None, None), covariates=dict(people[0].covariates))
    untold = copy.deepcopy(task)
    task.learn_from(people)
    for patch_vox in _PATCHES_VOX:
        _check_samples(task, volume, patch_vox)
    for kind in (PyramidEncoder, ClassTokenEncoder):
        with isolate_randomness():
            encoder = kind()
            head = task.build_head(encoder)
            require(isinstance(head, nn.Module), "task: build_head() does not return a module")
            _check_loss(task, encoder, head, volume)
            _check_subject_prediction(task, untold, encoder, head, volume)
            _check_a_job(task, untold, encoder, head, volume)


def _check_targets(task: SubjectTask) -> list[TrainingSubject]:
    """Return the task's examples as training subjects."""
    examples = [dict(covariates) for covariates in task.example_covariates()]
    lacking = [name for name in task.covariates for example in examples if name not in example]
    require(not lacking, f"task: example_covariates() lacks {', '.join(dict.fromkeys(lacking))}")
    people = []
    for number, covariates in enumerate(examples):
        target = task.target(covariates)
        require(covariates == task.example_covariates()[number], "task: target() changes the covariates")
        if target is None:
            raise ConformanceError("task: target() of an example is None, expected somebody it is about")
        require(math.isfinite(target), f"task: target() is {target}, expected a finite number")
        known = not task.classes or target in range(len(task.classes))
        require(known, f"task: target() is {target}, expected the number of a class")
        people.append(TrainingSubject(f"test:{number}", target, covariates))
    require(
        len({person.target for person in people}) > 1,
        "task: example_covariates() have one target alone, expected two or more; override it",
    )
    return people


def _check_own_probe(task: SubjectTask) -> None:
    def make(n_classes: int) -> Probe:
        del n_classes
        probe = task.build_probe()
        if probe is None:
            raise ConformanceError("task: build_probe() gives a probe once, and None another time")
        return probe

    require(make(0) is not make(0), "task: build_probe() gives the same probe twice, expected a new one")
    check_probe(make, (len(task.classes),))


def _check_subject_prediction(
    task: SubjectTask, untold: SubjectTask, encoder: Encoder, head: nn.Module, volume: TaskVolume
) -> None:
    """Predict by the task that was told of training subjects, and by one that has their head alone."""
    fresh = untold.build_head(encoder)
    fresh.load_state_dict(head.state_dict())
    first, again = (
        _predict_subject(one, _make_forward(one, encoder, built), volume)
        for one, built in ((task, head), (untold, fresh))
    )
    shape = (len(task.classes) or 1,)
    require(tuple(first.shape) == shape, f"task: predict() gives {tuple(first.shape)}, expected {shape}")
    if task.classes:
        sums = bool((first >= 0).all()) and math.isclose(float(first.sum()), 1, abs_tol=1e-4)
        require(sums, "task: predict() gives no probabilities of the classes")
    require(
        torch.equal(first, again),
        "task: a new one that was not told of training subjects predicts something else with the same head;"
        " what it needs of them is to be a buffer of the head",
    )


def _predict_subject(task: SubjectTask, forward: Forward, volume: TaskVolume) -> Tensor:
    with torch.no_grad():
        return require_no_global_randomness(
            lambda: task.predict(forward, volume, torch_generator("conformance", "test")), "task: predict()"
        )


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


def _check_a_job(task: Task, untold: Task, encoder: Encoder, head: nn.Module, volume: TaskVolume) -> None:
    """Train the head for a step in channels-last memory; a new one with its weights predicts the same."""
    image = task.training_sample(volume, 16, torch_generator("conformance", "job"))["image"][None]
    with torch.no_grad():
        features = encoder.feature_maps(image) if task.dense else encoder.embed(image)
    trained, fresh = use_channels_last(head), use_channels_last(untold.build_head(encoder))
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
