"""Exact distances from the voxels of one set to the nearest voxel of another.

Three exact ways, each fast where the others are not. What lies near is found by looking at the neighbours
in order of distance; what is left is asked of a KD-tree, or of the distance transform where much is left.
A count of the work, and no clock, chooses: the same masks always give the same bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

_NEIGHBOURS = 2000
"""Offsets that are looked at, about those within eight voxels."""
_PROBES = 32
"""Queries that are tried to tell what a search of the tree costs."""
_LOOK_NS, _LOOK_EACH_NS = 3000.0, 1.5
_BUILD_EACH_NS = 300.0
_QUERY_NS, _QUERY_EACH_NS = 1000.0, 30.0
_USUAL_QUERY_NS = 10_000.0
_TRANSFORM_EACH_NS = 100.0
"""Nanoseconds on one core: only their ratios matter, and only for speed."""


def nearest_mm(queries: np.ndarray, targets: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the distance of every query voxel to the nearest target voxel.

    Args:
        queries: ``(I, J, K)`` boolean.
        targets: ``(I, J, K)`` boolean, not empty.
        spacing_mm: voxel edges along I, J, K.

    Returns:
        ``(N,)`` mm, in the order of ``np.flatnonzero(queries)``, each sqrt(Σ (Δ_i s_i)²).
    """
    places = np.flatnonzero(queries)
    distances_mm = np.zeros(len(places))
    apart = np.flatnonzero(~targets.ravel()[places])
    if len(apart):
        voxels = np.stack(np.unravel_index(places[apart], queries.shape))
        count = int(np.count_nonzero(targets))
        near_mm, left = _by_neighbours(voxels, targets, count, spacing_mm)
        if len(left):
            near_mm[left] = _far(voxels[:, left], targets, count, spacing_mm)
        distances_mm[apart] = near_mm
    return distances_mm


def _by_neighbours(
    voxels: np.ndarray, targets: np.ndarray, count: int, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances ``(N,)`` of voxels ``(3, N)`` as far as found, and the numbers of those that are not.

    Looks until all are found, or until it costs more than it has saved and a quarter of what is to come.
    """
    offsets, steps_mm = _offsets(tuple(spacing_mm))
    inside = (np.abs(offsets) < np.array(targets.shape)).all(axis=1)
    offsets, steps_mm = offsets[inside], steps_mm[inside]
    distances_mm, left = np.zeros(voxels.shape[1]), np.arange(voxels.shape[1])
    if not len(offsets):
        return distances_mm, left
    margin = np.abs(offsets).max(axis=0)
    padded = np.pad(targets, [(int(m), int(m)) for m in margin]).ravel()
    strides = _strides(np.array(targets.shape) + 2 * margin)
    shifts = (offsets + margin) @ strides  # from the corner of the neighbourhood: never negative
    corners = strides @ voxels
    starts = np.flatnonzero(np.diff(steps_mm, prepend=-1.0))
    spent_ns, without_ns = 0.0, _far_cost_ns(len(left), count, targets.size)
    for start, stop in zip(starts, [*starts[1:], len(steps_mm)], strict=True):
        spent_ns += (stop - start) * (_LOOK_NS + _LOOK_EACH_NS * len(left))
        if not len(left) or spent_ns > without_ns - 0.75 * _far_cost_ns(len(left), count, targets.size):
            break
        hit = np.zeros(len(left), dtype=bool)
        for shift in shifts[start:stop]:
            hit |= padded[shift:].take(corners, mode="clip")
        if hit.any():
            distances_mm[left[hit]] = steps_mm[start]
            left, corners = left[~hit], corners[~hit]
    return distances_mm, left


@functools.lru_cache(maxsize=4)
def _offsets(spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets ``(N, 3)`` in voxels and their lengths in mm, in order: all of a ball but its centre."""
    radius_mm = (_NEIGHBOURS * math.prod(spacing_mm) * 3 / (4 * math.pi)) ** (1 / 3)
    reach = [int(radius_mm / edge) for edge in spacing_mm]
    offsets = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
    steps_mm = _length_mm(offsets.T, spacing_mm)
    kept = np.flatnonzero((steps_mm > 0) & (steps_mm <= radius_mm))
    kept = kept[np.argsort(steps_mm[kept], kind="stable")]
    return offsets[kept], steps_mm[kept]


def _far_cost_ns(queries: int, targets: int, size: int) -> float:
    return min(_BUILD_EACH_NS * targets + _USUAL_QUERY_NS * queries, _TRANSFORM_EACH_NS * size)


def _far(voxels: np.ndarray, targets: np.ndarray, count: int, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the distances ``(N,)`` of voxels ``(3, N)`` by the cheaper of tree and transform."""
    transform_ns = _TRANSFORM_EACH_NS * targets.size
    if _BUILD_EACH_NS * count < transform_ns:
        places = np.stack(np.unravel_index(np.flatnonzero(targets), targets.shape))
        edges = np.array(spacing_mm, dtype=float)
        tree = cKDTree(places.T * edges, leafsize=32, compact_nodes=False, balanced_tree=False)
        points = voxels.T * edges
        if len(points) * _search_ns(tree, points, spacing_mm) < transform_ns:
            return _length_mm(places[:, tree.query(points)[1]] - voxels, spacing_mm)
    nearest = ndimage.distance_transform_edt(
        ~targets, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return _length_mm(nearest[(slice(None), *voxels)] - voxels, spacing_mm)


def _search_ns(tree: cKDTree, points: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return what one search costs: it visits all that is hardly farther than the nearest.

    From the middle of a ball all of its surface is equally near, and a tree is of no use.
    """
    tried = points[np.linspace(0, len(points) - 1, _PROBES).astype(np.intp)]
    reach_mm = tree.query(tried)[0] + 4 * math.prod(spacing_mm) ** (1 / 3)
    return _QUERY_NS + _QUERY_EACH_NS * float(
        tree.query_ball_point(tried, reach_mm, return_length=True).mean()
    )


def _length_mm(steps: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the lengths ``(N,)`` in mm of steps ``(3, N)`` in voxels."""
    # One formula for every way, summed in one order: the ways agree to the last bit but for ties.
    i, j, k = (steps[axis] * float(edge) for axis, edge in enumerate(spacing_mm))
    return np.sqrt(i * i + j * j + k * k)


def _strides(shape: np.ndarray) -> np.ndarray:
    return np.array([shape[1] * shape[2], shape[2], 1])
