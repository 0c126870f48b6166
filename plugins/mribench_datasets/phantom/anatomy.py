"""One subject's head: which tissue is where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from mribench.seeding import Identity, numpy_generator
from mribench_datasets.phantom.covariates import Traits
from mribench_datasets.phantom.head import Anatomy, Head, Part, injure
from mribench_datasets.phantom.lesions import Lesion, draw_lesion, draw_volume_ml
from mribench_datasets.phantom.template import blur_sigma_mm, smooth_template, template_brain
from mribench_datasets.phantom.tissues import TISSUES, draw_values
from mribench_datasets.phantom.warp import Warp, draw_warp, sample

_BRAIN = ("gm", "wm", "csf", "striatum", "thalamus", "pallidum")
FIELD_OF_VIEW_MM = (208.0, 248.0, 224.0)
"""Holds every head that the warp can make."""

_LAYERS_MM = {"csf": (2.5, 0.15), "bone": (6.0, 0.15), "fat": (4.0, 0.2), "skin": (2.5, 0.1)}
_SIZE_MEAN, _SIZE_SD = 0.778, 0.042  # of the warp's volume scale, over people
_NECK_MM, _NECK_EDGE_MM = -28.0, 6.0
_TEXTURE_CELL_MM = 8.0
_TEXTURE_LOW_MM = np.array([-120.0, -155.0, -120.0])
_TEXTURE_CELLS = (31, 34, 31)


@dataclass(frozen=True, eq=False)
class TemplateAnatomy(Anatomy):
    """The template head, warped.

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

    def grid(
        self, edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Return the RAS grid of an acquisition, around the origin."""
        return native_grid(self.spacing_mm, edge_scale)

    def traits(self) -> Traits:
        """Return the thickness of the fluid around the brain and the size of the head, as deviations."""
        mean_mm, sd = _LAYERS_MM["csf"]
        fluid = math.log(self.layers_mm["csf"] / mean_mm) / sd
        return Traits(fluid, (self.warp.volume_scale - _SIZE_MEAN) / _SIZE_SD)

    def on_grid(self, affine: np.ndarray, shape: tuple[int, int, int]) -> Head:
        """Return the head on a grid, see ``Anatomy.on_grid``."""
        points_mm = self.warp(_points(affine, shape))
        template = smooth_template(self.spacing_mm)
        sampled = sample(template.channels, points_mm, template.origin_mm, template.edge_mm, "border")
        shares = {name: sampled[i].clip(0, 1) for i, name in enumerate(_BRAIN)}
        self._surround(shares, sampled[-1], points_mm[..., 2])
        whole = (slice(None), slice(None), slice(None))
        parts = [Part(name, self._values(name), whole, share) for name, share in shares.items()]
        if self.lesion is not None:
            lost = sample(self._blurred_lesion, points_mm, self.lesion.origin_mm, self.lesion.edge_mm)
            values = np.stack([self._values("cavity"), self._values("rim")])
            parts = injure(parts, lost[0], lost[1], values)
        texture = sample(self.texture, points_mm, _TEXTURE_LOW_MM, _TEXTURE_CELL_MM)[0]
        return Head(affine, shape, tuple(parts), texture)

    def _values(self, tissue: str) -> np.ndarray:
        values: np.ndarray = self.values_3t[TISSUES.index(tissue)]
        return values

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

    @cached_property
    def _blurred_lesion(self) -> np.ndarray:
        """Cavity and rim averaged over voxels of the nominal spacing, once for all grids."""
        if self.lesion is None:
            return np.zeros((2, 2, 2, 2), dtype=np.float32)
        edge_mm = self.lesion.edge_mm
        sigma_vox = blur_sigma_mm(self.spacing_mm, edge_mm) / edge_mm
        return np.stack([ndimage.gaussian_filter(part, sigma_vox) for part in self.lesion.membership])


def draw_anatomy(identity: tuple[Identity, ...], spacing_mm: float, has_lesion: bool) -> TemplateAnatomy:
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
    lesion = None
    if has_lesion:
        lesion = draw_lesion(strokes, draw_volume_ml(strokes) / warp.volume_scale, template_brain())
    values = draw_values(numpy_generator("phantom-values", *identity))
    return TemplateAnatomy(warp, values, thickness_mm, noise.clip(-2.5, 2.5), lesion, spacing_mm)


def native_grid(
    spacing_mm: float, edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the RAS grid of a phantom's acquisition: affine ``(4, 4)`` in mm and shape ``(I, J, K)``."""
    edges_mm = np.array(edge_scale) * spacing_mm
    i, j, k = np.ceil(np.array(FIELD_OF_VIEW_MM) / edges_mm).astype(int).tolist()
    affine = np.diag([*edges_mm, 1.0])
    affine[:3, 3] = -(np.array((i, j, k)) - 1) / 2 * edges_mm
    return affine, (i, j, k)


def _points(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    index = np.ogrid[: shape[0], : shape[1], : shape[2]]
    axes = [sum(affine[row, a] * index[a] for a in range(3)) + affine[row, 3] for row in range(3)]
    return np.stack(np.broadcast_arrays(*axes), axis=-1).astype(np.float32)
