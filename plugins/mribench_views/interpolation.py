"""Trilinear interpolation at the positions that a spline gives: what a view's one resampling is made of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mribench_views import splines

_CACHE_VOXELS = 36864
"""On a CPU positions are worked on by slabs of about this size, which stay in the cache."""


def sample(source: Tensor, coefficients_vox: Tensor, view_vox: int, control_vox: float) -> Tensor:
    """Return the source's values at the voxels of a view; beyond the source's border the border goes on.

    The values are those of ``torch.nn.functional.grid_sample`` (bilinear, border, aligned corners). That
    takes the voxels one by one on a CPU; there the same is done here by vectorised gathers, in about half
    the time.

    Args:
        source: ``(B, 1, I, J, K)``.
        coefficients_vox: ``(B, 3, a, b, c)`` spline coefficients of the position along I, J and K, in voxels
            from the source's centre.
        view_vox: edge v of the view.
        control_vox: distance of the coefficients in voxels.

    Returns:
        ``(B, 1, v, v, v)``.
    """
    if source.device.type != "cpu" or min(source.shape[2:]) < 2:
        return _by_grid_sample(source, coefficients_vox, view_vox, control_vox)
    views = [
        _gathered(image[0], coefficients, view_vox, control_vox)
        for image, coefficients in zip(source, coefficients_vox, strict=True)
    ]
    return torch.stack(views)[:, None]


def _by_grid_sample(source: Tensor, coefficients_vox: Tensor, view_vox: int, control_vox: float) -> Tensor:
    half = torch.tensor([(length - 1) / 2 for length in source.shape[2:]]).clamp_min(0.5)
    scaled = coefficients_vox / half.to(coefficients_vox).view(3, 1, 1, 1)  # -1..1, as grid_sample counts
    grid = splines.expand(scaled.flip(1).to(source), (view_vox,) * 3, control_vox)  # it names K first
    return F.grid_sample(
        source, grid.permute(0, 2, 3, 4, 1), mode="bilinear", padding_mode="border", align_corners=True
    )


def _gathered(image: Tensor, coefficients_vox: Tensor, view_vox: int, control_vox: float) -> Tensor:
    image = image.contiguous()
    planes, basis = splines.expand_planes(coefficients_vox.to(image)[None], (view_vox,) * 3, control_vox)
    centre = torch.tensor([(length - 1) / 2 for length in image.shape]).to(image).view(3, 1, 1)
    view = image.new_empty(view_vox, view_vox * view_vox)
    rows = max(1, _CACHE_VOXELS // view_vox**2)
    for first in range(0, view_vox, rows):
        slab = slice(first, first + rows)
        position_vox = (basis[slab] @ planes[0]).add_(centre)  # (3, rows, v²)
        _trilinear(image, position_vox.flatten(1), view[slab].view(-1))
    return view.view((view_vox,) * 3)


def _trilinear(image: Tensor, position_vox: Tensor, out: Tensor) -> None:
    """Write the values of ``(I, J, K)`` at positions ``(3, n)``, counted from its first voxel."""
    lengths = image.shape
    corner = torch.empty_like(position_vox, dtype=torch.int32)
    for axis, length in enumerate(lengths):
        corner[axis] = position_vox[axis].clamp_(0, length - 1)
        corner[axis].clamp_(max=length - 2)
    weight = position_vox.sub_(corner)
    index = corner[0].mul(lengths[1]).add_(corner[1]).mul_(lengths[2]).add_(corner[2])
    values = image.view(-1)
    line, plane = lengths[2], lengths[1] * lengths[2]

    def along_k(offset: int) -> Tensor:
        first = values[offset:].index_select(0, index)
        return first.lerp_(values[offset + 1 :].index_select(0, index), weight[2])

    def along_jk(offset: int) -> Tensor:
        return along_k(offset).lerp_(along_k(offset + line), weight[1])

    torch.lerp(along_jk(0), along_jk(plane), weight[0], out=out)
