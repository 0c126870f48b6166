"""Inputs of the cases in ``metrics.json``, made again from their seeds with NumPy alone.

``metrics.json`` has a digest of every mask, so a slip here is found. The values in it come from public
implementations (MONAI, MedPy, MetricsReloaded, surface-distance, scikit-image, scipy); its ``sources``
names their versions. It is data: there is no command in this repository that makes it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Shape = Sequence[int]
EDGE_SHAPE = (12, 14, 10)


def mask_digest(mask: np.ndarray) -> str:
    return hashlib.sha256(np.packbits(mask.ravel()).tobytes()).hexdigest()[:16]


def ellipsoids(shape: Shape, centres_radii: Sequence[Sequence[float]]) -> np.ndarray:
    """Union of ellipsoids given by (centre, centre, centre, radius, radius, radius) in voxels."""
    i, j, k = np.indices(tuple(shape)).astype(np.float64)
    mask = np.zeros(tuple(shape), dtype=bool)
    for ci, cj, ck, ri, rj, rk in centres_radii:
        mask |= ((i - ci) / ri) ** 2 + ((j - cj) / rj) ** 2 + ((k - ck) / rk) ** 2 <= 1.0
    return mask


def segmentation_pair(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(reference, prediction) of a case under ``seg``; the order of the draws is part of the case."""
    shape, count = case["shape"], case.get("n_obj", 1)
    rng = np.random.RandomState(case["seed"])
    size = np.array(shape, dtype=float)
    reference, prediction = [], []
    for index in range(count):
        centre = np.round(size * (0.25 + 0.5 * rng.random_sample(3)), 2)
        radius = np.round(size * (0.08 + 0.14 * rng.random_sample(3)), 2) + 1.0
        shift = np.round(case.get("jitter", 1.5) * (2 * rng.random_sample(3) - 1), 2)
        stretch = np.round(1 + 0.25 * (2 * rng.random_sample(3) - 1), 2)
        reference.append((*centre, *radius))
        if not (case.get("miss_last", False) and index == count - 1):
            prediction.append((*(centre + shift), *(radius * stretch)))
    true, predicted = ellipsoids(shape, reference), ellipsoids(shape, prediction)
    if case.get("flip", 0) > 0:
        predicted ^= rng.random_sample(tuple(shape)) < case["flip"]
    if case.get("satellite", False):
        predicted[:2, :2, :2] = True
    return true, predicted


def _box(*slices: slice | int) -> np.ndarray:
    mask = np.zeros(EDGE_SHAPE, dtype=bool)
    if slices:
        mask[slices] = True
    return mask


def edge_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(reference, prediction) of the cases under ``edge``, by the first two letters of their id."""
    empty = _box()
    cube = _box(slice(3, 8), slice(4, 9), slice(2, 7))
    return {
        "e0": (empty, empty),
        "e1": (cube, empty),
        "e2": (empty, cube),
        "e3": (cube, cube),
        "e4": (_box(0, 0, 0), _box(11, 13, 9)),
        "e5": (cube, cube | _box(slice(3, 8), slice(4, 9), 7)),
        "e6": (cube, ~empty),
        "e7": (cube, _box(slice(3, 8), slice(4, 9), slice(8, 10))),
    }


def image_pair(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(reference, noisy) of a case under ``img``."""
    shape = (18, 16, 14)
    rng = np.random.RandomState(case["seed"])
    i, j, k = np.indices(shape).astype(np.float64)
    image = 1.5 + np.cos(2 * np.pi * i / shape[0]) + 0.5 * np.cos(2 * np.pi * (j / shape[1] + k / shape[2]))
    if case.get("background", 0) > 0:
        image = image * (i >= case["background"] * shape[0])
    if case.get("zscore", True):
        image = (image - image.mean()) / image.std()
    return image, image + case.get("sigma", 0.2) * rng.standard_normal(shape)


def scores(seed: int, subjects: int, methods: int, shift: Sequence[float], decimals: int = 2) -> np.ndarray:
    """Paired scores (subjects, methods): subject effect, shift of the method, noise; within 0..100."""
    rng = np.random.RandomState(seed)
    subject = 8.0 * rng.standard_normal(subjects)
    noise = 3.0 * rng.standard_normal((subjects, methods))
    return np.round(np.clip(80 + subject[:, None] + np.asarray(shift)[None] + noise, 0, 100), decimals)
