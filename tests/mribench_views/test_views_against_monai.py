"""Artefacts and z-score against MONAI's, parameters matched: equal in distribution, within sampling error.

The paper's code augments with MONAI. ``agree`` asks that the means of a statistic over many draws differ by
less than 4 standard errors, and that the draws are enough for a factor of 1.2 to be found.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from monai import transforms as mt
from numpy.polynomial.legendre import legval
from scipy import stats
from support_monai import Array, Plain, agree, draws, plainly, released, same_distribution, transform
from torch import Tensor

from mribench.augmentation import apply

# Receive field


def low_order_shares(fields: Array) -> list[float]:
    """Return the share of the variance within views that polynomials up to degree 1, 2, 3 explain."""
    edge = fields.shape[-1]
    axis = np.linspace(-1, 1, edge)
    orders = [one for one in np.ndindex(4, 4, 4) if sum(one) <= 3]
    basis = np.stack(
        [np.einsum("i,j,k->ijk", *(legval(axis, np.eye(4)[n]) for n in one)).ravel() for one in orders],
        axis=1,
    )
    flat = fields.reshape(len(fields), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    degrees = np.array([sum(one) for one in orders])
    found = []
    for degree in (1, 2, 3):
        orthonormal = np.linalg.qr(basis[:, degrees <= degree])[0]
        found.append(float(((flat @ orthonormal) ** 2).sum() / (flat**2).sum()))
    return found


def test_receive_field_is_as_strong_and_about_as_smooth_as_randbiasfield(plain: Plain) -> None:
    """The families differ: theirs are polynomials of degree 3, ours splines, which hold higher orders too.

    What counts is the spread within a view: the z-score takes a constant factor away.
    """
    edge, spacing_mm, count = 48, 2.0, 200
    options = {name: value for name, value in released().items() if name.startswith("bias")}
    bias = transform("RandBiasField", prob=1, coeff_range=(0.0, 0.3))
    flat = torch.ones(1, edge, edge, edge)
    theirs = np.log(np.stack([plainly(bias(flat.clone()))[0] for _ in range(count)]))
    made = draws(plain(**options), count, edge, edge, spacing_mm)
    ones = flat.expand(count, 1, edge, edge, edge)
    ours = (
        apply.add_artefacts(ones, made, options["bias_spacing_mm"] / spacing_mm)[:, 0].double().log().numpy()
    )
    agree(ours.std(axis=(1, 2, 3)), theirs.std(axis=(1, 2, 3)))
    for mine, reference, tolerance in zip(
        low_order_shares(ours), low_order_shares(theirs), (0.06, 0.06, 0.15), strict=True
    ):
        assert mine == pytest.approx(reference, abs=tolerance)
    # released coefficients are all positive, so every head is brighter at one and the same corner
    assert theirs[:, -1, -1, -1].mean() == pytest.approx(3.0, abs=0.15)
    assert abs(ours[:, -1, -1, -1].mean()) < 4 * ours[:, -1, -1, -1].std() / math.sqrt(count)


# Truncation


def natural_image(edge: int) -> Tensor:
    """Noise whose power falls with the cube of the frequency, as that of heads does; mean 0."""
    frequency = np.abs(np.fft.fftfreq(edge))
    radius = np.sqrt(frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + frequency**2)
    noise = np.fft.fftn(np.random.default_rng(3).normal(size=(edge,) * 3))
    image = np.fft.ifftn(noise * np.maximum(radius, 1 / edge) ** -1.5 * (radius > 0)).real
    return torch.from_numpy(image).float()[None]


def removed(before: Tensor, after: Any) -> float:
    return 1 - float((plainly(after) ** 2).sum() / (plainly(before) ** 2).sum())


@pytest.mark.parametrize("alpha", [0.4, 0.55, 0.7])
def test_truncation_keeps_a_cube_where_gibbsnoise_keeps_a_ball(alpha: float) -> None:
    """On white noise the energy removed is the share of k-space outside; 1 at Nyquist.

    Their radius is (1 - alpha) √2, ours is an edge for each axis. About 4e4 coefficients: errors of 0.005.
    """
    edge, radius = 36, (1 - alpha) * math.sqrt(2)
    white = torch.randn(1, edge, edge, edge, generator=torch.Generator().manual_seed(2))
    theirs = removed(white, mt.GibbsNoise(alpha)(white.clone()))
    assert theirs == pytest.approx(1 - math.pi / 6 * radius**3, abs=0.03)
    side = (math.pi / 6) ** (1 / 3) * radius
    ours = removed(white, apply.truncate_frequencies(white[None], [(side, side, side)])[0])
    rows = 2 * math.floor(side * edge / 2) + 1
    assert ours == pytest.approx(1 - (rows / edge) ** 3, abs=0.015)
    assert ours == pytest.approx(theirs, abs=3 / edge + 0.03)  # a row more or less along each axis


def test_released_truncation_can_be_asked_for(plain: Plain) -> None:
    """Mean and spread of the energy that truncation removes from an image like a head."""
    edge, count = 40, 1500
    image = natural_image(edge)
    alphas = 0.8 * (np.arange(80) + 0.5) / 80
    theirs = np.array([removed(image, mt.GibbsNoise(alpha)(image.clone())) for alpha in alphas])
    options = {name: value for name, value in released().items() if name.startswith("gibbs")}
    ours = np.array([
        removed(image, apply.truncate_frequencies(image[None], [one.gibbs_kept])[0])
        for one in draws(plain(**options), count, 8, 8, 1.0)
    ])  # fmt: skip
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.15)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.15)


# Noise


def test_noise_has_the_moments_of_a_rician_and_of_randriciannoise(plain: Plain) -> None:
    sigma, edge, count = 0.1, 16, 30
    made = draws(plain(noise_probability=1.0, noise_sigma=(sigma, sigma)), count, edge, edge, 1.0)
    noise = transform("RandRicianNoise", prob=1, std=sigma, sample_std=False)
    for level in (0.0, 0.15, 0.6):
        flat = torch.full((1, edge, edge, edge), level)
        theirs = np.stack([plainly(noise(flat.clone())) for _ in range(count)])
        ours = apply.add_artefacts(flat.expand(count, 1, edge, edge, edge), made, 10.0).double().numpy()
        exact = stats.rice(level / sigma, scale=sigma)
        for power in (1, 2):
            agree((ours**power).mean(axis=(1, 2, 3, 4)), (theirs**power).mean(axis=(1, 2, 3, 4)))
            assert (ours**power).mean() == pytest.approx(exact.moment(power), rel=0.01)
        agree(ours.std(axis=(1, 2, 3, 4)), theirs.std(axis=(1, 2, 3, 4)))
        assert ours.std() == pytest.approx(exact.std(), rel=0.01)


def test_released_noise_levels_can_be_asked_for(plain: Plain) -> None:
    """On an empty image the noise is Rayleigh's: its mean square is 2 sigma²."""
    options = {name: value for name, value in released().items() if name.startswith("noise")}
    noise, empty = transform("RandRicianNoise", prob=1, std=0.2), torch.zeros(1, 12, 12, 12)
    theirs = [math.sqrt((plainly(noise(empty.clone())) ** 2).mean() / 2) for _ in range(1500)]
    made = draws(plain(**options), 1500, 12, 12, 1.0)
    shown = apply.add_artefacts(empty.expand(1500, 1, 12, 12, 12), made, 10.0)
    ours = (shown.double().square().mean(dim=(1, 2, 3, 4)) / 2).sqrt().numpy()
    same_distribution(ours, theirs)


# Cuboids, z-score


def edges_and_fractions(boxes: list[list[tuple[slice, ...]]], edge: int) -> tuple[list[int], list[float]]:
    fractions, mask = [], np.zeros((edge,) * 3, dtype=bool)
    for of_view in boxes:
        mask[...] = False
        for box in of_view:
            mask[box] = True
        fractions.append(np.count_nonzero(mask) / mask.size)
    return [side.stop - side.start for of_view in boxes for box in of_view for side in box], fractions


def test_cuboids_are_as_many_and_as_large_as_randcoarsedropouts() -> None:
    """MONAI lets no hole be smaller than the one before; what a setting says is the size of the first."""
    edge, count = 96, 1200
    options = {name: value for name, value in released().items() if name.startswith("dropout")}
    assert options["dropout_probability"] == 1.0
    holes = transform("RandCoarseDropout", holes=1, max_holes=10, spatial_size=5, max_spatial_size=24, prob=1)
    one_hole = transform("RandCoarseDropout", holes=1, spatial_size=5, max_spatial_size=24, prob=1)
    grown, meant = [], []
    for _ in range(count):
        holes.randomize((edge,) * 3)
        grown.append([hole[1:] for hole in holes.hole_coords])
        meant.append([])
        for _ in grown[-1]:
            one_hole.randomize((edge,) * 3)
            meant[-1].append(one_hole.hole_coords[0][1:])
    made = [
        [tuple(slice(*side) for side in box) for box in one.cuboids_vox]
        for one in draws(options, count, edge, edge, 1.0)
    ]
    counts = [np.bincount([len(of_view) for of_view in found], minlength=11)[1:] for found in (made, grown)]
    assert stats.chi2_contingency(np.stack(counts)).pvalue > 1e-4
    (sides, ours), (meant_sides, theirs) = edges_and_fractions(made, edge), edges_and_fractions(meant, edge)
    tally = [np.bincount(found, minlength=25)[5:] for found in (sides, meant_sides)]
    assert [len(row) for row in tally] == [20, 20]  # 5 to 24 voxels, no more
    assert stats.chi2_contingency(np.stack(tally)).pvalue > 1e-4
    agree(ours, theirs)
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.1)  # 4 standard errors are 8 %

    grown_sides, grown_fractions = edges_and_fractions(grown, edge)
    assert np.mean(grown_sides) == pytest.approx(20.9, abs=0.3)  # 14.5 is meant
    again = draws({**options, **released("growing cuboids")}, count, edge, edge, 1.0)
    boxes = [[tuple(slice(*side) for side in box) for box in one.cuboids_vox] for one in again]
    assert np.mean(edges_and_fractions(boxes, edge)[1]) == pytest.approx(np.mean(grown_fractions), rel=0.1)


def test_cuboids_lie_anywhere_alike() -> None:
    """Where a cuboid of a given size lies is uniform over the places that it fits into."""
    options = {"dropout_probability": 1.0, "dropout_edge": (0.25, 0.25), "dropout_cuboids": (1, 1)}
    ours = [one.cuboids_vox[0][0][0] for one in draws(options, 1500, 16, 16, 1.0)]
    hole = transform("RandCoarseDropout", holes=1, spatial_size=4, prob=1)
    theirs = []
    for _ in range(1500):
        hole.randomize((16, 16, 16))
        theirs.append(hole.hole_coords[0][1].start)
    tally = np.stack([np.bincount(found, minlength=13) for found in (ours, theirs)])
    assert tally.shape == (2, 13)
    assert stats.chi2_contingency(tally).pvalue > 1e-4


def test_z_score_is_normalizeintensity() -> None:
    """Theirs divides by the population's standard deviation, ours by the sample's: 1 in 8000 at 16³."""
    image = 3 + 5 * torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(4))
    ours, _ = apply.standardise(image.clone(), image.clone())
    for sample, shown in zip(image, ours, strict=True):
        theirs = plainly(mt.NormalizeIntensity(channel_wise=True)(sample.clone()))
        np.testing.assert_allclose(shown.numpy(), theirs, rtol=3e-4, atol=1e-5)
