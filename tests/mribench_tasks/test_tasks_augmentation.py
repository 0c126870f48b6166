"""Crops and their augmentation: geometry against closed forms and scipy, image and label together."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from scipy import ndimage

from mribench.augmentation import CropAugmentOptions, Window, draw_crop

EYE = torch.eye(3, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def crop(image: torch.Tensor, centre_vox, patch_vox: int, matrix: torch.Tensor, labels=False) -> torch.Tensor:
    return Window(image.shape[1:], centre_vox, patch_vox, matrix).cut(image, labels)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def volume(shape=(20, 24, 28)) -> torch.Tensor:
    return torch.randn(1, *shape, generator=generator(1))


def test_without_augmentation_a_crop_is_a_slice():
    image = volume()
    patch = crop(image, (10, 12, 14), 8, EYE)
    assert torch.equal(patch, image[:, 6:14, 8:16, 10:18])


def test_mirroring_moves_no_value():
    image = volume()
    mirrored = EYE.clone()
    mirrored[0, 0] = -1
    patch = crop(image, (10, 12, 14), 9, mirrored)
    assert torch.equal(patch, image[:, 6:15, 8:17, 10:19].flip(1))


@pytest.mark.parametrize("shape", [(5, 24, 28), (3, 4, 5), (1, 8, 8)])
@pytest.mark.parametrize("matrix", [EYE, 1.1 * EYE])
def test_a_small_volume_is_continued_by_its_border(shape, matrix):
    image = volume(shape)
    patch = crop(image, tuple(size // 2 for size in shape), 12, matrix)
    assert patch.shape == (1, 12, 12, 12)
    assert image.min() <= patch.min()
    assert patch.max() <= image.max()
    assert patch[0, 0, 0, 0] == image[0, 0, 0, 0] if max(shape) < 12 else True


def test_a_rotation_by_90_degrees_is_exact():
    image = volume((16, 16, 16))
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    patch = crop(image, (8, 8, 8), 7, turn)
    expected = image[0, 5:12, 5:12, 5:12].numpy()
    offsets = np.arange(-3, 4)
    i, j, k = np.meshgrid(offsets, offsets, offsets, indexing="ij")
    np.testing.assert_allclose(patch[0].numpy(), expected[-j + 3, i + 3, k + 3], atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_any_affine_equals_scipys(seed):
    options = CropAugmentOptions(
        affine_probability=1, rotation_deg=40, scale=0.3, shear=0.2, flip_axes=(0, 1, 2)
    )
    matrix = draw_crop(options, generator(seed)).matrix
    image, centre, edge = volume((30, 26, 28)), (14, 12, 15), 10
    patch = crop(image, centre, edge, matrix)
    offset = np.array(centre) - matrix.numpy() @ np.full(3, edge // 2)
    expected = ndimage.affine_transform(
        image[0].numpy(), matrix.numpy(), offset, output_shape=(edge,) * 3, order=1, mode="nearest"
    )
    np.testing.assert_allclose(patch[0].numpy(), expected, atol=1e-4)


def test_labels_keep_their_type_and_follow_the_image():
    classes = torch.zeros(1, 24, 24, 24, dtype=torch.int64)
    classes[:, 6:18, 8:14, 10:20] = 3
    matrix = draw_crop(CropAugmentOptions(affine_probability=1), generator(3)).matrix
    labels = crop(classes, (12, 12, 12), 20, matrix, labels=True)
    image = crop(classes.float(), (12, 12, 12), 20, matrix)
    assert labels.dtype == torch.int64
    assert set(labels.unique().tolist()) == {0, 3}
    clear = (image < 0.5) | (image > 2.5)
    assert torch.equal(labels[clear], image.round().long()[clear])


def test_angles_are_degrees_about_every_axis():
    options = CropAugmentOptions(affine_probability=1, rotation_deg=15, scale=0, shear=0, flip_probability=0)
    largest = math.radians(15)
    angles = []
    for seed in range(200):
        matrix = draw_crop(options, generator(seed)).matrix
        torch.testing.assert_close(matrix @ matrix.T, EYE)
        assert torch.linalg.det(matrix).item() == pytest.approx(1)
        # R = Rk Rj Ri: read the three angles back
        angles.append(
            [
                math.atan2(matrix[2, 1], matrix[2, 2]),
                math.asin(-float(matrix[2, 0])),
                math.atan2(matrix[1, 0], matrix[0, 0]),
            ]
        )
    extent = np.abs(angles).max(0)
    assert (extent <= largest + 1e-9).all()
    assert (extent > 0.9 * largest).all()
    assert np.abs(np.mean(angles, 0)).max() < 0.15 * largest


def test_amounts_of_zero_change_nothing():
    nothing = CropAugmentOptions(affine_probability=0, flip_probability=0, gain=0, offset=0)
    draw = draw_crop(nothing, generator())
    assert torch.equal(draw.matrix, EYE)
    assert (draw.gain, draw.offset) == (1, 0)


def test_probabilities_are_shares():
    draws = [
        draw_crop(CropAugmentOptions(affine_probability=0.3, flip_probability=0.5), generator(seed))
        for seed in range(600)
    ]
    affine = np.mean([not torch.equal(draw.matrix.abs(), EYE) for draw in draws])
    mirrored = np.mean([torch.linalg.det(draw.matrix).item() < 0 for draw in draws])
    assert affine == pytest.approx(0.3, abs=0.06)
    assert mirrored == pytest.approx(0.5, abs=0.06)
    gains = [draw.gain for draw in draws]
    assert 0.9 <= min(gains) < 0.91
    assert 1.09 < max(gains) <= 1.1


@pytest.mark.parametrize("shape", [(45, 54, 45)])
def test_an_augmented_crop_is_cheap(shape):
    image, matrix = volume(shape), draw_crop(CropAugmentOptions(affine_probability=1), generator()).matrix
    times_s = []
    for _ in range(7):
        start = time.perf_counter()
        crop(image, (22, 27, 22), 32, matrix)
        times_s.append(time.perf_counter() - start)
    assert min(times_s) < 0.02  # about 1 ms on an idle core; the margin is for busy machines
