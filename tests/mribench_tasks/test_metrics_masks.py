from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_dice, compute_hausdorff_distance
from mribench_tasks.metrics import Dice, HD95MaxDirected
from mribench_tasks.metrics.surface import border, border_distances_mm

from mribench.errors import DataError
from mribench.interfaces import Metric

SPACING_MM = (1.0, 2.0, 3.0)
BOTH = [Dice(), HD95MaxDirected()]
masks = arrays(np.bool_, (6, 5, 4), elements=st.booleans())
spacings = st.tuples(*[st.sampled_from([0.5, 0.9375, 1.0, 3.0])] * 3)


def cube(shape: tuple[int, int, int], low: int, high: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[low:high, low:high, low:high] = True
    return mask


def batch(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None].float()


@settings(max_examples=60, deadline=None)
@given(prediction=masks, target=masks, spacing=spacings)
def test_monai_agrees_on_random_masks(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    prediction[0, 0, 0] = target[5, 4, 3] = True
    dice = compute_dice(batch(prediction), batch(target)).item()
    distance = compute_hausdorff_distance(
        batch(prediction), batch(target), percentile=95, spacing=spacing, include_background=True
    ).item()
    assert Dice().score(prediction, target, spacing).value == pytest.approx(dice, rel=1e-5)
    assert HD95MaxDirected().score(prediction, target, spacing).value == pytest.approx(distance, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, target=masks)
def test_both_are_symmetric_and_in_range(prediction: np.ndarray, target: np.ndarray) -> None:
    for metric in BOTH:
        there = metric.score(prediction, target, SPACING_MM)
        back = metric.score(target, prediction, SPACING_MM)
        assert there.value == pytest.approx(back.value, nan_ok=True)
        low, high = metric.value_range
        assert math.isnan(there.value) or low <= there.value <= high


def test_percentile_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 9, 8, 7)) < 0.05
    a_mm, b_mm = np.argwhere(border(a)) * SPACING_MM, np.argwhere(border(b)) * SPACING_MM
    table = np.linalg.norm(a_mm[:, None] - b_mm[None], axis=-1)
    directed = np.percentile(table.min(1), 95), np.percentile(table.min(0), 95)
    assert HD95MaxDirected().score(a, b, SPACING_MM).value == pytest.approx(max(directed))


def test_two_voxels_apart_along_each_axis() -> None:
    for axis, edge_mm in enumerate(SPACING_MM):
        a, b = np.zeros((2, 5, 5, 5), dtype=bool)
        a[1, 1, 1] = True
        place = [1, 1, 1]
        place[axis] = 3
        b[tuple(place)] = True
        assert HD95MaxDirected().score(a, b, SPACING_MM).value == pytest.approx(2 * edge_mm)


def test_the_ninety_fifth_percentile_forgives_a_far_speck_but_not_a_far_tenth() -> None:
    wall = np.zeros((40, 40, 12), dtype=bool)
    wall[:, :, 0] = True
    speck, tenth = wall.copy(), wall.copy()
    speck[0, 0, 10] = True
    tenth[:, :5, 10] = True
    metric = HD95MaxDirected()
    assert metric.score(speck, wall, (1, 1, 1)).value == 0.0
    assert metric.score(tenth, wall, (1, 1, 1)).value == pytest.approx(10.0)


def test_border_of_a_cube_is_its_shell_also_at_the_edge_of_the_volume() -> None:
    assert np.count_nonzero(border(cube((9, 9, 9), 2, 7))) == 5**3 - 3**3
    assert np.count_nonzero(border(np.ones((5, 5, 5), dtype=bool))) == 5**3 - 3**3


def test_the_crop_changes_no_distance() -> None:
    small_a, small_b = cube((8, 8, 8), 1, 4), cube((8, 8, 8), 2, 7)
    large_a, large_b = (np.pad(mask, ((3, 20), (11, 0), (5, 5))) for mask in (small_a, small_b))
    for small, large in zip(
        border_distances_mm(small_a, small_b, SPACING_MM),
        border_distances_mm(large_a, large_b, SPACING_MM),
        strict=True,
    ):
        np.testing.assert_allclose(np.sort(small), np.sort(large))


@pytest.mark.parametrize(("side", "status"), [("prediction", "pred-empty"), ("target", "ref-empty")])
def test_one_empty_mask_keeps_the_raw_value_and_names_the_penalty(side: str, status: str) -> None:
    full, empty = cube((4, 5, 6), 1, 3), np.zeros((4, 5, 6), dtype=bool)
    prediction, target = (empty, full) if side == "prediction" else (full, empty)
    dice = Dice().score(prediction, target, SPACING_MM)
    assert (dice.value, dice.status, dice.penalty) == (0.0, status, 0.0)
    distance = HD95MaxDirected().score(prediction, target, SPACING_MM)
    assert math.isnan(distance.value)
    assert distance.status == status
    assert distance.penalty == pytest.approx(math.sqrt(4**2 + 10**2 + 18**2))


def test_both_empty_is_left_out() -> None:
    empty = np.zeros((4, 4, 4), dtype=bool)
    for metric in BOTH:
        score = metric.score(empty, empty, SPACING_MM)
        assert score.status == "both-empty"
        assert math.isnan(score.value)
        assert math.isnan(score.penalty)


@pytest.mark.parametrize("metric", BOTH, ids=lambda metric: metric.id)
@pytest.mark.parametrize(
    ("prediction", "target", "spacing_mm", "message"),
    [
        (
            np.ones((3, 3, 4), bool),
            np.ones((3, 3, 3), bool),
            SPACING_MM,
            r"shape \(3, 3, 3\), got \(3, 3, 4\)",
        ),
        (np.ones((3, 3, 3)), np.ones((3, 3, 3), bool), SPACING_MM, "boolean prediction mask, got float64"),
        (
            np.ones((3, 3, 3), bool),
            np.ones((3, 3, 3), np.uint8),
            SPACING_MM,
            "boolean reference mask, got uint8",
        ),
        (np.ones((3, 3), bool), np.ones((3, 3), bool), SPACING_MM, "got 2 axes"),
        (np.ones((3, 3, 3), bool), np.ones((3, 3, 3), bool), (1.0, 1.0), "three voxel edges"),
        (np.ones((3, 3, 3), bool), np.ones((3, 3, 3), bool), (1.0, 0.0, 1.0), "three voxel edges"),
        (np.ones((3, 3, 3), bool), np.ones((3, 3, 3), bool), (1.0, math.nan, 1.0), "three voxel edges"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    metric: Metric, prediction: np.ndarray, target: np.ndarray, spacing_mm: tuple[float, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        metric.score(prediction, target, spacing_mm)
