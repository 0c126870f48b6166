"""Exact distances from the voxels of one set to the nearest voxel of another.

Three exact ways, each fast where the others are not. Of each voxel it is known how far the next target lies
along the first axis; what lies near is found by looking at the columns around it in order of their distance.
What is left is asked of a KD-tree, or of the distance transform where much is left. A count of the work, and
no clock, chooses: the same masks always give the same bits.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

_NEIGHBOURS = 600
"""Columns that are looked at, about those within fourteen voxels."""
_PROBES = 32
"""Queries that are tried to tell what a search of the tree costs."""
_SCAN_EACH_NS = 1.5
_NONE = 255
"""Voxels along a column that are as good as infinitely many."""
_LOOK_NS, _LOOK_EACH_NS = 10_000.0, 4.0
_TO_LEAVE = 0.9
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
        others = np.stack(np.unravel_index(np.flatnonzero(targets), targets.shape))
        near_mm, left = _by_neighbours(voxels, targets, others, spacing_mm)
        if len(left):
            near_mm[left] = _far(voxels[:, left], targets, others, spacing_mm)
        distances_mm[apart] = near_mm
    return distances_mm


def _by_neighbours(
    voxels: np.ndarray, targets: np.ndarray, places: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances ``(N,)`` of voxels ``(3, N)`` as far as found, and the numbers of those that are not.

    Looks until all are found, or until it costs more than it has saved and a quarter of what is to come.
    """
    i_mm, j_mm, k_mm = (float(edge) for edge in spacing_mm)
    disc = _make_disc(i_mm, j_mm, k_mm)
    found_mm2 = np.full(voxels.shape[1], np.inf)
    left = np.flatnonzero(_gap_mm2(voxels, places, spacing_mm) <= disc.ends_mm2[-1])
    far_ns = functools.partial(_far_cost_ns, targets=places.shape[1], size=targets.size)
    spent_ns, without_ns = _SCAN_EACH_NS * targets.size, far_ns(len(left))
    if spent_ns >= without_ns:
        return found_mm2, np.arange(len(found_mm2))
    columns = _Columns(targets, i_mm, disc)
    corners, best_mm2, known_mm2 = columns.corners(voxels[:, left]), found_mm2[left], -1.0
    for ring, end_mm2 in zip(disc.rings, disc.ends_mm2, strict=True):
        still = best_mm2 > known_mm2
        n_left = int(np.count_nonzero(still))
        spent_ns += (ring.stop - ring.start) * (_LOOK_NS + _LOOK_EACH_NS * n_left)
        if not n_left or spent_ns > without_ns - 0.75 * far_ns(n_left):
            break
        if n_left < _TO_LEAVE * len(left):  # to go on with what is found costs less than to leave it behind
            found_mm2[left] = best_mm2
            left, corners, best_mm2 = left[still], corners[still], best_mm2[still]
        columns.look(corners, ring, best_mm2)
        known_mm2 = end_mm2
    found_mm2[left] = np.where(best_mm2 <= known_mm2, best_mm2, np.inf)
    return np.sqrt(found_mm2), np.flatnonzero(np.isinf(found_mm2))


@dataclass(frozen=True)
class _Disc:
    """The columns around a voxel, the nearest first.

    Attributes:
        steps_vox: to each along J and K, ``(n, 2)``.
        squares_mm2: of these, ``(n, 2)``.
        rings: places of those that are equally far away.
        ends_mm2: of each ring, the square of the distance within which there is no other column.
    """

    steps_vox: np.ndarray
    squares_mm2: np.ndarray
    rings: list[slice]
    ends_mm2: list[float]


@functools.lru_cache(maxsize=4)
def _make_disc(i_mm: float, j_mm: float, k_mm: float) -> _Disc:
    radius_mm = min((_NEIGHBOURS * j_mm * k_mm / math.pi) ** 0.5, (_NONE - 1) * i_mm)
    reach = [int(radius_mm / edge) for edge in (j_mm, k_mm)]
    steps = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 2)
    squares_mm2 = (steps * (j_mm, k_mm)) ** 2
    lengths_mm2 = squares_mm2.sum(axis=1)
    order = np.argsort(lengths_mm2, kind="stable")
    order = order[lengths_mm2[order] <= radius_mm**2]
    starts = np.flatnonzero(np.diff(lengths_mm2[order], prepend=-1.0)).tolist()
    ends_mm2 = [*lengths_mm2[order[starts[1:]]].tolist(), radius_mm**2]
    rings = [slice(*pair) for pair in itertools.pairwise([*starts, len(order)])]
    return _Disc(steps[order], squares_mm2[order], rings, ends_mm2)


class _Columns:
    """How far from each voxel the next target lies along the first axis.

    Args:
        targets: ``(I, J, K)`` boolean.
        i_mm: voxel edge along I.
        disc: of columns around a voxel that will be looked at.
    """

    def __init__(self, targets: np.ndarray, i_mm: float, disc: _Disc) -> None:
        margin = disc.steps_vox.max(axis=0)
        far, j_vox, k_vox = targets.shape
        padded = np.zeros((far, *(margin * 2 + (j_vox, k_vox))), bool)
        padded[:, margin[0] : margin[0] + j_vox, margin[1] : margin[1] + k_vox] = targets
        strides = _strides(np.array(padded.shape))
        self._strides, self._squares_mm2 = strides, disc.squares_mm2.tolist()
        self._starts = ((disc.steps_vox + margin) @ strides[1:]).tolist()  # from the corner: never negative
        self._steps_vox = _scan(padded).ravel()
        self._mm2 = (np.arange(_NONE + 1) * i_mm) ** 2
        self._mm2[_NONE] = np.inf

    def corners(self, voxels: np.ndarray) -> np.ndarray:
        """Return where the neighbourhood of each voxel ``(3, N)`` begins."""
        return self._strides @ voxels

    def look(self, corners: np.ndarray, ring: slice, best_mm2: np.ndarray) -> None:
        """Lower the squares ``(N,)`` of the distances to what is found in the columns of a ring."""
        for start, (j_mm2, k_mm2) in zip(self._starts[ring], self._squares_mm2[ring], strict=True):
            found_mm2 = self._mm2.take(self._steps_vox[start:].take(corners, mode="clip"), mode="clip")
            found_mm2 += j_mm2
            found_mm2 += k_mm2
            np.minimum(best_mm2, found_mm2, out=best_mm2)


def _scan(targets: np.ndarray) -> np.ndarray:
    """Return how many voxels it is along the first axis to the next target, uint8, or ``_NONE``."""
    kept = targets.view(np.uint8) - np.uint8(1)  # all bits where there is no target, none where there is
    found = np.empty(targets.shape, np.uint8)
    most = np.full(targets.shape[1:], _NONE - 1, np.uint8)  # a number takes ten times as long
    for turn, (planes, into) in enumerate(((kept, found), (kept[::-1], found[::-1]))):
        steps = np.full(targets.shape[1:], _NONE, np.uint8)
        for plane, nearest in zip(planes, into, strict=True):
            np.minimum(steps, most, out=steps)
            steps += np.uint8(1)
            steps &= plane
            np.minimum(nearest, steps, out=nearest) if turn else np.copyto(nearest, steps)
    return found


def _gap_mm2(voxels: np.ndarray, places: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the square of the distance ``(N,)`` of voxels ``(3, N)`` to the box around the targets."""
    low, high = (bound(axis=1)[:, None] for bound in (places.min, places.max))
    steps = np.maximum(np.maximum(low - voxels, voxels - high), 0)
    return np.einsum("an,a->n", steps.astype(float) ** 2, np.array(spacing_mm, dtype=float) ** 2)


def _far_cost_ns(queries: int, targets: int, size: int) -> float:
    return min(_BUILD_EACH_NS * targets + _USUAL_QUERY_NS * queries, _TRANSFORM_EACH_NS * size)


def _far(
    voxels: np.ndarray, targets: np.ndarray, places: np.ndarray, spacing_mm: Sequence[float]
) -> np.ndarray:
    """Return the distances ``(N,)`` of voxels ``(3, N)`` by the cheaper of tree and transform."""
    transform_ns = _TRANSFORM_EACH_NS * targets.size
    places = _facing(places, voxels)
    if _BUILD_EACH_NS * places.shape[1] < transform_ns:
        edges = np.array(spacing_mm, dtype=float)
        tree = cKDTree(places.T * edges, leafsize=32, compact_nodes=False, balanced_tree=False)
        points = voxels.T * edges
        if len(points) * _search_ns(tree, points, spacing_mm) < transform_ns:
            return _length_mm(places[:, tree.query(points)[1]] - voxels, spacing_mm)
    nearest = ndimage.distance_transform_edt(
        ~targets, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return _length_mm(nearest[(slice(None), *voxels)] - voxels, spacing_mm)


def _facing(places: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return the targets ``(3, N)`` that no other one hides from all voxels, where these are on one side."""
    for axis, sign in itertools.product(range(3), (-1, 1)):
        if (sign * voxels[axis]).min() >= (sign * places[axis]).max():
            others = np.delete(places, axis, axis=0)
            order = np.lexsort((sign * places[axis], *others))
            is_last = np.append(np.diff(others[:, order]).any(axis=0), True)
            places = places[:, np.sort(order[is_last])]
    return places


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
