"""How one head differs in shape from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

_CELL_MM = 10.0
_LOW_MM = np.array([-110.0, -145.0, -110.0])
_CELLS = (23, 25, 23)
_SMOOTHNESS_MM = 24.0
_VELOCITY_SD_MM = 4.5
_SQUARINGS = 6
_SCALE_MEAN, _SCALE_SD = 0.92, 0.03  # the template is larger than an average head
_ROTATION_SD_DEG, _SHIFT_SD_MM = 4.0, 2.5


@dataclass(frozen=True, eq=False)
class Warp:
    """A map from a subject's space to the template's: affine, then a diffeomorphism.

    Attributes:
        affine: ``(4, 4)``, mm to mm.
        displacement_mm: ``(3, I, J, K)`` on a coarse grid in template space.
    """

    affine: np.ndarray
    displacement_mm: np.ndarray

    @property
    def volume_scale(self) -> float:
        """Volume in the subject of one unit of volume in the template, on average."""
        return float(1 / np.linalg.det(self.affine[:3, :3]))

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """Map points ``(..., 3)`` of the subject to the template, mm."""
        affine = self.affine.astype(points_mm.dtype)
        moved = points_mm @ affine[:3, :3].T + affine[:3, 3]
        shift = sample(self.displacement_mm, moved, _LOW_MM, _CELL_MM, "border")
        return moved + np.moveaxis(shift, 0, -1)


def draw_warp(generator: np.random.Generator) -> Warp:
    """Draw a smooth, invertible warp.

    The diffeomorphism is the exponential of a smooth stationary velocity field, by scaling and squaring
    (Arsigny et al. 2006, doi 10.1007/11866565_113).

    Args:
        generator: of the subject.
    """
    noise = generator.standard_normal((3, *_CELLS))
    sigma = _SMOOTHNESS_MM / _CELL_MM
    velocity = np.stack([ndimage.gaussian_filter(component, sigma) for component in noise])
    velocity -= velocity.mean(axis=(1, 2, 3), keepdims=True)
    velocity *= _VELOCITY_SD_MM / velocity.std(axis=(1, 2, 3), keepdims=True)
    return Warp(_draw_affine(generator), _exponential(velocity))


def sample(
    channels: np.ndarray, points_mm: np.ndarray, low_mm: np.ndarray, edge_mm: float, outside: str = "zeros"
) -> np.ndarray:
    """Interpolate channels on a regular RAS grid trilinearly at points.

    Args:
        channels: ``(C, I, J, K)``.
        points_mm: ``(i, j, k, 3)`` world coordinates.
        low_mm: world coordinates of voxel (0, 0, 0).
        edge_mm: edge of the cubic voxels.
        outside: ``zeros`` or ``border``, what lies beyond the grid.

    Returns:
        ``(C, i, j, k)`` float32.
    """
    last_vox = np.array(channels.shape[1:]) - 1
    points = points_mm.astype(np.float32, copy=False)
    unit = (points - low_mm.astype(np.float32)) * (2 / (edge_mm * last_vox)).astype(np.float32) - 1
    grid = torch.from_numpy(np.ascontiguousarray(unit[None, ..., ::-1]))
    source = torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32))[None]
    result: np.ndarray = F.grid_sample(source, grid, padding_mode=outside, align_corners=True)[0].numpy()
    return result


def _draw_affine(generator: np.random.Generator) -> np.ndarray:
    """Draw rotation, scale and shift from the subject to the template."""
    angles_deg = _ROTATION_SD_DEG * generator.standard_normal(3).clip(-2, 2)
    scale = _SCALE_MEAN + _SCALE_SD * generator.standard_normal(3).clip(-2, 2)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(1 / scale) @ Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    shift_mm = np.array([0.0, -18.0, 8.0]) + _SHIFT_SD_MM * generator.standard_normal(3).clip(-2, 2)
    # the middle of the template's brain is brought near the origin of the subject's space
    affine[:3, 3] = shift_mm
    return affine


def _exponential(velocity_mm: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in velocity_mm.shape[1:]), indexing="ij"), axis=-1)
    points_mm = _LOW_MM + _CELL_MM * index
    displacement = velocity_mm / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        moved = points_mm + np.moveaxis(displacement, 0, -1)
        displacement = displacement + sample(displacement, moved, _LOW_MM, _CELL_MM, "border")
    return displacement
