"""Smooth random fields and deformations: uniform cubic B-splines, evaluated axis by axis."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

FIELD_SD = (151 / 315) ** 1.5
"""Standard deviation of a 3D cubic B-spline field whose coefficients are standard normal.

151/315 is the mean over one interval of the sum of the squared basis functions along one axis.
"""


def control_points(length_vox: int, control_vox: float) -> int:
    """Return how many coefficients an axis of ``length_vox`` needs, one every ``control_vox``."""
    return math.ceil((length_vox - 1) / control_vox) + 3


@functools.lru_cache(maxsize=64)
def _basis(length_vox: int, control_vox: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    from scipy.interpolate import BSpline  # slow to import; only who draws needs it

    count = control_points(length_vox, control_vox)
    at = np.minimum(np.arange(length_vox) / control_vox, count - 3)
    knots = np.arange(count + 4, dtype=np.float64) - 3
    basis = torch.from_numpy(BSpline.design_matrix(at, knots, 3).toarray()).float()
    return basis.to(device, dtype)


def control_positions_vox(length_vox: int, control_vox: float) -> Tensor:
    """Return where each coefficient of an axis belongs, in voxels from the axis' centre.

    Coefficients that are a linear function of these positions give exactly that linear function, so an
    affine map and a deformation are one set of coefficients.
    """
    count = control_points(length_vox, control_vox)
    return (torch.arange(count, dtype=torch.float32) - 1) * control_vox - (length_vox - 1) / 2


def expand(coefficients: Tensor, shape_vox: Sequence[int], control_vox: float) -> Tensor:
    """Evaluate the spline on the voxels.

    Args:
        coefficients: ``(B, C, a, b, c)``, ``control_points`` along each axis.
        shape_vox: I, J, K.
        control_vox: distance of the coefficients in voxels.

    Returns:
        ``(B, C, I, J, K)``.
    """
    planes, basis = expand_planes(coefficients, shape_vox, control_vox)
    return (basis @ planes).unflatten(-1, (shape_vox[1], shape_vox[2]))


def expand_planes(
    coefficients: Tensor, shape_vox: Sequence[int], control_vox: float
) -> tuple[Tensor, Tensor]:
    """Evaluate the spline along J and K only: a row of the basis times the planes is one plane of voxels.

    Args:
        coefficients: ``(B, C, a, b, c)``.
        shape_vox: I, J, K.
        control_vox: distance of the coefficients in voxels.

    Returns:
        The planes ``(B, C, a, J K)`` and the basis ``(I, a)``.
    """
    bases = [_basis(length, control_vox, coefficients.device, coefficients.dtype) for length in shape_vox]
    planes = bases[1] @ (coefficients @ bases[2].T)
    return planes.flatten(-2), bases[0]
