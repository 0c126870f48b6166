"""Chronic stroke lesions: a cavity with a gliotic rim, in the territory of an artery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtr, ndtri

from mribench.errors import DataError
from mribench_datasets.phantom.territories import Kind, distances_mm, draw_kind, draw_seed

MEDIAN_ML, LOG_SD = 28.0, 1.4
"""Volumes are log-normal: mu = ln(28 ml), sigma = 1.4, cut off at both ends."""

SMALLEST_ML, LARGEST_ML = 0.3, 260.0
_LEFT_SHARE = 0.85  # of strokes with aphasia
_ROUGH_COARSE, _ROUGH_FINE = 0.30, 0.12  # of the lesion's radius
_SPILL = 2.5  # a mm into another territory counts as so many mm
_APEX = 0.2  # of the way from the hub to the cortex: where a wedge begins
_FAR_MM = 1e3
_REACH = 2.5  # radii of the sphere of the same volume: nothing farther is lost
_LEAST_TISSUE = 0.4
_NO_TISSUE = "the brain has no tissue where a lesion would be"
_WHOLE = "lesions need a head with both hemispheres"


@dataclass(frozen=True, eq=False)
class Brain:
    """What a stroke meets, on a grid of cubic voxels.

    Attributes:
        tissue: share of the cerebrum's nervous tissue ``(I, J, K)``.
        mni_mm: where each voxel lies in MNI space, ``(3, I, J, K)``, as well as it is known.
        side: hemisphere ``(I, J, K)``: -1 left, 1 right, 0 neither; no lesion enters the last.
        affine: voxel to world ``(4, 4)``, mm.
        edge_mm: edge of the voxels.
    """

    tissue: np.ndarray
    mni_mm: np.ndarray
    side: np.ndarray
    affine: np.ndarray
    edge_mm: float


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion on the grid of the brain that it was drawn in.

    Attributes:
        membership: ``(2, I, J, K)`` shares of cavity and rim, of the nervous tissue at each voxel.
        affine: voxel to world ``(4, 4)``, mm.
        edge_mm: edge of the cubic voxels.
        territory: kind of infarct, and the side.
        volume_ml: of cavity and rim.
    """

    membership: np.ndarray
    affine: np.ndarray
    edge_mm: float
    territory: str
    volume_ml: float

    @property
    def origin_mm(self) -> np.ndarray:
        """World coordinates of voxel (0, 0, 0)."""
        origin: np.ndarray = self.affine[:3, 3]
        return origin


def draw_volume_ml(generator: np.random.Generator) -> float:
    """Draw the volume of a chronic lesion: log-normal, median 28 ml, sigma 1.4, between 0.3 and 260 ml.

    About 1 % lie under 1 ml, and 14 % over 100 ml.
    """
    low, high = (ndtr(np.log(edge / MEDIAN_ML) / LOG_SD) for edge in (SMALLEST_ML, LARGEST_ML))
    return float(MEDIAN_ML * np.exp(LOG_SD * ndtri(generator.uniform(low, high))))


def draw_lesion(generator: np.random.Generator, volume_ml: float, brain: Brain) -> Lesion:
    """Draw a lesion of a given volume in one hemisphere.

    Cortical infarcts are wedges with their base in the cortex and their point near the ventricle, deep ones
    ellipsoids; both are roughened by smooth noise and keep to the territory of their artery until it is
    full. Only nervous tissue is lost, so ventricles and sulci keep their CSF.

    Args:
        generator: of the subject.
        volume_ml: on the brain's grid; lowered where the hemisphere does not hold it.
        brain: where it happens.

    Raises:
        DataError: when the brain has no tissue where the lesion would be.
    """
    kind = draw_kind(generator, volume_ml)
    side = -1 if generator.random() < _LEFT_SHARE else 1
    seed_mm = draw_seed(generator, kind)
    radius_mm = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    hemisphere = brain.side == side
    box = _box(hemisphere, brain.side.shape)
    noise = [smooth_noise(generator, brain.side.shape, brain.edge_mm, cell)[box] for cell in (11.0, 5.0, 7.0)]
    inside = hemisphere[box]
    order_mm = np.full(inside.shape, _FAR_MM)
    points = np.stack([axis[box][inside] for axis in brain.mni_mm], axis=-1) * np.array([side, 1, 1])
    rough = radius_mm * (_ROUGH_COARSE * noise[0] + _ROUGH_FINE * noise[1])[inside]
    order_mm[inside] = _order_mm(points, kind, seed_mm, radius_mm, noise[2][inside]) + rough
    near = _box(order_mm < _FAR_MM / 2, inside.shape, margin=6)
    body = _grow(order_mm[near], (brain.tissue[box] * inside)[near], volume_ml, brain.edge_mm)
    healthy = (brain.tissue[box][near] >= _LEAST_TISSUE) & ~body
    part = _cavity_and_rim(body, healthy, [n[near] for n in noise], brain.edge_mm, volume_ml, generator)
    membership = np.zeros((2, *brain.side.shape), dtype=np.float32)
    membership[(slice(None), *box)][(slice(None), *near)] = part * inside[near]
    held_ml = _held_ml(membership.sum(0) * brain.tissue, brain.edge_mm)
    name = f"{'left' if side < 0 else 'right'} {kind.name}"
    return Lesion(membership, brain.affine, brain.edge_mm, name, held_ml)


def smooth_noise(
    generator: np.random.Generator, shape: tuple[int, ...], edge_mm: float, cell_mm: float
) -> np.ndarray:
    """Return smooth noise ``(I, J, K)`` of unit variance, float32, between -2.5 and 2.5.

    Args:
        generator: drawn from.
        shape: of the grid.
        edge_mm: of its voxels.
        cell_mm: distance at which it varies.
    """
    step = cell_mm / edge_mm
    coarse = generator.standard_normal([int(np.ceil(n / step)) + 2 for n in shape])
    coarse = ndimage.gaussian_filter(coarse, 0.7)
    coarse = (coarse / coarse.std()).clip(-2.5, 2.5).astype(np.float32)
    for axis, length in enumerate(shape):  # trilinear interpolation, axis by axis
        place = np.arange(length) / step
        rows = np.clip(1 - np.abs(place[:, None] - np.arange(coarse.shape[axis])[None]), 0, None)
        coarse = np.moveaxis(np.tensordot(rows.astype(np.float32), coarse, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(coarse)


def _box(mask: np.ndarray, shape: tuple[int, ...], margin: int = 4) -> tuple[slice, slice, slice]:
    found = ndimage.find_objects(mask.astype(np.int8))
    if not found:
        raise DataError(_NO_TISSUE, _WHOLE)
    i, j, k = (
        slice(max(0, axis.start - margin), min(n, axis.stop + margin))
        for axis, n in zip(found[0], shape, strict=True)
    )
    return i, j, k


def _order_mm(
    points_mm: np.ndarray, kind: Kind, seed_mm: np.ndarray, radius_mm: float, noise: np.ndarray
) -> np.ndarray:
    """Return the order in which points ``(n, 3)`` (MNI mm, right side) are lost, in mm from the middle."""
    if kind.axes_mm is not None:
        axes = np.array(kind.axes_mm)
        shape = np.linalg.norm((points_mm - seed_mm) / axes, axis=-1) * float(np.prod(axes) ** (1 / 3))
    else:
        shape = _wedge_mm(points_mm, seed_mm, np.array(kind.hub_mm, dtype=float))
    within = shape < _REACH * radius_mm + 12
    near = distances_mm(points_mm[within])
    own = np.minimum.reduce([near[name] for name in kind.arteries])
    others = [near[name] for name in near if name not in kind.arteries]
    spill = np.maximum(own - np.minimum.reduce(others) + 3.0 * noise[within], 0)
    ordered = np.full(shape.shape, _FAR_MM)
    ordered[within] = shape[within] + _SPILL * spill
    if kind.borders is not None:
        ordered[within] += 0.8 * np.abs(near[kind.borders[0]] - near[kind.borders[1]])
    return ordered


def _wedge_mm(points_mm: np.ndarray, seed_mm: np.ndarray, hub_mm: np.ndarray) -> np.ndarray:
    """Return the distance from the axis of a cone with its point in the hub, as wide as at the cortex."""
    length_mm = float(np.linalg.norm(seed_mm - hub_mm))
    axis = (seed_mm - hub_mm) / length_mm
    along = (points_mm - hub_mm) @ axis
    aside = np.linalg.norm(points_mm - hub_mm - along[:, None] * axis, axis=-1)
    scale = length_mm / np.maximum(along, _APEX * length_mm)
    wedge: np.ndarray = aside * scale + 3 * np.maximum(_APEX * length_mm - along, 0)
    return wedge


def _grow(order_mm: np.ndarray, tissue: np.ndarray, volume_ml: float, edge_mm: float) -> np.ndarray:
    """Return the mask of tissue that is lost first and holds ``volume_ml``.

    What the noise cuts off is left out, unless only a sulcus parts it from the rest.
    """
    wanted_ml = volume_ml
    body = np.zeros(tissue.shape, dtype=bool)
    for _ in range(4):
        region = _largest_part(order_mm <= _threshold(order_mm, tissue, wanted_ml, edge_mm))
        body = region & (tissue >= _LEAST_TISSUE)
        short_ml = volume_ml - _held_ml(tissue[body], edge_mm)
        if short_ml < 0.03 * volume_ml:
            break
        wanted_ml += short_ml
    if _held_ml(tissue[body], edge_mm) > volume_ml:  # an island that came back is too much
        body &= order_mm <= _threshold(order_mm, tissue * body, volume_ml, edge_mm)
    return body


def _threshold(order_mm: np.ndarray, tissue: np.ndarray, volume_ml: float, edge_mm: float) -> float:
    usable = (tissue >= _LEAST_TISSUE) & (order_mm < _FAR_MM / 2)
    if not usable.any():
        raise DataError(_NO_TISSUE, _WHOLE)
    values = order_mm[usable]
    order = np.argsort(values, kind="stable")
    held_ml = np.cumsum(tissue[usable][order]) * edge_mm**3 / 1000
    return float(values[order[min(int(np.searchsorted(held_ml, volume_ml)), len(order) - 1)]])


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    largest: np.ndarray = parts == 1 + int(np.argmax(sizes[1:]))
    return largest


def _held_ml(tissue: np.ndarray, edge_mm: float) -> float:
    return float(tissue.sum()) * edge_mm**3 / 1000


def _cavity_and_rim(
    body: np.ndarray,
    healthy: np.ndarray,
    noise: list[np.ndarray],
    edge_mm: float,
    volume_ml: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Hollow the lesion out, and return ``(2, I, J, K)`` shares of cavity and rim.

    The rim lies against healthy tissue, 2 to 7 mm deep; towards the sulci the cavity has none. A few
    strands of gliosis stay in large cavities, and lacunes have a thin rim.
    """
    depth_mm = ndimage.distance_transform_edt(~healthy) * edge_mm
    largest_mm = min(6.0, 1.2 + 0.25 * volume_ml)
    rim_mm = generator.uniform(0.35, 1.0) * largest_mm * (1 + 0.45 * noise[0]).clip(0.35, 2.2)
    soft = ndimage.gaussian_filter(body.astype(np.float32), 0.5)
    hollow = soft * np.clip((depth_mm - edge_mm / 2 - rim_mm) / edge_mm + 0.5, 0, 1)
    hollow *= np.clip(2.2 - noise[2], 0.15, 1)
    return np.stack([hollow, soft - hollow]).astype(np.float32)
