"""Synthesis of another sequence, and super-resolution: the right values, by hand."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from mribench_tasks.image_targets import truncate_k_space

from mribench.errors import DataError
from mribench.interfaces import TaskRef, TaskVolume
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.seeding import torch_generator
from mribench.testing.samples import make_task_volume


@functools.cache
def registry() -> Registry:
    return load_registry()


def task(name: str, **options: Any) -> Any:
    reference = TaskRef.model_validate({"name": name, **options})
    return registry().resolve(reference, "test", "corrected").make()


def paired() -> TaskVolume:
    volume = make_task_volume(None, None)
    return replace(volume, target=2 * volume.image + 0.5)


def psnr(scores: list[Any]) -> float:
    (value,) = [item.score.value for item in scores if item.metric.id == "psnr:range"]
    return float(value)


def test_a_synthesis_predicts_the_image_itself() -> None:
    made, volume = task("synthesis"), paired()
    seen = []

    def forward(image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return 2 * image[:1] + 0.5

    assert made.target_sequence == "T2w"
    prediction = made.predict(forward, volume, torch_generator("t"))
    assert torch.equal(seen[0], volume.image)
    torch.testing.assert_close(prediction, volume.target[0])
    sample = made.training_sample(volume, 12, torch_generator("s"))
    batch = {"target": sample["target"][None]}
    assert float(made.loss(batch["target"], batch)) == 0
    assert float(made.loss(batch["target"] + 2, batch)) == pytest.approx(4)


def test_a_crop_and_its_target_are_augmented_alike() -> None:
    """Twice the image as target is twice the image in every crop."""
    made, volume = task("synthesis", augment={"offset": 0.0}), paired()
    volume = replace(volume, target=2 * volume.image)
    samples = [made.training_sample(volume, 12, torch_generator("s", seed)) for seed in range(20)]
    for sample in samples:
        torch.testing.assert_close(sample["target"], 2 * sample["image"])
    assert not torch.equal(samples[0]["image"], samples[1]["image"])


def test_the_identity_of_a_synthesis_is_the_input_itself() -> None:
    made, volume = task("synthesis"), paired()
    nothing = made.identity(volume, torch_generator("t"))
    assert torch.equal(nothing, volume.image[0])
    head = volume.foreground
    error = (volume.image[0] - volume.target[0])[head].square().mean()
    wanted = volume.target[0][head]
    expected = 10 * math.log10(float((wanted.max() - wanted.min()) ** 2 / error))
    assert psnr(made.score(nothing, volume)) == pytest.approx(expected, abs=1e-4)


def test_several_channels_are_seen() -> None:
    made, volume = task("synthesis"), paired()
    both = replace(volume, image=torch.cat([volume.image, 3 * volume.image]))
    sample = made.training_sample(both, 12, torch_generator("s"))
    assert sample["image"].shape == (2, 12, 12, 12)
    assert sample["target"].shape == (1, 12, 12, 12)
    prediction = made.predict(lambda image: image[1:] - image[:1] + 0.5, both, torch_generator("t"))
    torch.testing.assert_close(prediction, volume.target[0], rtol=1e-4, atol=1e-4)


def test_a_scan_without_its_target_is_refused() -> None:
    with pytest.raises(DataError, match="subject test:1 has no T2w image beside its sequence scan"):
        task("synthesis").identity(make_task_volume(None, None), torch_generator("t"))


@pytest.mark.parametrize(("waves", "kept"), [(3, True), (4, True), (5, False), (12, False)])
def test_frequencies_above_the_cutoff_are_gone(waves: int, kept: bool) -> None:
    """Of 32 voxels at factor 4 the highest of 16 waves becomes 4."""
    image = torch.cos(2 * math.pi * waves * torch.arange(32) / 32).expand(1, 3, 2, 32).clone()
    coarse = truncate_k_space(image, 4.0, 3)
    torch.testing.assert_close(coarse, image if kept else torch.zeros_like(image), atol=1e-5, rtol=0)


def test_a_super_resolution_gives_back_what_was_lost() -> None:
    made, volume = task("super-resolution", factor=2.0, axis=0), make_task_volume(None, None)
    coarse = truncate_k_space(volume.image, 2.0, 1)
    assert torch.equal(made.identity(volume, torch_generator("t")), coarse[0])
    torch.testing.assert_close(coarse.mean(1), volume.image.mean(1), atol=1e-5, rtol=0)
    sample = made.training_sample(volume, 8, torch_generator("s"))
    assert 0 < float(sample["target"].square().mean()) < float(volume.image.square().mean())
    prediction = made.predict(lambda image: volume.image - image, volume, torch_generator("t"))
    torch.testing.assert_close(prediction, volume.image[0])
    assert psnr(made.score(coarse[0], volume)) < psnr(made.score(prediction, volume))
