"""Crops of training volumes with a random affine, flips and intensity changes, in one resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.interfaces.options import Options


class CropAugmentOptions(Options):
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


@dataclass(frozen=True)
class CropDraw:
    """One draw.

    Attributes:
        matrix: ``(3, 3)``, from voxel offsets in the crop to voxel offsets in the volume.
        gain: multiplies intensities.
        offset: is added to them after that.
    """

    matrix: Tensor
    gain: float
    offset: float


def draw_crop(options: CropAugmentOptions, generator: torch.Generator) -> CropDraw:
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
    return CropDraw(matrix, 1 + options.gain * signed[13], options.offset * signed[14])


class Window:
    """Where in a volume a patch lies; cuts it out of the image and out of its labels alike.

    What lies outside the volume has the value of its nearest border voxel. Without rotation, scaling and
    shear no value is interpolated.

    Args:
        shape_vox: shape of the volume.
        centre_vox: the voxel at index ``p // 2`` of the patch.
        patch_vox: edge p of the patch.
        matrix: ``(3, 3)``, from offsets in the patch to offsets in the volume.
    """

    def __init__(
        self, shape_vox: Sequence[int], centre_vox: tuple[int, int, int], patch_vox: int, matrix: Tensor
    ) -> None:
        offsets = torch.arange(patch_vox, dtype=torch.float32) - patch_vox // 2
        self._indices: list[Tensor] = []
        if bool((matrix.abs() == torch.eye(3)).all()):
            for size, centre, direction in zip(shape_vox, centre_vox, matrix.diagonal(), strict=True):
                self._indices.append((centre + direction * offsets).long().clamp(0, size - 1))
            return
        reach = (matrix.abs().sum(1) * (patch_vox / 2 + 1)).tolist()
        self._box, corner = _box(shape_vox, centre_vox, reach)
        edges = [part.stop - part.start for part in self._box]
        self._grid = _sampling_grid(offsets, corner, edges, matrix)

    def cut(self, volume: Tensor, labels: bool = False) -> Tensor:
        """Return the patch ``(C, p, p, p)`` of ``(C, I, J, K)``.

        Args:
            volume: an image, or a class map.
            labels: take the nearest voxel, where False interpolates linearly; the type is kept.
        """
        if self._indices:
            for axis, index in enumerate(self._indices, start=1):
                volume = volume.index_select(axis, index)
            return volume
        i, j, k = self._box
        sampled = F.grid_sample(
            volume[None, :, i, j, k].float(),
            self._grid,
            mode="nearest" if labels else "bilinear",
            padding_mode="border",
            align_corners=True,
        )
        return sampled[0].to(volume.dtype)


def _box(
    shape_vox: Sequence[int], centre_vox: Sequence[int], reach_vox: Sequence[float]
) -> tuple[list[slice], list[int]]:
    """Return the part of the volume within reach of the centre, and the centre's place in it."""
    slices, places = [], []
    for size, centre, reach in zip(shape_vox, centre_vox, reach_vox, strict=True):
        start = min(max(0, math.floor(centre - reach)), size - 1)
        slices.append(slice(start, max(start + 1, min(size, math.ceil(centre + reach) + 1))))
        places.append(centre - start)
    return slices, places


def _sampling_grid(offsets: Tensor, corner: Sequence[int], edges: Sequence[int], matrix: Tensor) -> Tensor:
    """Return where to sample, ``(1, p, p, p, 3)`` in -1..1, in ``grid_sample``'s order K, J, I."""
    scale = torch.tensor([2 / max(1, edge - 1) for edge in edges], dtype=torch.float64)
    scaled = (scale[:, None] * matrix).flip(0).float()
    shift = (scale * torch.tensor(corner) - 1).flip(0).float()
    along_i, along_j, along_k = (offsets[:, None] * column for column in scaled.T)
    return (along_i[:, None, None] + along_j[:, None] + (along_k + shift))[None]


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
