"""Surface elements: areas against MONAI's table, closed forms, the whole by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.utils import get_code_to_measure_table
from mribench_tasks.metrics import HD95Surfel
from mribench_tasks.metrics.contours import CORNERS, areas_mm2
from mribench_tasks.metrics.surfel import _reached, neighbourhoods
from scipy.spatial.distance import cdist

SPACINGS = [(1.0, 1.0, 1.0), (1.0, 2.0, 3.0), (0.5, 0.8, 5.0), (3.0, 1.0, 0.7)]
masks = arrays(np.bool_, (5, 4, 6), elements=st.booleans())


def bits(code: int) -> np.ndarray:
    cube = np.zeros((2, 2, 2), dtype=bool)
    for bit, corner in enumerate(CORNERS):
        cube[corner] = bool(code >> bit & 1)
    return cube


def areas_of_monai(spacing: tuple[float, ...]) -> np.ndarray:
    table, kernel = get_code_to_measure_table(spacing)
    weights = np.asarray(kernel).reshape(2, 2, 2)
    return np.array([float(table[int(weights[bits(code)].sum())]) for code in range(256)])


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_areas_of_all_256_neighbourhoods(spacing):
    np.testing.assert_allclose(areas_mm2(spacing), areas_of_monai(spacing), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_a_mask_and_its_complement_have_one_surface(spacing):
    areas = areas_mm2(spacing)
    np.testing.assert_allclose(areas, areas[::-1])
    assert areas[0] == 0
    assert (areas[1:255] > 0).all()


@pytest.mark.parametrize("axis", range(3))
def test_a_flat_face_has_its_own_area(axis):
    spacing = (0.5, 0.8, 5.0)
    half = np.zeros((2, 2, 2), dtype=bool)
    half[tuple(0 if n == axis else slice(None) for n in range(3))] = True
    code = int(neighbourhoods(half)[1, 1, 1])
    assert areas_mm2(spacing)[code] == pytest.approx(math.prod(spacing) / spacing[axis])


def test_codes_are_of_the_eight_voxels_around_a_corner():
    rng = np.random.default_rng(0)
    mask = rng.random((3, 4, 5)) < 0.5
    codes = neighbourhoods(mask)
    assert codes.shape == (4, 5, 6)
    for i, j, k in np.ndindex(2, 3, 4):
        np.testing.assert_array_equal(
            bits(int(codes[i + 1, j + 1, k + 1])), mask[i : i + 2, j : j + 2, k : k + 2]
        )
    assert bits(int(codes[0, 0, 0]))[1, 1, 1] == mask[0, 0, 0]
    assert np.count_nonzero(bits(int(codes[0, 0, 0]))) == int(mask[0, 0, 0]), "outside is background"


def by_brute_force(prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, ...]) -> float:
    """In words: sort by distance, sum MONAI's areas, stop at 95 %."""
    areas = areas_of_monai(spacing)
    codes = [neighbourhoods(mask) for mask in (prediction, target)]
    sites = [np.argwhere((code > 0) & (code < 255)) for code in codes]
    table = cdist(sites[0] * np.array(spacing), sites[1] * np.array(spacing))
    found = []
    for code, site, distances in zip(codes, sites, (table.min(1), table.min(0)), strict=True):
        weights = areas[code[tuple(site.T)]]
        total, summed = weights.sum(), 0.0
        for distance, weight in sorted(zip(distances, weights, strict=True)):
            summed += weight
            if summed >= 0.95 * total * (1 - 1e-6):
                found.append(distance)
                break
    return max(found)


@settings(max_examples=40, deadline=None)
@given(prediction=masks, target=masks, spacing=st.sampled_from(SPACINGS))
def test_brute_force(prediction, target, spacing):
    prediction[0, 0, 0] = target[4, 3, 5] = True
    found = HD95Surfel().score(prediction, target, spacing).value
    assert found == pytest.approx(by_brute_force(prediction, target, spacing), rel=1e-9)


def test_just_95_percent_is_reached_whatever_the_rounding():
    """19 of 20 equal elements at 0, summed with rounding errors below and above."""
    for area in (0.1, 1.0, 0.7, 1 / 3):
        distances, areas = np.array([0.0] * 19 + [7.0]), np.full(20, area)
        assert _reached(distances, areas) == 0.0
        assert _reached(np.array([0.0] * 18 + [5.0, 7.0]), areas) == 5.0


def test_no_interpolation_and_areas_weigh():
    """A speck of 8 voxels beside a large sphere: few border voxels, but 5 % of the area is soon more."""
    grid = np.indices((40, 30, 30))
    sphere = sum((g - 12) ** 2 for g in grid) <= 8**2
    speck = sphere.copy()
    speck[36:38, 26:28, 26:28] = True
    value = HD95Surfel().score(speck, sphere, (1, 1, 1)).value
    assert value == 0.0
    thick = sphere.copy()
    thick[33:38, 23:28, 23:28] = True
    far = HD95Surfel().score(thick, sphere, (1, 1, 1)).value
    assert far > 15
    assert far**2 == pytest.approx(round(far**2)), "a distance between two corners of voxels"
