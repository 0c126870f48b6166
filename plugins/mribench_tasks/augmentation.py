"""Crops of training volumes with a random affine, flips and intensity changes, in one resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.interfaces import Options


class AugmentOptions(Options):
    """Augmentation of training crops; each amount is the largest, drawn uniformly from -amount to amount."""

    affine_probability: float = Field(
        0.5, description="share of crops that are rotated, scaled and sheared", ge=0, le=1
    )
    rotation_deg: float = Field(15.0, ge=0, le=180, description="rotation about each axis, in degrees")
    scale: float = Field(0.1, ge=0, lt=1, description="change of size along each axis, 0.1 = 10 %")
    shear: float = Field(0.05, ge=0, lt=1, description="shear of each axis along each other")
    flip_probability: float = Field(
        0.5, description="share of crops that are mirrored, for each of flip_axes", ge=0, le=1
    )
    flip_axes: tuple[Literal[0, 1, 2], ...] = Field(
        (0,), description="axes that may be mirrored; 0 = left-right"
    )
    gain: float = Field(0.1, ge=0, lt=1, description="change of contrast, 0.1 = 10 %")
    offset: float = Field(0.1, ge=0, description="change of brightness, in standard deviations of the image")


NO_AUGMENTATION = AugmentOptions(affine_probability=0, flip_probability=0, gain=0, offset=0)


@dataclass(frozen=True)
class Augmentation:
    """One draw.

    Attributes:
        matrix: ``(3, 3)``, from voxel offsets in the crop to voxel offsets in the volume.
        gain: multiplies intensities.
        offset: is added to them after that.
    """

    matrix: Tensor
    gain: float
    offset: float


def draw_augmentation(options: AugmentOptions, generator: torch.Generator) -> Augmentation:
    """Draw from ``options``; takes the same number of random values whatever they are."""
    uniform = torch.rand(16, generator=generator, dtype=torch.float64)
    signed = (2 * uniform - 1).tolist()
    matrix = torch.eye(3, dtype=torch.float64)
    if uniform[0] < options.affine_probability:
        angles_rad = [math.radians(options.rotation_deg) * value for value in signed[1:4]]
        stretch = torch.tensor([1 + options.scale * value for value in signed[4:7]], dtype=torch.float64)
        shear = torch.eye(3, dtype=torch.float64)
        shear[[0, 0, 1], [1, 2, 2]] = torch.tensor(signed[7:10], dtype=torch.float64) * options.shear
        matrix = _rotation(angles_rad) @ shear @ torch.diag(stretch)
    for axis in options.flip_axes:
        if uniform[10 + axis] < options.flip_probability:
            matrix[:, axis] = -matrix[:, axis]
    return Augmentation(matrix, 1 + options.gain * signed[13], options.offset * signed[14])


def crop(
    volume: Tensor,
    centre_vox: tuple[int, int, int],
    patch_vox: int,
    matrix: Tensor,
    labels: bool = False,
) -> Tensor:
    """Return the patch ``(C, p, p, p)`` of a volume ``(C, I, J, K)`` about a voxel, through ``matrix``.

    What lies outside the volume has the value of its nearest border voxel. Without rotation, scaling and
    shear no value is interpolated.

    Args:
        volume: the image, or class maps.
        centre_vox: the voxel at index ``p // 2`` of the patch.
        patch_vox: edge p of the patch.
        matrix: ``(3, 3)``, from offsets in the patch to offsets in the volume.
        labels: take the nearest voxel and keep the type, where False interpolates linearly.
    """
    if bool((matrix.abs() == torch.eye(3)).all()):
        return _crop_on_grid(volume, centre_vox, patch_vox, matrix)
    offsets = torch.arange(patch_vox, dtype=torch.float32) - patch_vox // 2
    reach = matrix.abs().sum(1) * (patch_vox / 2 + 1)
    slices, places = [], []
    for size, centre, half in zip(volume.shape[1:], centre_vox, reach.tolist(), strict=True):
        start = min(max(0, math.floor(centre - half)), size - 1)
        stop = max(start + 1, min(size, math.ceil(centre + half) + 1))
        slices.append(slice(start, stop))
        places.append(centre - start)
    source = volume[:, slices[0], slices[1], slices[2]]
    grid = _sampling_grid(offsets, places, source.shape[1:], matrix.float())
    sampled = F.grid_sample(
        source[None].float(),
        grid[None],
        mode="nearest" if labels else "bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return sampled[0].to(volume.dtype)


def _sampling_grid(offsets: Tensor, places: list[int], shape: torch.Size, matrix: Tensor) -> Tensor:
    """Return where to sample, ``(p, p, p, 3)`` in -1..1, in ``grid_sample``'s order K, J, I."""
    axes = []
    for row, place, size in zip(matrix, places, shape, strict=True):
        along = row[0] * offsets[:, None, None] + row[1] * offsets[None, :, None] + row[2] * offsets
        axes.append((along + place) * (2 / max(1, size - 1)) - 1)
    return torch.stack(axes[::-1], dim=-1)


def _crop_on_grid(volume: Tensor, centre_vox: tuple[int, int, int], patch_vox: int, matrix: Tensor) -> Tensor:
    """Crop where the matrix only mirrors axes: no resampling."""
    for axis, centre in enumerate(centre_vox):
        direction = 1 if matrix[axis, axis] > 0 else -1
        index = centre + direction * (torch.arange(patch_vox) - patch_vox // 2)
        volume = volume.index_select(axis + 1, index.clamp(0, volume.shape[axis + 1] - 1))
    return volume


def _rotation(angles_rad: list[float]) -> Tensor:
    """Return the rotation about the axes I, J, K in this order."""
    result = torch.eye(3, dtype=torch.float64)
    for axis, angle in enumerate(angles_rad):
        one, two = [other for other in range(3) if other != axis]
        rotation = torch.eye(3, dtype=torch.float64)
        rotation[one, one] = rotation[two, two] = math.cos(angle)
        rotation[one, two], rotation[two, one] = -math.sin(angle), math.sin(angle)
        result = rotation @ result
    return result
