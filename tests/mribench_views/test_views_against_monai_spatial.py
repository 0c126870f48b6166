"""Deformation, affine map, flips, crop against MONAI's: equal in distribution, within sampling error.

The paper's code augments with MONAI. ``agree`` asks that the means of a statistic over many draws differ by
less than 4 standard errors, and that the draws are enough for a factor of 1.2 to be found.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from monai import transforms as mt
from numpy.typing import ArrayLike
from scipy import stats
from support_monai import Array, agree, coordinates, draws, plainly, released, same_distribution, transform

from mribench.augmentation import apply

FILTER_VOX = 1.5
SIGMA_VOX = math.sqrt(FILTER_VOX**2 + 1 / 12)
"""Rand3DElastic's filter integrates its Gaussian over each voxel, which widens it."""
MAGNITUDE = 12.0


# Elastic deformation


@pytest.fixture(scope="module")
def displacements() -> tuple[Array, Array]:
    """Displacements (voxels) of ours and of Rand3DElastic, ``(draws, 3, 24, 24, 24)``, far from borders."""
    edge, margin, count = 40, 8, 16
    torch.set_num_threads(2)  # one thread takes a slow path in Rand3DElastic's filter
    place = coordinates(edge)
    elastic = transform(
        "Rand3DElastic", sigma_range=(FILTER_VOX,) * 2, magnitude_range=(MAGNITUDE,) * 2, prob=1,
        padding_mode="border",
    )  # fmt: skip
    theirs = np.stack([plainly(elastic(place.clone())) for _ in range(count)]) - place.numpy()
    sd_mm = displacement_sd_vox(SIGMA_VOX, MAGNITUDE)
    still = {"rotation_deg": 0.0, "shear": 0.0, "flip_probability": 0.0, "elastic_probability": 1.0}
    elastic_options = {"elastic_sd_mm": (sd_mm, sd_mm), "elastic_spacing_mm": math.sqrt(3) * SIGMA_VOX}
    made = draws({**still, **elastic_options}, count, edge, edge, 1.0)
    shown = [
        apply.resample(place[:, None], [one] * 3, edge, math.sqrt(3) * SIGMA_VOX).squeeze(1) for one in made
    ]
    inner = slice(margin, edge - margin)
    ours = torch.stack(shown).double().numpy() - place.numpy()
    return ours[..., inner, inner, inner], theirs[..., inner, inner, inner]


def displacement_sd_vox(sigma_vox: ArrayLike, magnitude: ArrayLike) -> Any:
    """White noise of standard deviation M/√3 after a Gaussian filter: M/√3 · (2 √π σ)^(-3/2)."""
    return np.asarray(magnitude) / math.sqrt(3) * (2 * math.sqrt(math.pi) * np.asarray(sigma_vox)) ** -1.5


def test_elastic_displacements_are_as_large(displacements: tuple[Array, Array]) -> None:
    ours, theirs = (field.std(axis=(1, 2, 3, 4)) for field in displacements)
    agree(ours, theirs)
    assert theirs.mean() == pytest.approx(displacement_sd_vox(SIGMA_VOX, MAGNITUDE), rel=0.04)


def test_elastic_displacements_are_as_smooth(displacements: tuple[Array, Array]) -> None:
    """Autocorrelation: that of a Gaussian filter is exp(-d²/4σ²); 0.37 at 2 σ, 0.50 were it 1.2 times wider.

    More than 10 000 independent values, so a standard error of 0.01 at most.
    """
    for lag in (1, 2, 3, 4):
        found = [
            (field[..., lag:, :, :] * field[..., :-lag, :, :]).mean() / field.var() for field in displacements
        ]
        expected = math.exp(-(lag**2) / (4 * SIGMA_VOX**2))
        assert found == pytest.approx([expected] * 2, abs=0.05), lag


def test_elastic_displacements_have_the_same_spectrum(displacements: tuple[Array, Array]) -> None:
    """Share of the power below 0.12 cycles per voxel, under a Hann window; of a Gaussian filter 0.53.

    Smoothing 1.2 times as wide would put 0.17 more below it, so 8 standard errors must be less.
    """
    n = displacements[0].shape[-1]
    window = np.hanning(n)[:, None, None] * np.hanning(n)[:, None] * np.hanning(n)
    squared = np.fft.fftfreq(n) ** 2
    low = np.sqrt(squared[:, None, None] + squared[:, None] + squared) < 0.12
    shares = []
    for field in displacements:
        power = (np.abs(np.fft.fftn(field * window, axes=(2, 3, 4))) ** 2).sum(axis=1)
        shares.append(power[:, low].sum(axis=1) / power.sum(axis=(1, 2, 3)))
    error = math.hypot(*(stats.sem(share) for share in shares))
    assert 8 * error < 0.17
    assert abs(shares[0].mean() - shares[1].mean()) < 4 * error


def test_released_elastic_setting_can_be_asked_for() -> None:
    """Rand3DElastic(sigma 5-7, magnitude 50-150) at 1 mm: mean and spread of the displacement's size."""
    unit = (np.arange(400) + 0.5) / 400
    sd_vox = displacement_sd_vox(5 + 2 * unit[:, None], 50 + 100 * unit)
    assert (sd_vox.min(), sd_vox.max()) == pytest.approx((0.234, 1.158), abs=0.003)
    options = released()
    low, high = options["elastic_sd_mm"]
    assert (low + high) / 2 == pytest.approx(sd_vox.mean(), rel=0.02)
    assert (high - low) / math.sqrt(12) == pytest.approx(sd_vox.std(), rel=0.02)
    assert options["elastic_spacing_mm"] == pytest.approx(math.sqrt(3) * 6, rel=0.01)
    assert options["elastic_probability"] == 0.8


# Affine map, flips, crop


def affine_options(**changes: float) -> dict[str, Any]:
    return {"rotation_deg": 15.0, "shear": 0.1, "scale": 0.15, "flip_probability": 0.0, **changes}


def same_map_in_monai(drawn: dict[str, Any]) -> Any:
    return mt.Affine(
        rotate_params=[math.radians(angle) for angle in drawn["rotation_deg"]],
        shear_params=drawn["shear"], scale_params=drawn["scale"], padding_mode="border",
    )  # fmt: skip


def test_one_rotation_and_scale_is_monais() -> None:
    """The same numbers give the same image up to rounding."""
    image = torch.rand(1, 20, 20, 20, generator=torch.Generator().manual_seed(1))
    for one in draws({**affine_options(shear=0.0), "elastic_probability": 0.0}, 8, 20, 20, 1.0):
        theirs, _ = same_map_in_monai(one.parameters)(image.clone())
        ours = apply.resample(image[None], [one], 20, 24.0)[0]
        np.testing.assert_allclose(ours.numpy(), plainly(theirs), atol=2e-4)


def test_one_shear_is_monais_to_first_order() -> None:
    """Ours is one matrix of six shears; MONAI multiplies six matrices, which adds products of two."""
    for one in draws({**affine_options(shear=0.012), "elastic_probability": 0.0}, 50, 8, 8, 1.0):
        _, matrix = same_map_in_monai(one.parameters)(torch.zeros(1, 2, 2, 2))
        np.testing.assert_allclose(one.matrix.numpy(), plainly(matrix)[:3, :3], atol=5 * 0.012**2)


def test_affine_maps_are_distributed_as_monais() -> None:
    degrees = math.radians(15.0)
    grid = transform(
        "RandAffineGrid", rotate_range=(degrees,) * 3, shear_range=(0.1,) * 6, scale_range=(0.15,) * 3
    )
    theirs = []
    for _ in range(4000):
        grid(spatial_size=(2, 2, 2))
        theirs.append(plainly(grid.get_transformation_matrix())[:3, :3])
    ours = np.stack([one.matrix.double().numpy() for one in draws(affine_options(), 4000, 8, 8, 1.0)])
    for row, column in np.ndindex(3, 3):
        same_distribution(ours[:, row, column], np.stack(theirs)[:, row, column])
    corner = np.array([48.0, 48.0, 48.0])
    for axis in range(3):  # displacement of a corner of a 96³ view, in voxels
        same_distribution((ours @ corner)[:, axis], (np.stack(theirs) @ corner)[:, axis])


def reflected(image: Any) -> tuple[bool, bool, bool]:
    shown = plainly(image)
    return (shown[0, 0, 0, 0] > 0, shown[1, 0, 0, 0] > 0, shown[2, 0, 0, 0] > 0)


def test_flips_are_distributed_as_randflip() -> None:
    flips = [transform("RandFlip", prob=0.5, spatial_axis=axis) for axis in range(3)]
    for axis, flip in enumerate(flips):
        flip.set_random_state(axis)
    theirs, place = [], coordinates(2)
    for _ in range(1200):
        image = place
        for flip in flips:
            image = flip(image)
        theirs.append(reflected(image))
    made = [one.parameters["flip"] for one in draws({"flip_probability": 0.5}, 1200, 4, 4, 1.0)]
    kinds = list(np.ndindex(2, 2, 2))
    counts = [
        [sum(tuple(map(int, one)) == kind for one in found) for kind in kinds] for found in (made, theirs)
    ]
    assert stats.chi2_contingency(counts).pvalue > 1e-4
    assert min(min(row) for row in counts) > 100


def test_three_randaxisflips_always_mirror_the_head() -> None:
    """Released: three flips of an axis drawn each time, so 1 or 3 axes are flipped, and never 0 or 2."""
    flips = [mt.RandAxisFlip(prob=1.0).set_random_state(seed) for seed in range(3)]
    found = []
    for _ in range(1500):
        image: Any = coordinates(2)
        for flip in flips:
            image = flip(image)
        found.append(reflected(image))
    assert {sum(one) for one in found} == {1, 3}
    error = math.sqrt(0.25 / 1500)
    assert np.mean(found, axis=0) == pytest.approx([13 / 27] * 3, abs=4 * error)
    assert released()["flip_probability"] == pytest.approx(13 / 27, abs=0.002)


def test_crops_are_placed_as_randspatialcrop() -> None:
    """Theirs lie on whole voxels (20 places), ours anywhere between the first and the last."""
    edge, source = 12, 31
    crop = transform("RandSpatialCrop", roi_size=(edge,) * 3, random_size=False)
    place = coordinates(source)
    theirs = np.stack([plainly(crop(place)).mean((1, 2, 3)) for _ in range(600)])
    ours = np.stack([one.parameters["offset_vox"] for one in draws({}, 600, edge, source, 1.0)])
    assert np.abs(ours).max() <= np.abs(theirs).max() == (source - edge) / 2
    for axis in range(3):
        # whole voxels: 1/20 at a step, and 1.95 √(2/600) is passed by chance 1 time in 1000
        assert stats.ks_2samp(ours[:, axis], theirs[:, axis]).statistic < 0.05 + 1.95 * math.sqrt(2 / 600)
        assert ours[:, axis].std() == pytest.approx(theirs[:, axis].std(), rel=0.05 + 0.1)


# The steps in a row


def test_moved_images_have_the_same_moments_and_spectrum() -> None:
    """Deformation, flips and crop of one texture: mean, spread and radial power in two bands."""
    source, edge, count = 40, 28, 32
    texture = torch.nn.functional.avg_pool3d(
        torch.rand(1, source + 4, source + 4, source + 4, generator=torch.Generator().manual_seed(9)), 5, 1
    )
    steps = [
        transform(
            "Rand3DElastic", sigma_range=(FILTER_VOX,) * 2, magnitude_range=(MAGNITUDE,) * 2, prob=1,
            padding_mode="border",
        ),
        *(transform("RandFlip", prob=0.5, spatial_axis=axis) for axis in range(3)),
        transform("RandSpatialCrop", roi_size=(edge,) * 3, random_size=False),
    ]  # fmt: skip
    torch.set_num_threads(2)
    theirs = []
    for _ in range(count):
        image: Any = texture.clone()
        for step in steps:
            image = step(image)
        theirs.append(plainly(image)[0])
    sd_mm, spacing_mm = displacement_sd_vox(SIGMA_VOX, MAGNITUDE), math.sqrt(3) * SIGMA_VOX
    options = {
        "rotation_deg": 0.0, "shear": 0.0, "elastic_probability": 1.0, "elastic_sd_mm": (sd_mm, sd_mm),
        "elastic_spacing_mm": spacing_mm,
    }  # fmt: skip
    made = draws(options, count, edge, source, 1.0)
    ours = apply.resample(texture.expand(count, 1, -1, -1, -1), made, edge, spacing_mm)[:, 0].double().numpy()
    agree(ours.mean(axis=(1, 2, 3)), np.stack(theirs).mean(axis=(1, 2, 3)))
    agree(ours.std(axis=(1, 2, 3)), np.stack(theirs).std(axis=(1, 2, 3)))
    for mine, reference in zip(banded_power(ours), banded_power(np.stack(theirs)), strict=True):
        agree(mine, reference, wrong=1.44)  # 1.2 in amplitude


def banded_power(images: Array) -> list[Array]:
    """Return the power of each image ``(n, I, J, K)`` in bands of radial frequency, under a Hann window."""
    edge = images.shape[-1]
    window = np.hanning(edge)[:, None, None] * np.hanning(edge)[:, None] * np.hanning(edge)
    squared = np.fft.fftfreq(edge) ** 2
    radius = np.sqrt(squared[:, None, None] + squared[:, None] + squared)
    centred = images - images.mean(axis=(1, 2, 3), keepdims=True)
    power = np.abs(np.fft.fftn(centred * window, axes=(1, 2, 3))) ** 2
    edges = (0.1, 0.15, 0.2)
    return [
        power[:, (radius >= low) & (radius < high)].sum(axis=1) for low, high in itertools.pairwise(edges)
    ]
