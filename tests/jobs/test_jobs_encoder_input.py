"""From the benchmark's form of an image to the one that an encoder wants."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from mribench.interfaces import InputContract, Intensity, Task
from mribench.interfaces.options import TaskRef
from mribench.jobs.embedding import embed_scan
from mribench.jobs.encoder_input import EncoderInput, resize_whole
from mribench.jobs.model import TaskModel
from mribench.plugins import load_registry
from mribench.testing.samples import make_task_volume

ENDS = [
    letters for order in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*order)
]
ORIENTATIONS = ["".join(letters) for letters in ENDS]


def shown(contract: InputContract, image: torch.Tensor, **known: object) -> torch.Tensor:
    wanted = EncoderInput(contract)
    return wanted.show(image[None], wanted.find_image_levels(image, **known))[0]  # type: ignore[arg-type]


def scaled(image: torch.Tensor, intensity: dict[str, object], **known: object) -> torch.Tensor:
    return shown(InputContract(intensity=Intensity.model_validate(intensity)), image, **known)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 6, 8, 10, generator=torch.Generator().manual_seed(1)) * 2 + 1


def test_nothing_wanted_changes_nothing(image: torch.Tensor) -> None:
    wanted = EncoderInput(None)
    assert wanted.find_image_levels(image) is None
    assert wanted.show(image[None], None).data_ptr() == image.data_ptr()


def test_z_score_over_the_head(image: torch.Tensor) -> None:
    head = torch.zeros(6, 8, 10, dtype=torch.bool)
    head[2:5, 2:6, 3:9] = True
    seen = scaled(image, {"scale": "z-score", "over": "head"}, foreground=head)
    assert seen[0][head].mean().item() == pytest.approx(0, abs=1e-5)
    assert seen[0][head].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    whole = scaled(image, {"scale": "z-score"}, foreground=head)
    assert whole.mean().item() == pytest.approx(0, abs=1e-5)


def test_percentiles_to_a_range(image: torch.Tensor) -> None:
    low, high = np.percentile(image.numpy(), (2, 98))
    expected = (image.numpy() - low) / (high - low) * 2 - 1
    asked = {"scale": "percentiles", "percentiles": (2, 98), "to": (-1, 1)}
    np.testing.assert_allclose(scaled(image, asked).numpy(), expected.clip(-1, 1), atol=1e-5)
    np.testing.assert_allclose(scaled(image, {**asked, "clip": False}).numpy(), expected, atol=1e-5)


def test_minimum_and_maximum(image: torch.Tensor) -> None:
    seen = scaled(image, {"scale": "min-max", "to": (0, 255)})
    assert seen.min().item() == pytest.approx(0, abs=1e-4)
    assert seen.max().item() == pytest.approx(255, abs=1e-3)


def test_a_window_is_in_the_images_own_units(image: torch.Tensor) -> None:
    own = image * 50 + 400  # mean 400 and standard deviation 50 of the image before it was z-scored
    seen = scaled(image, {"scale": "window", "window": (300, 500)}, mean=400.0, sd=50.0)
    np.testing.assert_allclose(seen.numpy(), ((own - 300) / 200).clamp(0, 1).numpy(), atol=1e-5)


def test_an_image_without_contrast_stays_finite() -> None:
    flat = torch.full((1, 4, 4, 4), 3.0)
    for scale in ("z-score", "percentiles", "min-max"):
        assert scaled(flat, {"scale": scale}).isfinite().all()


@pytest.mark.parametrize("letters", ORIENTATIONS)
def test_orientations_are_nibabels(letters: str) -> None:
    image = torch.arange(24.0).view(1, 2, 3, 4)
    seen = shown(InputContract(orientation=letters), image)
    change = ornt_transform(io_orientation(np.eye(4)), axcodes2ornt(tuple(letters)))
    expected = nib.orientations.apply_orientation(image[0].numpy(), change)
    np.testing.assert_array_equal(seen[0].numpy(), expected)
    wanted = EncoderInput(InputContract(orientation=letters))
    back = wanted.turn_back([wanted.show(image[None], None)])
    torch.testing.assert_close(back[0][0], image, rtol=0, atol=0)


def make_model(wanted: InputContract | None) -> TaskModel:
    torch.manual_seed(0)
    encoder = CnnEncoder(CnnOptions(features=(4, 8), dropout=0))
    task: Task = load_registry().resolve(TaskRef(name="denoising"), "test", "corrected").make()
    return TaskModel(encoder, task, frozen=True, seed=0, wanted=wanted).eval()


def test_an_encoder_sees_its_own_form_and_the_task_the_benchmarks() -> None:
    image = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(2))
    wanted = InputContract(
        orientation="LPS", intensity=Intensity(scale="percentiles", percentiles=(1, 99), clip=False)
    )
    model = make_model(wanted)
    levels = torch.stack([model.input.find_image_levels(sample) for sample in image])  # type: ignore[misc]
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    features = model.encoder.feature_maps
    model.encoder.feature_maps = lambda given: seen.append(given) or features(given)  # type: ignore[assignment,func-returns-value]
    output = model(image, levels)
    assert output.shape == image.shape
    gain, offset = levels[0, 0, :2]
    torch.testing.assert_close(seen[0][0], (image[0] * gain + offset).flip((1, 2)))
    expected = model.head([values.flip((2, 3)) for values in features(seen[0])])
    torch.testing.assert_close(output, expected)


def test_a_window_over_a_volume_is_on_the_scale_of_the_whole_volume() -> None:
    volume = make_task_volume(None, None)
    model = make_model(InputContract(intensity=Intensity(scale="min-max")))
    levels = model.input.find_levels(volume)
    inside: list[tuple[float, float]] = []
    features = model.encoder.feature_maps

    def look(image: torch.Tensor) -> list[torch.Tensor]:
        inside.append((image.min().item(), image.max().item()))
        return features(image)

    model.encoder.feature_maps = look  # type: ignore[assignment]
    model.over_volume(volume.image, (8, 8, 8), 0.25, levels)
    lows, highs = zip(*inside, strict=True)
    assert min(lows) == pytest.approx(0, abs=1e-6)
    assert max(highs) == pytest.approx(1, abs=1e-6)
    assert max(lows) > 0.01  # most windows hold neither end


def test_a_whole_scan_is_embedded_once() -> None:
    volume = make_task_volume(None, None)
    encoder = make_model(None).encoder
    wanted = EncoderInput(InputContract(whole_vox=16))
    embedded = embed_scan(encoder, wanted, volume, 8, torch.device("cpu"))
    assert embedded.n_windows == 1
    with torch.no_grad():
        expected = encoder.embed(resize_whole(volume.image, 16)[None])[0]
    torch.testing.assert_close(embedded.values, expected)
    assert embed_scan(encoder, EncoderInput(None), volume, 8, torch.device("cpu")).n_windows > 1


def test_a_whole_scan_keeps_its_proportions() -> None:
    image = torch.zeros(1, 8, 16, 4)
    image[:, 2:6, 4:12, 1:3] = 1
    whole = resize_whole(image, 8)
    assert whole.shape == (1, 8, 8, 8)
    assert whole[0].sum().item() * 8 == pytest.approx(image.sum().item())
    assert resize_whole(image, 32).shape == (1, 32, 32, 32)
    torch.testing.assert_close(resize_whole(image, 16)[:, 4:12, :, 6:10], image)
