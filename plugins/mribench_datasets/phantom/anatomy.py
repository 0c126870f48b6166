"""One subject's head: which tissue is where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from mribench.seeding import Identity, numpy_generator
from mribench_datasets.phantom.lesions import EDGE_MM, Lesion, draw_lesion, draw_volume_ml
from mribench_datasets.phantom.template import blur_sigma_mm, smooth_template
from mribench_datasets.phantom.tissues import TISSUES, draw_values
from mribench_datasets.phantom.warp import Warp, draw_warp, sample

_BRAIN = ("gm", "wm", "csf", "striatum", "thalamus", "pallidum")
NERVOUS = ("gm", "wm", "striatum", "thalamus", "pallidum")
_LAYERS_MM = {"csf": (2.5, 0.15), "bone": (6.0, 0.15), "fat": (4.0, 0.2), "skin": (2.5, 0.1)}
_NECK_MM, _NECK_EDGE_MM = -28.0, 6.0
_TEXTURE_CELL_MM = 8.0
_TEXTURE_LOW_MM = np.array([-120.0, -155.0, -120.0])
_TEXTURE_CELLS = (31, 34, 31)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A subject, independent of any grid.

    Attributes:
        warp: subject to template.
        values_3t: ``(tissues, properties)``.
        layers_mm: thickness of CSF, bone, fat and skin around the brain.
        texture: smooth noise ``(1, I, J, K)`` of unit variance in template space.
        lesion: or None.
        spacing_mm: the nominal voxel edge that partial volume is made for.
    """

    warp: Warp
    values_3t: np.ndarray
    layers_mm: dict[str, float]
    texture: np.ndarray
    lesion: Lesion | None
    spacing_mm: float

    def on_grid(self, affine: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return tissue memberships and texture on a grid.

        Args:
            affine: voxel to world ``(4, 4)``, mm.
            shape: ``(I, J, K)``.

        Returns:
            ``(tissues, I, J, K)`` in the order of ``TISSUES``, in 0..1, air being what is missing to 1; and
            the texture ``(I, J, K)``.
        """
        points_mm = self.warp(_points(affine, shape))
        template = smooth_template(self.spacing_mm)
        sampled = sample(template.channels, points_mm, template.origin_mm, template.edge_mm, "border")
        shares = {name: sampled[i].clip(0, 1) for i, name in enumerate(_BRAIN)}
        self._surround(shares, sampled[-1], points_mm[..., 2])
        self._injure(shares, points_mm)
        texture = sample(self.texture, points_mm, _TEXTURE_LOW_MM, _TEXTURE_CELL_MM)[0]
        empty = np.zeros(shape, dtype=np.float32)
        return np.stack([shares.get(tissue, empty) for tissue in TISSUES]), texture

    def _surround(self, shares: dict[str, np.ndarray], distance_mm: np.ndarray, z_mm: np.ndarray) -> None:
        """Add CSF, bone, fat, muscle and skin where the brain leaves room."""
        outside = np.clip(1 - sum(shares.values()), 0, 1)
        before, depth_mm = np.ones_like(outside), 0.0
        for tissue, thickness_mm in self.layers_mm.items():
            depth_mm += thickness_mm
            beyond = np.clip((distance_mm - depth_mm) / self.spacing_mm + 0.5, 0, 1)
            shares[tissue] = shares.get(tissue, 0) + outside * (before - beyond)
            before = beyond
        neck = 1 / (1 + np.exp((z_mm - _NECK_MM) / _NECK_EDGE_MM))
        shares["muscle"] = neck * (0.7 * shares["fat"] + 0.4 * shares["bone"])
        shares["fat"] = shares["fat"] * (1 - 0.7 * neck)
        shares["bone"] = shares["bone"] * (1 - 0.4 * neck)

    def _injure(self, shares: dict[str, np.ndarray], points_mm: np.ndarray) -> None:
        """Replace nervous tissue by cavity and rim."""
        if self.lesion is None:
            return
        cavity, rim = sample(self._blurred_lesion, points_mm, self.lesion.origin_mm, EDGE_MM)
        nervous = sum(shares[name] for name in NERVOUS)
        shares["cavity"], shares["rim"] = cavity * nervous, rim * nervous
        for name in NERVOUS:
            shares[name] = shares[name] * (1 - cavity - rim).clip(0, 1)

    @cached_property
    def _blurred_lesion(self) -> np.ndarray:
        """Cavity and rim averaged over voxels of the nominal spacing, once for all grids."""
        if self.lesion is None:
            return np.zeros((2, 2, 2, 2), dtype=np.float32)
        sigma_vox = blur_sigma_mm(self.spacing_mm, EDGE_MM) / EDGE_MM
        return np.stack([ndimage.gaussian_filter(part, sigma_vox) for part in self.lesion.membership])


def draw_anatomy(identity: tuple[Identity, ...], spacing_mm: float, has_lesion: bool) -> Anatomy:
    """Draw a subject; the same identity is the same person at any spacing.

    Args:
        identity: who it is.
        spacing_mm: nominal voxel edge of what will be made of it.
        has_lesion: whether it had a stroke.
    """
    warp = draw_warp(numpy_generator("phantom-warp", *identity))
    layers = numpy_generator("phantom-layers", *identity)
    thickness_mm = {
        name: mean * float(np.exp(sd * np.clip(layers.standard_normal(), -2, 2)))
        for name, (mean, sd) in _LAYERS_MM.items()
    }
    noise = numpy_generator("phantom-texture", *identity).standard_normal((1, *_TEXTURE_CELLS))
    strokes = numpy_generator("phantom-lesion", *identity)
    lesion = draw_lesion(strokes, draw_volume_ml(strokes) / warp.volume_scale) if has_lesion else None
    values = draw_values(numpy_generator("phantom-values", *identity))
    return Anatomy(warp, values, thickness_mm, noise.clip(-2.5, 2.5), lesion, spacing_mm)


def _points(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    index = np.ogrid[: shape[0], : shape[1], : shape[2]]
    axes = [sum(affine[row, a] * index[a] for a in range(3)) + affine[row, 3] for row in range(3)]
    return np.stack(np.broadcast_arrays(*axes), axis=-1).astype(np.float32)
