"""Denoising: paired noise, the identity's 13.98 dB, what is scored where, learning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mribench_tasks.denoising import DenoisingOptions
from pydantic import ValidationError
from skimage.metrics import peak_signal_noise_ratio

from mribench.interfaces import TaskRef, TaskVolume
from mribench.plugins import load_registry
from mribench.testing import PyramidEncoder


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def make(registry, profile="corrected", **options):
    return registry.resolve(TaskRef.model_validate({"name": "denoising", **options}), "test", profile).make()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scan(edge: int = 32) -> TaskVolume:
    """A z-scored smooth image; the head is its middle."""
    axis = torch.linspace(-3, 3, edge)
    image = (axis[:, None, None].sin() + axis[:, None].cos() + axis)[None]
    foreground = torch.zeros(edge, edge, edge, dtype=torch.bool)
    foreground[4:-4, 4:-4, 4:-4] = True
    return TaskVolume(
        "t:1", "", "T1w", (image - image.mean()) / image.std(), foreground, None, None,
        (1, 1, 1), (1, 1, 1), lambda channels: channels, {},
    )  # fmt: skip


def test_doing_nothing_scores_13_98_db_at_sigma_0_2(registry):
    task, volume = make(registry, "as-released"), scan()
    (found,) = task.score(task.identity(volume, generator()), volume)
    assert (found.label, found.metric.id) == ("image", "psnr:l1:whole")
    assert found.score.value == pytest.approx(-20 * math.log10(0.2), abs=0.1)
    assert found.score.value == pytest.approx(13.98, abs=0.1)


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_noise_has_the_asked_standard_deviation(registry, sigma):
    task, volume = make(registry, sigma=sigma), scan()
    noise = task.identity(volume, generator()) - volume.image[0]
    assert noise.std().item() == pytest.approx(sigma, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=sigma / 30)


def test_every_method_is_tested_on_the_same_noise(registry):
    volume, seen = scan(), []
    for profile, guess in (("corrected", 0.0), ("paper", 1.0)):
        task = make(registry, profile)

        def forward(image, guess=guess):
            seen.append(image.clone())
            return torch.full_like(image, guess)

        torch.manual_seed(int(guess))
        task.predict(forward, volume, generator(3))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0][0], make(registry).identity(volume, generator(3)))


def test_the_predicted_noise_is_subtracted(registry):
    volume, task = scan(), make(registry)
    # the network's output is the noise in units of sigma
    restored = task.predict(lambda noisy: (noisy - volume.image) / 0.2, volume, generator())
    assert restored.shape == volume.image.shape[1:]
    torch.testing.assert_close(restored, volume.image[0], atol=1e-6, rtol=0)
    zero = task.predict(torch.zeros_like, volume, generator())
    assert torch.equal(zero, task.identity(volume, generator()))


def test_half_precision_models_give_single_precision_images(registry):
    restored = make(registry).predict(lambda noisy: torch.zeros_like(noisy).bfloat16(), scan(), generator())
    assert restored.dtype == torch.float32


@pytest.mark.parametrize(
    ("profile", "inside"), [("corrected", True), ("paper", False), ("as-released", False)]
)
def test_scored_inside_the_head_in_corrected_only(registry, profile, inside):
    task, volume = make(registry, profile, metrics=["psnr:range"]), scan()
    noisy = task.identity(volume, generator())
    reference = volume.image[0].numpy().astype(np.float64)
    where = volume.foreground.numpy() if inside else np.ones_like(volume.foreground.numpy())
    expected = peak_signal_noise_ratio(
        reference[where], noisy.numpy().astype(np.float64)[where], data_range=np.ptp(reference[where])
    )
    (found,) = task.score(noisy, volume)
    assert found.metric.id == ("psnr:range" if inside else "psnr:range:whole")
    assert found.score.value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("profile", "default", "both"),
    [
        ("corrected", "psnr:range", ["psnr:l1", "psnr:range"]),
        ("paper", "psnr:range:whole", ["psnr:l1:whole", "psnr:range:whole"]),
        ("as-released", "psnr:l1:whole", ["psnr:l1:whole", "psnr:range:whole"]),
    ],
)
def test_metrics_follow_the_profile(registry, profile, default, both):
    assert [metric.id for metric in make(registry, profile).metrics] == [default]
    asked = make(registry, profile, metrics=["psnr:l1", "psnr:range"])
    assert [metric.id for metric in asked.metrics] == both


@pytest.mark.parametrize(
    ("profile", "defects", "metric"),
    [
        ("corrected", ["unit-peak"], "psnr:l1"),
        ("paper", ["unit-peak"], "psnr:l1:whole"),
        ("paper", [], "psnr:range:whole"),
        ("as-released", [], "psnr:range:whole"),
    ],
)
def test_the_defect_changes_the_peak_and_the_profile_the_voxels(registry, profile, defects, metric):
    (found,) = make(registry, profile, defects=defects).metrics
    assert found.id == metric


def test_a_metric_of_the_whole_volume_is_there_once(registry):
    asked = ["mae:whole", "psnr:range", "psnr:range:whole", "mae"]
    both = [metric.id for metric in make(registry, metrics=asked).metrics]
    assert both == asked
    whole = [metric.id for metric in make(registry, "paper", metrics=asked).metrics]
    assert whole == ["mae:whole", "psnr:range:whole"]


def test_image_minus_target_is_the_clean_crop(registry):
    augment = {"affine_probability": 0, "flip_probability": 0, "gain": 0, "offset": 0}
    volume = scan()
    sample = make(registry, augment=augment).training_sample(volume, 32, generator())
    torch.testing.assert_close(sample["image"] - sample["target"], volume.image, atol=1e-6, rtol=0)
    assert sample["target"].std().item() == pytest.approx(0.2, rel=0.03)


def test_augmentation_leaves_the_noise_alone(registry):
    strong = {"gain": 0.9, "affine_probability": 1.0}
    sample = make(registry, augment=strong).training_sample(scan(), 32, generator(2))
    assert sample["target"].std().item() == pytest.approx(0.2, rel=0.03)


def test_loss_is_the_mean_squared_error(registry):
    output, target = torch.randn(2, 1, 4, 4, 4), torch.randn(2, 1, 4, 4, 4)
    expected = float(np.mean((0.2 * output.numpy() - target.numpy()) ** 2))
    assert make(registry).loss(output, {"target": target}).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sigma", [0, -1, math.inf])
def test_impossible_noise_is_refused(sigma):
    with pytest.raises(ValidationError, match="sigma"):
        DenoisingOptions(sigma=sigma)


def test_a_few_steps_remove_noise(registry):
    task, volume = make(registry), scan()
    encoder = PyramidEncoder((4, 8), (1, 2))
    head = task.build_head(encoder)
    optimiser = torch.optim.Adam([*head.parameters(), *encoder.parameters()], lr=1e-2)
    losses = []
    for step in range(20):
        samples = [task.training_sample(volume, 12, generator(2 * step + i)) for i in (0, 1)]
        batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
        loss = task.loss(head(encoder(batch["image"])), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert np.mean(losses[-3:]) < 0.9 * 0.2**2, "better than predicting no noise at all"
