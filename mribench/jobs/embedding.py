"""One embedding of a scan: the mean over windows that cover the head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mribench.interfaces.encoder import Encoder
from mribench.jobs.encoder_input import EncoderInput, ScanImage, resize_whole

MIN_FOREGROUND = 0.25
"""Share of a window that must be head."""
WINDOWS_AN_AXIS = 3
"""At most so many windows along each axis: 27 in all."""


@dataclass(frozen=True)
class ScanEmbedding:
    """The mean embedding of a scan, ``(D,)`` float32 on the CPU, and of how many windows it is."""

    values: Tensor
    n_windows: int


def embed_scan(
    encoder: Encoder, wanted: EncoderInput, scan: ScanImage, patch_vox: int, device: torch.device
) -> ScanEmbedding:
    """Return the embedding of a scan: of the whole where the encoder wants that, else the mean of windows.

    Args:
        encoder: in evaluation mode.
        wanted: shows the scan as the encoder wants it.
        scan: in the benchmark's form.
        patch_vox: edge of the windows.
        device: where the encoder is.
    """
    levels = wanted.find_levels(scan)
    shown = wanted.show(scan.image[None], levels)[0]
    if wanted.whole_vox is not None:
        shown, patch_vox = resize_whole(shown, wanted.whole_vox), wanted.whole_vox
        corners = [(0, 0, 0)]
    else:
        corners = windows(wanted.show(scan.foreground[None, None], None)[0, 0].numpy(), patch_vox)
    return ScanEmbedding(embed(encoder, shown, corners, patch_vox, device), len(corners))


def windows(foreground: np.ndarray, patch_vox: int) -> list[tuple[int, int, int]]:
    """Return the first voxels of the windows that cover the head.

    Along each axis as many windows as cover the bounding box of the foreground, at most
    ``WINDOWS_AN_AXIS``, evenly placed from its one end to its other; a window longer than the box lies
    around its middle. Of these, those with ``MIN_FOREGROUND`` or more of foreground; the fullest one where
    none has that. A window lies in the volume unless it is longer: then it begins before it (negative).

    Args:
        foreground: ``(I, J, K)`` boolean.
        patch_vox: edge of the windows.
    """
    i, j, k = (_starts(foreground, axis, patch_vox) for axis in range(3))
    corners = list(product(i, j, k))
    shares = [_share(foreground, corner, patch_vox) for corner in corners]
    kept = [corner for corner, share in zip(corners, shares, strict=True) if share >= MIN_FOREGROUND]
    return kept or [corners[int(np.argmax(shares))]]


def _starts(foreground: np.ndarray, axis: int, patch_vox: int) -> list[int]:
    length = foreground.shape[axis]
    if length <= patch_vox:
        return [-((patch_vox - length) // 2)]
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero(foreground.any(axis=others))
    low, high = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, length)
    count = min(WINDOWS_AN_AXIS, math.ceil((high - low) / patch_vox))
    if count == 1:
        return [min(max((low + high - patch_vox) // 2, 0), length - patch_vox)]
    return [int(start) for start in np.rint(np.linspace(low, high - patch_vox, count))]


def _share(foreground: np.ndarray, corner: tuple[int, ...], patch_vox: int) -> float:
    box = tuple(slice(max(0, start), start + patch_vox) for start in corner)
    return float(foreground[box].sum()) / patch_vox**3


def embed(
    encoder: Encoder,
    image: Tensor,
    corners: Sequence[tuple[int, int, int]],
    patch_vox: int,
    device: torch.device,
) -> Tensor:
    """Return the mean of the embeddings of windows, ``(D,)`` float32 on the CPU.

    Each window passes the encoder alone, so that it does not matter which others there are.

    Args:
        encoder: in evaluation mode.
        image: ``(1, I, J, K)``; beyond its border the nearest value is repeated, as in training crops.
        corners: first voxel of each window.
        patch_vox: edge of the windows.
        device: where the encoder is.
    """
    embeddings = []
    image = image.to(device)
    with torch.no_grad():
        for corner in corners:
            patch = image
            for axis, start in enumerate(corner, start=1):
                index = torch.arange(start, start + patch_vox, device=device)
                patch = patch.index_select(axis, index.clamp(0, image.shape[axis] - 1))
            embeddings.append(encoder.embed(patch[None]).float()[0])
    return torch.stack(embeddings).cpu().double().mean(dim=0).float()
