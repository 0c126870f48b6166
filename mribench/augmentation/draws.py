"""Augmentation of views: what can be asked for, and the draw of one view's parameters.

Drawing is apart from applying: a draw is small numbers from a CPU generator, the same whatever the
device; ``apply`` turns a batch of draws into views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from mribench.augmentation.splines import FIELD_SD, control_points
from mribench.interfaces.options import Options


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("expected the smaller limit first")
    return limits


Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
Limits = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]], AfterValidator(_ordered)
]


class AugmentOptions(Options):
    """How views are augmented; each view has its own draw. The ranges are drawn from uniformly."""

    rotation_deg: float = Field(
        default=15.0, ge=0, le=180, description="largest rotation about each of the three axes, either way"
    )
    shear: float = Field(
        default=0.012, ge=0, le=0.5, description="largest shear of each axis along each other, either way"
    )
    scale: float = Field(
        default=0.0, ge=0, lt=1, description="largest change of size along each axis, as a share, either way"
    )
    flip_probability: Share = Field(default=0.5, description="probability of a flip along each axis")
    elastic_probability: Share = Field(default=0.5, description="share of views with an elastic deformation")
    elastic_sd_mm: Limits = Field(
        default=(0.0, 1.5), description="standard deviation of the displacement along each axis (mm)"
    )
    elastic_spacing_mm: float = Field(
        default=24.0, gt=0, description="distance of the deformation's control points (mm)"
    )
    bias_probability: Share = Field(default=0.5, description="share of views with a receive field (B1-)")
    bias_sd: Limits = Field(
        default=(0.0, 0.3), description="standard deviation of the receive field's logarithm"
    )
    bias_spacing_mm: float = Field(
        default=60.0, gt=0, description="distance of the receive field's control points (mm)"
    )
    gibbs_probability: Share = Field(
        default=0.5, description="share of views with truncation (Gibbs) ringing"
    )
    gibbs_kept: Shares = Field(
        default=(0.5, 1.0), description="share of the spatial frequencies kept along each axis"
    )
    noise_probability: Share = Field(default=0.5, description="share of views with Rician noise")
    noise_sigma: Limits = Field(
        default=(0.0, 0.1),
        description="standard deviation of the noise in each channel; the image's own range is 0 to 1",
    )
    dropout_probability: Share = Field(default=0.5, description="share of views with cuboids dropped")
    dropout_cuboids: Annotated[
        tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], AfterValidator(_ordered)
    ] = Field(default=(1, 8), description="fewest and most cuboids")
    dropout_edge: Shares = Field(
        default=(0.1, 0.4), description="edges of a cuboid, each axis apart, as a share of the view's"
    )


@dataclass(frozen=True)
class AugmentDraw:
    """One view's parameters. Axes are I, J, K throughout.

    Attributes:
        matrix: ``(3, 3)``, from voxels relative to the view's centre to voxels of the source.
        offset_vox: where the view's centre lies relative to the source's.
        displacement_vox: ``(3, a, b, c)`` spline coefficients of the elastic deformation.
        log_receive: ``(1, a, b, c)`` spline coefficients of the receive field's logarithm.
        gibbs_kept: share of frequencies kept along each axis; 1 = all.
        noise_sigma: standard deviation of each channel's noise; 0 = none.
        noise_seed: seed of the noise.
        cuboids_vox: dropped boxes, ``(first, last + 1)`` along each axis.
        parameters: the same in numbers that a record can carry, with units in the names.
    """

    matrix: Tensor
    offset_vox: Tensor
    displacement_vox: Tensor
    log_receive: Tensor
    gibbs_kept: tuple[float, float, float]
    noise_sigma: float
    noise_seed: int
    cuboids_vox: tuple[tuple[tuple[int, int], ...], ...]
    parameters: dict[str, Any]


def draw_augmentation(
    options: AugmentOptions,
    view_vox: int,
    source_vox: tuple[int, int, int],
    spacing_mm: float,
    generator: torch.Generator,
    *,
    radians: bool = False,
) -> AugmentDraw:
    """Draw one view's augmentation.

    Args:
        options: ranges and probabilities.
        view_vox: edge of the view.
        source_vox: shape of the crop that the view is cut from.
        spacing_mm: isotropic voxel size.
        generator: on the CPU; nothing else is random.
        radians: take the degrees as radians, and turn about the first axis only: a known error.
    """
    unit = torch.rand(32, generator=generator, dtype=torch.float64).tolist()
    rotation_rad = [math.radians(options.rotation_deg) * (2 * u - 1) for u in unit[0:3]]
    if radians:
        rotation_rad = [options.rotation_deg * (2 * unit[0] - 1), 0.0, 0.0]
    shear = [options.shear * (2 * u - 1) for u in unit[3:9]]
    scale = [1 + options.scale * (2 * u - 1) for u in unit[9:12]]
    flips = [u < options.flip_probability for u in unit[12:15]]
    slack = [max(0, source - view_vox) for source in source_vox]
    offset_vox = [room * (u - 0.5) for room, u in zip(slack, unit[15:18], strict=True)]

    elastic_sd_mm = _sometimes(options.elastic_probability, options.elastic_sd_mm, unit[18:20])
    bias_sd = _sometimes(options.bias_probability, options.bias_sd, unit[20:22])
    kept = (1.0, 1.0, 1.0)
    if unit[22] < options.gibbs_probability:
        kept = (
            _between(options.gibbs_kept, unit[23]),
            _between(options.gibbs_kept, unit[24]),
            _between(options.gibbs_kept, unit[25]),
        )
    noise_sigma = _sometimes(options.noise_probability, options.noise_sigma, unit[26:28])
    low, high = options.dropout_cuboids
    cuboids = (
        min(high, low + int((high - low + 1) * unit[29])) if unit[28] < options.dropout_probability else 0
    )

    elastic = _coefficients(3, view_vox, options.elastic_spacing_mm / spacing_mm, generator)
    bias = _coefficients(1, view_vox, options.bias_spacing_mm / spacing_mm, generator)
    boxes = tuple(_cuboid(options.dropout_edge, view_vox, generator) for _ in range(cuboids))
    return AugmentDraw(
        matrix=_matrix(rotation_rad, shear, scale, flips),
        offset_vox=torch.tensor(offset_vox),
        displacement_vox=elastic * (elastic_sd_mm / spacing_mm),
        log_receive=bias * bias_sd,
        gibbs_kept=kept,
        noise_sigma=noise_sigma,
        noise_seed=int(torch.randint(2**62, (), generator=generator).item()),
        cuboids_vox=boxes,
        parameters={
            "rotation_deg": tuple(math.degrees(angle) for angle in rotation_rad),
            "shear": tuple(shear),
            "scale": tuple(scale),
            "flip": tuple(flips),
            "offset_vox": tuple(offset_vox),
            "elastic_sd_mm": elastic_sd_mm,
            "bias_sd": bias_sd,
            "gibbs_kept": kept,
            "noise_sigma": noise_sigma,
            "dropout_cuboids_vox": boxes,
        },
    )


def _between(limits: tuple[float, float], unit: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * unit


def _sometimes(probability: float, limits: tuple[float, float], unit: list[float]) -> float:
    return _between(limits, unit[1]) if unit[0] < probability else 0.0


def _coefficients(channels: int, view_vox: int, control_vox: float, generator: torch.Generator) -> Tensor:
    """Draw spline coefficients whose field has standard deviation 1."""
    count = control_points(view_vox, control_vox)
    return torch.randn(channels, count, count, count, generator=generator) / FIELD_SD


def _cuboid(
    edges: tuple[float, float], view_vox: int, generator: torch.Generator
) -> tuple[tuple[int, int], ...]:
    unit = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
    box = []
    for size_unit, place_unit in zip(unit[:3], unit[3:], strict=True):
        size_vox = min(view_vox, max(1, round(_between(edges, size_unit) * view_vox)))
        first = min(view_vox - size_vox, int(place_unit * (view_vox - size_vox + 1)))
        box.append((first, first + size_vox))
    return tuple(box)


def _matrix(rotation_rad: list[float], shear: list[float], scale: list[float], flips: list[bool]) -> Tensor:
    """Compose rotations about I, J and K, shear, scale and flips into ``(3, 3)``."""
    from scipy.spatial.transform import Rotation  # slow to import; only who draws needs it

    shears = np.eye(3)
    shears[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]] = shear
    signs = [-size if flip else size for size, flip in zip(scale, flips, strict=True)]
    matrix = Rotation.from_euler("XYZ", rotation_rad).as_matrix() @ shears @ np.diag(signs)
    return torch.from_numpy(matrix).float()
