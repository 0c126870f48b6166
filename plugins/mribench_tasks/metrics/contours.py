"""Surface elements: the piece of surface between eight voxels of which some are in a mask.

The surface cuts every edge of the cube of the eight voxel centres whose ends differ in its middle, the
middles are joined over the faces to closed loops, and the loops are filled with triangles: marching cubes
(Lorensen and Cline 1987, doi:10.1145/37401.37422). Two choices are free, and are made so that the areas are
those of the tool surface-distance: on a face with two diagonal corners the corners of the minority are kept
apart, and of the ways to fill a loop the one with the largest area on a cube of edge 1 is taken.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

Point = tuple[float, float, float]
Triangle = tuple[int, int, int]

CORNERS = tuple(itertools.product((0, 1), repeat=3))
"""Corners of the cube; corner number b has the bit b in a neighbourhood's code."""


def areas_mm2(spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the area of the surface element of each of the 256 neighbourhoods.

    Args:
        spacing_mm: voxel edges along I, J, K.

    Returns:
        ``(256,)`` mm², by the neighbourhood's code: bit b is set where voxel ``CORNERS[b]`` is in the mask.
    """
    i, j, k = (float(edge) for edge in spacing_mm)
    faces_mm2 = np.array([j * k, i * k, i * j])
    return np.array([np.linalg.norm(normals * faces_mm2, axis=1).sum() for normals in _normals()])


@functools.cache
def _normals() -> list[np.ndarray]:
    """Return the normals ``(n, 3)`` of the triangles on a cube of edge 1, as long as their areas, by code."""
    return [np.concatenate([np.zeros((1, 3)), *map(_filled, _loops(code))]) for code in range(256)]


def _loops(code: int) -> list[np.ndarray]:
    """Return the closed loops of one neighbourhood, each ``(n, 3)`` middles of edges in order."""
    inside = [bool(code >> bit & 1) for bit in range(8)]
    if sum(inside) > 4:
        inside = [not value for value in inside]
    minority = {corner for corner, value in zip(CORNERS, inside, strict=True) if value}
    joined: dict[Point, list[Point]] = {}
    for one, other in itertools.chain.from_iterable(_segments(face, minority) for face in _faces()):
        joined.setdefault(one, []).append(other)
        joined.setdefault(other, []).append(one)
    loops = []
    while joined:
        loop = [next(iter(joined))]
        while onward := [point for point in joined.pop(loop[-1]) if point in joined]:
            loop.append(onward[0])
        loops.append(np.array(loop))
    return loops


def _faces() -> Iterator[list[tuple[int, ...]]]:
    """Yield the four corners of each face, going round it."""
    for axis, side in itertools.product(range(3), (0, 1)):
        yield [tuple(np.insert(corner, axis, side).tolist()) for corner in ((0, 0), (0, 1), (1, 1), (1, 0))]


def _segments(face: list[tuple[int, ...]], minority: set[tuple[int, ...]]) -> Iterator[tuple[Point, Point]]:
    """Yield the lines over one face, from the middle of an edge to the middle of another."""
    inside = [corner in minority for corner in face]
    cut = [n for n in range(4) if inside[n] != inside[(n + 1) % 4]]
    pairs = [cut] if len(cut) == 2 else [[(n - 1) % 4, n] for n in cut if inside[n]]
    for one, other in pairs:
        yield _middle(face, one), _middle(face, other)


def _middle(face: list[tuple[int, ...]], edge: int) -> Point:
    i, j, k = ((a + b) / 2 for a, b in zip(face[edge], face[(edge + 1) % 4], strict=True))
    return i, j, k


def _filled(loop: np.ndarray) -> np.ndarray:
    """Return the normals ``(n - 2, 3)`` of the triangles that fill a loop ``(n, 3)``: the largest area."""
    steps = loop[None, :] - loop[:, None]  # from a to b
    normals = np.cross(steps[:, :, None], steps[:, None, :]) / 2  # of the triangle a, b, c
    sizes = np.linalg.norm(normals, axis=-1)
    ways = _triangulations(0, len(loop) - 1)
    best = max(ways, key=lambda triangles: sum(float(sizes[triangle]) for triangle in triangles))
    return np.array([normals[triangle] for triangle in best])


def _triangulations(first: int, last: int) -> Iterator[list[Triangle]]:
    """Yield every way to fill the polygon of the corners ``first`` to ``last`` with triangles."""
    if last - first < 2:
        yield []
    for middle in range(first + 1, last):
        for before in _triangulations(first, middle):
            for after in _triangulations(middle, last):
                yield [(first, middle, last), *before, *after]
