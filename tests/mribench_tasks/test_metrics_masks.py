from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from mribench_tasks.metrics import (
    ASSD,
    MASD,
    NSD,
    Dice,
    HD95MaxDirected,
    HD95Pooled,
    HD95Surfel,
    LesionF1,
    NSDOptions,
)
from mribench_tasks.metrics.surface import border, border_distances_mm
from scipy import ndimage
from scipy.spatial.distance import cdist

from mribench.errors import DataError
from mribench.interfaces import Metric

SPACING_MM = (1.0, 2.0, 3.0)
DISTANCES = [HD95MaxDirected(), HD95Pooled(), HD95Surfel(), ASSD(), MASD()]
SHARES = [Dice(), NSD(), LesionF1()]
ALL = [*DISTANCES, *SHARES]
SYMMETRIC = [*DISTANCES, Dice(), NSD()]
names = {"ids": lambda metric: metric.id}
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


@settings(max_examples=60, deadline=None)
@given(prediction=masks, target=masks, spacing=spacings, tolerance_mm=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_monai_agrees_on_means_and_surface_dice(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, float, float], tolerance_mm: float
) -> None:
    prediction[0, 0, 0] = target[5, 4, 3] = True
    mean = compute_average_surface_distance(
        batch(prediction), batch(target), symmetric=True, include_background=True, spacing=spacing
    ).item()
    assert ASSD().score(prediction, target, spacing).value == pytest.approx(mean, rel=1e-5, abs=1e-6)
    share = compute_surface_dice(
        batch(prediction), batch(target), [tolerance_mm], include_background=True, spacing=spacing
    ).item()
    metric = NSD(NSDOptions(tolerance_mm=tolerance_mm))
    assert metric.score(prediction, target, spacing).value == pytest.approx(share, rel=1e-5)


def directed_by_brute_force(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Every distance between border voxels, the border by the library's erosion."""
    a, b = (np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing for mask in (prediction, target))
    table = cdist(a, b)
    return table.min(1), table.min(0)


@settings(max_examples=80, deadline=None)
@given(prediction=masks, target=masks, spacing=spacings)
def test_every_border_definition_by_brute_force(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    prediction[1, 2, 3] = target[4, 4, 0] = True
    there, back = directed_by_brute_force(prediction, target, spacing)
    pooled = np.concatenate([there, back])
    expected = {
        "hd95:max-directed": max(np.percentile(there, 95), np.percentile(back, 95)),
        "hd95:pooled": np.percentile(pooled, 95),
        "assd": pooled.sum() / len(pooled),
        "masd": (there.sum() / len(there) + back.sum() / len(back)) / 2,
        "nsd:2mm": np.count_nonzero(pooled <= 2 + 1e-9) / len(pooled),
    }
    for metric in (HD95MaxDirected(), HD95Pooled(), ASSD(), MASD(), NSD()):
        found = metric.score(prediction, target, spacing).value
        assert found == pytest.approx(expected[metric.id], rel=1e-9, abs=1e-12), metric.id
    for metric in DISTANCES[:2]:
        assert metric.score(prediction, target, spacing).value <= pooled.max() * (1 + 1e-12)


@settings(max_examples=30, deadline=None)
@given(mask=masks, spacing=spacings)
def test_identical_masks_are_perfect(mask: np.ndarray, spacing: tuple[float, float, float]) -> None:
    mask[3, 2, 1] = True
    for metric in ALL:
        score = metric.score(mask, mask.copy(), spacing)
        assert (score.value, score.status) == (0.0 if metric in DISTANCES else 1.0, "ok"), metric.id


@settings(max_examples=30, deadline=None)
@given(prediction=masks, target=masks, spacing=spacings, scale=st.sampled_from([0.1, 2.0, 7.0]))
def test_distances_scale_with_the_spacing_and_counts_do_not(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, float, float], scale: float
) -> None:
    prediction[0, 0, 0] = target[5, 4, 3] = True
    scaled = tuple(scale * edge for edge in spacing)
    for metric in [*DISTANCES, Dice(), LesionF1()]:
        factor = scale if metric.unit == "mm" else 1.0
        one, other = (metric.score(prediction, target, edges).value for edges in (spacing, scaled))
        assert other == pytest.approx(factor * one, rel=1e-9), metric.id
    tolerances = (NSD(NSDOptions(tolerance_mm=2.0)), NSD(NSDOptions(tolerance_mm=2.0 * scale)))
    one, other = (
        metric.score(prediction, target, edges).value
        for metric, edges in zip(tolerances, (spacing, scaled), strict=True)
    )
    assert other == pytest.approx(one)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, target=masks, spacing=spacings, shift=st.tuples(*[st.integers(0, 6)] * 3))
def test_moving_both_masks_changes_nothing(
    prediction: np.ndarray,
    target: np.ndarray,
    spacing: tuple[float, float, float],
    shift: tuple[int, int, int],
) -> None:
    prediction[0, 0, 0] = target[5, 4, 3] = True
    large = [np.zeros((12, 11, 10), dtype=bool) for _ in range(2)]
    for room, mask in zip(large, (prediction, target), strict=True):
        room[tuple(slice(start, start + n) for start, n in zip(shift, mask.shape, strict=True))] = mask
    for metric in ALL:
        found = metric.score(large[0], large[1], spacing).value
        assert found == pytest.approx(metric.score(prediction, target, spacing).value), metric.id


@settings(max_examples=30, deadline=None)
@given(prediction=masks, target=masks)
def test_symmetric_and_in_range(prediction: np.ndarray, target: np.ndarray) -> None:
    for metric in SYMMETRIC:
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
    for metric in SHARES:
        share = metric.score(prediction, target, SPACING_MM)
        assert (share.value, share.status, share.penalty) == (0.0, status, 0.0)
    for metric in DISTANCES:
        distance = metric.score(prediction, target, SPACING_MM)
        assert math.isnan(distance.value)
        assert distance.status == status
        assert distance.penalty == pytest.approx(math.sqrt(4**2 + 10**2 + 18**2))


def test_both_empty_is_left_out() -> None:
    empty = np.zeros((4, 4, 4), dtype=bool)
    for metric in ALL:
        score = metric.score(empty, empty, SPACING_MM)
        assert score.status == "both-empty"
        assert math.isnan(score.value)
        assert math.isnan(score.penalty)


@pytest.mark.parametrize("metric", ALL, **names)
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


def test_the_tolerance_is_part_of_the_id_and_includes_its_own_length() -> None:
    a, b = np.zeros((2, 9, 3, 3), dtype=bool)
    a[1, 1, 1] = b[4, 1, 1] = True
    for tolerance_mm, name, share in ((0.3, "nsd:0.3mm", 1.0), (0.29, "nsd:0.29mm", 0.0)):
        metric = NSD(NSDOptions(tolerance_mm=tolerance_mm))
        assert metric.id == name
        assert metric.score(a, b, (0.1, 1, 1)).value == share, (
            "three voxels of 0.1 mm are 0.30000000000000004"
        )


def test_a_larger_tolerance_agrees_more() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 12, 12, 12)) < 0.02
    shares = [NSD(NSDOptions(tolerance_mm=mm)).score(a, b, SPACING_MM).value for mm in (0.5, 1, 2, 4, 40)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1.0


def test_the_means_weigh_borders_of_different_size_differently() -> None:
    """One far voxel against a plane and itself: the plane's many zeros count in ASSD, not in MASD."""
    plane = np.zeros((10, 10, 12), dtype=bool)
    plane[:, :, 0] = True
    far = np.zeros_like(plane)
    far[5, 5, 0] = far[5, 5, 10] = True
    there, back = directed_by_brute_force(far, plane, (1.0, 1.0, 1.0))
    assert list(there) == [0.0, 10.0]
    assert MASD().score(far, plane, (1, 1, 1)).value == pytest.approx((5.0 + back.mean()) / 2)
    assert ASSD().score(far, plane, (1, 1, 1)).value == pytest.approx((10.0 + back.sum()) / 102)
