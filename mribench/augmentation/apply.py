"""Applies a batch of augmentation draws: one resampling, then artefacts, then the z-score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mribench.augmentation import interpolation, splines
from mribench.augmentation.draws import AugmentDraw

SMALLEST_SD = 1e-6
"""A patch flatter than this (an empty one) is divided by it."""

_PERCENTILE_VOXELS = 8192


def intensity_window(signal: Tensor, low: float, high: float) -> Tensor:
    """Return the signal moved to 0..1 between two percentiles, and clipped: in place.

    The percentiles are those of a regular subset of about 8000 voxels.

    Args:
        signal: ``(B, I, J, K)``.
        low: lower percentile, 0 to 100.
        high: upper percentile, 0 to 100.
    """
    flat = signal.flatten(1)
    stride = max(1, flat.shape[1] // _PERCENTILE_VOXELS)
    while math.gcd(stride, math.prod(signal.shape[2:])) > 1 and stride > 1:
        stride -= 1  # a stride that divides the rows would look at a few columns only
    subset = flat[:, ::stride].contiguous()
    last = subset.shape[1] - 1
    floor = _ranked(subset, round(last * low / 100)).view(-1, 1, 1, 1)
    ceiling = _ranked(subset, round(last * high / 100)).view(-1, 1, 1, 1)
    scale = (ceiling - floor).clamp_min(torch.finfo(signal.dtype).tiny).reciprocal()
    return signal.sub_(floor).mul_(scale).clamp_(0, 1)


def _ranked(values: Tensor, rank: int) -> Tensor:
    """Return the value of each row ``(B, n)`` that ``rank`` others precede."""
    if values.device.type == "cpu":
        return values.kthvalue(rank + 1, dim=1).values
    return values.sort(dim=1).values[:, rank]  # kthvalue is refused there in torch's deterministic mode


def equalise(image: Tensor, bins: int = 256) -> Tensor:
    """Return the image with each sample's histogram made flat.

    Args:
        image: ``(B, I, J, K)``, 0 to 1.
        bins: of the histogram.
    """
    samples = image.shape[0]
    bin_of = (image * bins).long().clamp_(0, bins - 1).flatten(1)
    first = bins * torch.arange(samples, device=image.device)[:, None]
    tally = bin_of.new_zeros(samples * bins)
    tally.scatter_add_(0, (bin_of + first).flatten(), torch.ones_like(bin_of).flatten())
    below = tally.view(samples, bins).cumsum(1).to(image)
    return (below.gather(1, bin_of) / bin_of.shape[1]).view_as(image)


def resample(source: Tensor, draws: Sequence[AugmentDraw], view_vox: int, control_vox: float) -> Tensor:
    """Cut views out of a source crop: crop, affine map, flips and deformation in one interpolation.

    Args:
        source: ``(B, 1, I, J, K)``; beyond its border the border goes on.
        draws: one per sample.
        view_vox: edge v of the view.
        control_vox: distance of the deformation's control points.

    Returns:
        ``(B, 1, v, v, v)``, trilinear.
    """
    axis = splines.control_positions_vox(view_vox, control_vox)
    position = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    matrix = torch.stack([draw.matrix for draw in draws])
    offset = torch.stack([draw.offset_vox for draw in draws])
    displacement = torch.stack([draw.displacement_vox for draw in draws])
    coefficients = (
        torch.einsum("bij,jxyz->bixyz", matrix, position) + offset.view(-1, 3, 1, 1, 1) + displacement
    )
    return interpolation.sample(source, coefficients, view_vox, control_vox)


def add_artefacts(clean: Tensor, draws: Sequence[AugmentDraw], bias_control_vox: float) -> Tensor:
    """Return the image with receive field, Gibbs ringing and Rician noise, in the scanner's order.

    Args:
        clean: ``(B, 1, v, v, v)``, 0 to 1.
        draws: one per sample.
        bias_control_vox: distance of the receive field's control points.
    """
    image = clean
    view_vox = clean.shape[-1]
    if any(draw.parameters["bias_sd"] > 0 for draw in draws):
        coefficients = torch.stack([draw.log_receive for draw in draws]).to(clean)
        image = splines.expand(coefficients, (view_vox,) * 3, bias_control_vox).exp_().mul_(image)
    if any(min(draw.gibbs_kept) < 1 for draw in draws):
        # a scanner stores magnitudes, and ringing goes below 0
        image = truncate_frequencies(image, [draw.gibbs_kept for draw in draws]).abs_()
    if any(draw.noise_sigma > 0 for draw in draws):
        image = _rician(image, draws)
    return image


def truncate_frequencies(image: Tensor, kept: Sequence[tuple[float, float, float]]) -> Tensor:
    """Return the image without its highest spatial frequencies along each axis (Gibbs ringing).

    Args:
        image: ``(B, 1, v, v, v)``.
        kept: share of the frequencies that stays along I, J, K, for each sample.
    """
    length = image.shape[-1]
    share = torch.tensor(kept, dtype=torch.float32)
    full = (torch.fft.fftfreq(length).abs() * 2 <= share[..., None]).to(image)  # (B, 3, v)
    half = full[:, 2, : length // 2 + 1]
    spectrum = torch.fft.rfftn(image, dim=(2, 3, 4))
    spectrum *= full[:, 0].view(-1, 1, length, 1, 1) * full[:, 1].view(-1, 1, 1, length, 1)
    spectrum *= half.view(-1, 1, 1, 1, length // 2 + 1)
    return torch.fft.irfftn(spectrum, s=image.shape[2:], dim=(2, 3, 4))


def _rician(image: Tensor, draws: Sequence[AugmentDraw]) -> Tensor:
    """Return ``sqrt((S + e_r)² + e_i²)`` (Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618).

    Each sample's noise comes from a generator on the image's device, seeded by its draw.
    """
    noisy = torch.empty_like(image)
    for sample, draw, out in zip(image, draws, noisy, strict=True):
        if draw.noise_sigma == 0:
            out.copy_(sample)
            continue
        generator = torch.Generator(device=image.device).manual_seed(draw.noise_seed)
        noise = torch.randn(2, *sample.shape, generator=generator, device=image.device, dtype=image.dtype)
        noise *= draw.noise_sigma
        torch.hypot(noise[0].add_(sample), noise[1], out=out)
    return noisy


def standardise(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with the image's mean taken off and divided by its standard deviation.

    Args:
        image: ``(B, 1, v, v, v)``.
        target: the same anatomy without artefacts; stays on the image's scale.
    """
    axes = (1, 2, 3, 4)
    mean = image.mean(axes, keepdim=True)
    centred = image - mean
    # twice as fast here as torch.std_mean
    sd = torch.linalg.vector_norm(centred, dim=axes, keepdim=True) / math.sqrt(centred[0].numel() - 1)
    sd = sd.clamp_min(SMALLEST_SD)
    return centred.div_(sd), (target - mean).div_(sd)


def drop_cuboids(image: Tensor, draws: Sequence[AugmentDraw]) -> Tensor:
    """Set each sample's cuboids to 0 (a z-scored image's mean), in place."""
    if image.device.type != "cpu":
        return image.masked_fill_(_cuboid_mask(image, draws), 0)
    for sample, draw in zip(image, draws, strict=True):
        for box in draw.cuboids_vox:
            sample[(..., *(slice(first, stop) for first, stop in box))] = 0
    return image


def _cuboid_mask(image: Tensor, draws: Sequence[AugmentDraw]) -> Tensor:
    """Return ``(B, 1, v, v, v)``, true inside the cuboids: one upload for a batch."""
    most = max(1, *(len(draw.cuboids_vox) for draw in draws))
    nothing = ((0, 0),) * 3
    boxes = [[*draw.cuboids_vox, *[nothing] * (most - len(draw.cuboids_vox))] for draw in draws]
    limits = torch.tensor(boxes).to(image.device)  # (B, n, 3, 2)
    at = torch.arange(image.shape[-1], device=image.device)
    inside = ((at >= limits[..., :1]) & (at < limits[..., 1:])).to(image.dtype)  # (B, n, 3, v)
    found = torch.einsum("bni,bnj,bnk->bijk", inside[:, :, 0], inside[:, :, 1], inside[:, :, 2])
    return (found > 0)[:, None]
