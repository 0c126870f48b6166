"""The head that all phantoms are warped from: MNI152 tissue maps and what surrounds the brain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from mribench_datasets.phantom.lesions import Brain

CHANNELS = ("gm", "wm", "csf", "striatum", "thalamus", "pallidum", "distance_mm")
"""Memberships in 0..1, and the distance from the brain's surface (negative inside)."""

_MARGIN_MM = 24
_NUCLEI = {
    # centre and half axes in MNI mm, right side; the left one mirrors it
    "striatum": (((13, 13, 8), (6, 11, 9)), ((17, -3, 18), (5, 12, 6)), ((27, 3, 0), (6, 16, 10))),
    "thalamus": (((11, -18, 8), (9, 13, 9)),),
    "pallidum": (((19, -4, -2), (5, 9, 6)),),
}
_EDGE_MM = 1.5
_FAR_MM = 100.0


@dataclass(frozen=True, eq=False)
class Template:
    """The template head in MNI space.

    Attributes:
        channels: ``(len(CHANNELS), I, J, K)`` float32.
        origin_mm: world coordinates of voxel (0, 0, 0).
        edge_mm: edge of the cubic voxels; the axes are RAS.
    """

    channels: np.ndarray
    origin_mm: np.ndarray
    edge_mm: float

    @property
    def tissue(self) -> np.ndarray:
        """Membership in any tissue of the brain, ``(I, J, K)``: all but CSF and what is outside."""
        return self.channels[[0, 1, 3, 4, 5]].sum(0)


@lru_cache(maxsize=2)
def load_template(edge_mm: int) -> Template:
    """Return the template with voxels of 1 or 2 mm.

    Grey and white matter are the ICBM 2009c nonlinear maps that nilearn ships; CSF is the rest of the brain
    mask; the deep nuclei are ellipsoids that take over grey and white matter.

    Args:
        edge_mm: 1 or 2.
    """
    # half a second of imports, which only a cohort that is being made needs
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template

    gm, wm, mask = (
        np.asarray(image.dataobj, dtype=np.float32)
        for image in (load_mni152_gm_template(1), load_mni152_wm_template(1), load_mni152_brain_mask(1))
    )
    affine = load_mni152_brain_mask(1).affine
    gm, wm = gm * mask, wm * mask
    total = np.maximum(gm + wm, 1)
    gm, wm = gm / total, wm / total
    maps, start = _around_brain(np.stack([gm, wm, mask]))
    maps = _block_mean(maps, edge_mm)
    origin_mm = affine[:3, 3] + start + (edge_mm - 1) / 2
    gm, wm, mask = maps
    nuclei, rest = _nuclei(gm + wm, origin_mm, edge_mm)
    distance_mm = _signed_distance(mask > 0.5) * edge_mm
    distance_mm[_faces(distance_mm.shape)] = _FAR_MM  # sampling repeats the outermost voxels
    channels = [gm * rest, wm * rest, (mask - gm - wm).clip(0), *nuclei.values(), distance_mm]
    return Template(np.stack(channels).astype(np.float32), origin_mm, float(edge_mm))


@lru_cache(maxsize=2)
def smooth_template(spacing_mm: float) -> Template:
    """Return the template averaged over voxels of ``spacing_mm``, for sampling at about that spacing.

    The average is a Gaussian of the variance of the box, because a box of an even number of voxels would
    shift the head.
    """
    template = load_template(1 if spacing_mm < 2 else 2)
    sigma_vox = blur_sigma_mm(spacing_mm, template.edge_mm) / template.edge_mm
    if sigma_vox < 0.1:
        return template
    channels = [
        *(ndimage.gaussian_filter(c, sigma_vox) for c in template.channels[:-1]),
        template.channels[-1],
    ]
    return Template(np.stack(channels), template.origin_mm, template.edge_mm)


@lru_cache(maxsize=1)
def template_brain() -> Brain:
    """Return the template as what a stroke meets: the cerebrum in voxels of 2 mm, in MNI space."""
    template = load_template(2)
    x, y, z = world_grid(template.channels.shape[1:], template.origin_mm, template.edge_mm)
    below_tentorium = (y < -36) & (z < -10 + 0.12 * (y + 36))
    stem = (np.abs(x) < 15) & (y > -50) & (y < -4) & (z < -7)
    tissue = np.where(below_tentorium | stem, 0, template.tissue).astype(np.float32)
    mni_mm = np.stack(np.broadcast_arrays(x, y, z)).astype(np.float32)
    side = np.where(np.abs(mni_mm[0]) > 1.5, np.sign(mni_mm[0]), 0).astype(np.int8)
    affine = np.diag([template.edge_mm, template.edge_mm, template.edge_mm, 1.0])
    affine[:3, 3] = template.origin_mm
    return Brain(tissue, mni_mm, side, affine, template.edge_mm)


def blur_sigma_mm(spacing_mm: float, edge_mm: float) -> float:
    """Return the width of the blur that turns voxels of ``edge_mm`` into voxels of ``spacing_mm``."""
    return float(np.sqrt(max(0.0, spacing_mm**2 - edge_mm**2) / 12))


def world_grid(shape: tuple[int, ...], origin_mm: np.ndarray, edge_mm: float) -> list[np.ndarray]:
    """Return the world coordinates (mm) of a grid's voxels: x, y, z, each along its own axis."""
    index = np.ogrid[tuple(slice(n) for n in shape)]
    return [origin_mm[a] + edge_mm * index[a] for a in range(3)]


def _around_brain(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pad and cut ``(C, I, J, K)`` maps (1 mm) to the brain and a margin; return them and the first voxel."""
    inside = np.argwhere(maps[2] > 0.5)
    low = inside.min(0) - _MARGIN_MM
    size = (inside.max(0) + 1 + _MARGIN_MM - low + 1) // 2 * 2
    padded = np.pad(maps, ((0, 0), *(((_MARGIN_MM + 1), (_MARGIN_MM + 1)),) * 3))
    cut = tuple(slice(s, s + n) for s, n in zip((low + _MARGIN_MM + 1).tolist(), size.tolist(), strict=True))
    return padded[(slice(None), *cut)], low


def _block_mean(maps: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return maps
    c, i, j, k = maps.shape
    blocks = maps.reshape(c, i // factor, factor, j // factor, factor, k // factor, factor)
    return blocks.mean(axis=(2, 4, 6))


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return np.where(mask, 0.5 - inside, outside - 0.5)


def _faces(shape: tuple[int, ...]) -> np.ndarray:
    """Return the mask of the outermost voxels."""
    faces = np.ones(shape, dtype=bool)
    faces[1:-1, 1:-1, 1:-1] = False
    return faces


def _nuclei(
    tissue: np.ndarray, origin_mm: np.ndarray, edge_mm: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the membership of each nucleus, and the share of grey and white matter that stays as it is."""
    x, y, z = world_grid(tissue.shape, origin_mm, edge_mm)
    free = np.ones_like(tissue)
    shares = {}
    for name in ("pallidum", "thalamus", "striatum"):  # where they touch, the first one wins
        share = np.zeros_like(tissue)
        for (cx, cy, cz), (rx, ry, rz) in _NUCLEI[name]:
            radius = np.sqrt(((np.abs(x) - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
            beyond_mm = (radius - 1) * min(rx, ry, rz)
            share = np.maximum(share, np.clip(0.5 - beyond_mm / _EDGE_MM, 0, 1))
        shares[name] = share * free
        free = free - shares[name]
    return {name: shares[name] * tissue for name in ("striatum", "thalamus", "pallidum")}, free
