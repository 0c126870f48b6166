"""Chronic stroke lesions: a cavity with a gliotic rim, in the territory of an artery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from mribench_datasets.phantom.template import Template, load_template, world_grid

EDGE_MM = 2
"""Lesions are drawn on the template's 2 mm grid."""

_SMALLEST_ML, _LARGEST_ML = 0.5, 200.0
_LEFT_SHARE = 0.85  # of strokes with aphasia
_TERRITORIES = {
    # centre and half axes (MNI mm, right side), how often, and the largest volume (ml)
    "middle cerebral, superior": ((42, 6, 22), (24, 34, 28), 0.35, 250),
    "middle cerebral, inferior": ((48, -34, 10), (22, 38, 24), 0.30, 250),
    "lenticulostriate": ((25, 0, 6), (11, 20, 13), 0.15, 20),
    "anterior cerebral": ((9, 32, 32), (9, 40, 28), 0.10, 60),
    "posterior cerebral": ((18, -72, 4), (15, 26, 18), 0.10, 80),
}
_ROUGHNESS = 0.45
_RIM_MM = 3.0


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion in template space.

    Attributes:
        membership: ``(2, I, J, K)`` shares of cavity and rim, of the brain's tissue at each voxel.
        origin_mm: world coordinates of voxel (0, 0, 0); the voxels are 2 mm cubes in RAS.
        territory: the artery.
        volume_ml: of cavity and rim in the template.
    """

    membership: np.ndarray
    origin_mm: np.ndarray
    territory: str
    volume_ml: float


def draw_volume_ml(generator: np.random.Generator) -> float:
    """Draw the volume of a chronic lesion: from 0.5 to 200 ml, median 26 ml, 3 % under 1, 18 % over 100."""
    position = generator.random() ** 0.6
    return float(_SMALLEST_ML * (_LARGEST_ML / _SMALLEST_ML) ** position)


def draw_lesion(generator: np.random.Generator, volume_ml: float) -> Lesion:
    """Grow a lesion of a given volume from a seed in one hemisphere's territory.

    Voxels join in the order of their elliptic distance from the seed, roughened by smooth noise; only
    tissue can join, so the ventricles and sulci keep their CSF.

    Args:
        generator: of the subject.
        volume_ml: in template space; lowered where the hemisphere does not hold it.
    """
    template = load_template(EDGE_MM)
    tissue = template.tissue
    territory = _draw_territory(generator, volume_ml)
    side = -1 if generator.random() < _LEFT_SHARE else 1
    distance = _distance_from_seed(generator, template, territory, side)
    body = _grow(distance, tissue, volume_ml)
    membership = _cavity_and_rim(body, generator)
    return Lesion(membership, template.origin_mm, territory, _held_ml(membership.sum(0) * tissue))


def _draw_territory(generator: np.random.Generator, volume_ml: float) -> str:
    """Return an artery whose territory is large enough."""
    held = {name: row[2] for name, row in _TERRITORIES.items() if row[3] >= min(volume_ml, 250)}
    shares = np.array(list(held.values()))
    return list(held)[generator.choice(len(held), p=shares / shares.sum())]


def _distance_from_seed(
    generator: np.random.Generator, template: Template, territory: str, side: int
) -> np.ndarray:
    """Return the order in which voxels join, ``(I, J, K)``; infinite in the other hemisphere."""
    shape = template.channels.shape[1:]
    x, y, z = world_grid(shape, template.origin_mm, template.edge_mm)
    centre, axes, _, _ = _TERRITORIES[territory]
    jitter = 0.35 * generator.standard_normal(3).clip(-1.5, 1.5)
    sx, sy, sz = (c + j * a for c, j, a in zip(centre, jitter, axes, strict=True))
    radius = np.sqrt(
        ((side * x - max(sx, 4)) / axes[0]) ** 2 + ((y - sy) / axes[1]) ** 2 + ((z - sz) / axes[2]) ** 2
    )
    coarse = ndimage.gaussian_filter(generator.standard_normal([n // 4 for n in shape]), 1.0)
    noise = F.interpolate(
        torch.from_numpy(coarse / coarse.std()).clip(-2, 2)[None, None], shape, mode="trilinear"
    )
    radius = radius + _ROUGHNESS * noise[0, 0].numpy() * np.minimum(radius, 1)
    return np.where(side * x > 1, radius, np.inf)


def _grow(distance: np.ndarray, tissue: np.ndarray, volume_ml: float) -> np.ndarray:
    """Return the connected mask of tissue voxels nearest to the seed that holds ``volume_ml``."""
    usable = (tissue > 0.5) & np.isfinite(distance)
    body, wanted_ml = usable, volume_ml
    for _ in range(4):  # islands that the noise cuts off are dropped, and the rest grows in their stead
        body = _largest_part(_nearest(distance, tissue, usable, wanted_ml))
        short_ml = volume_ml - _held_ml(tissue[body])
        if short_ml < 0.03 * volume_ml:
            break
        wanted_ml += short_ml
    return _largest_part(_nearest(distance, tissue, body, volume_ml))  # an island that came back is too much


def _nearest(distance: np.ndarray, tissue: np.ndarray, usable: np.ndarray, volume_ml: float) -> np.ndarray:
    """Return the mask of the usable voxels nearest to the seed that hold ``volume_ml``, or of all."""
    distances = distance[usable]
    order = np.argsort(distances, kind="stable")
    held_ml = np.cumsum(tissue[usable][order]) * EDGE_MM**3 / 1000
    last = min(int(np.searchsorted(held_ml, volume_ml)), len(order) - 1)
    nearest: np.ndarray = usable & (distance <= distances[order[last]])
    return nearest


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    largest: np.ndarray = parts == 1 + int(np.argmax(sizes[1:]))
    return largest


def _held_ml(tissue: np.ndarray) -> float:
    return float(tissue.sum()) * EDGE_MM**3 / 1000


def _cavity_and_rim(body: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Hollow the lesion out from a depth of a few mm; small ones stay gliotic."""
    filled = ndimage.find_objects(body.astype(np.int8))[0]
    i, j, k = (slice(max(0, side.start - 4), side.stop + 4) for side in filled)
    part = body[i, j, k]
    depth_mm = ndimage.distance_transform_edt(part) * EDGE_MM
    rim_mm = _RIM_MM * generator.uniform(0.8, 1.8)
    soft = ndimage.gaussian_filter(part.astype(np.float64), 0.5)
    hollow = soft * np.clip((depth_mm - rim_mm) / EDGE_MM + 0.5, 0, 1)
    membership = np.zeros((2, *body.shape), dtype=np.float32)
    membership[0, i, j, k], membership[1, i, j, k] = hollow, soft - hollow
    return membership
