"""From the benchmark's form of an image to the one that an encoder wants to see.

Tasks, their noise and their scores stay in the benchmark's form, the same for every method: what is here
stands between a task and an encoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from nibabel.orientations import axcodes2ornt
from torch import Tensor

from mribench.data.prepare import LoadedImage
from mribench.interfaces.input_contract import InputContract, Intensity
from mribench.interfaces.task import TaskVolume

ScanImage = TaskVolume | LoadedImage
"""A scan in the benchmark's form."""
_SMALLEST_RANGE = 1e-8
GAIN, OFFSET, LOW, HIGH = range(4)
"""What levels hold of each channel: ``clamp(gain * image + offset, low, high)`` is what an encoder sees."""


class EncoderInput:
    """Shows images to an encoder as it wants them.

    Args:
        contract: what it wants; None for images as the benchmark has them.
    """

    def __init__(self, contract: InputContract | None) -> None:
        self._contract = contract or InputContract()
        turned = axcodes2ornt(tuple(self._contract.orientation or "RAS"))
        order = [int(axis) for axis in turned[:, 0]]
        self._order = (0, 1, *(2 + axis for axis in order))
        self._order_back = (0, 1, *(2 + order.index(axis) for axis in range(3)))
        self._flipped = [2 + new for new, sign in enumerate(turned[:, 1]) if sign < 0]
        self._turns = bool(self._flipped) or order != [0, 1, 2]

    @property
    def whole_vox(self) -> int | None:
        """Edge to which whole scans are resized for embeddings; None where windows are embedded."""
        return self._contract.whole_vox

    def find_levels(self, scan: ScanImage) -> Tensor | None:
        """Return the levels of a scan; None where intensities stay as they are."""
        if self._contract.intensity is None:
            return None
        return self.find_image_levels(scan.image, scan.foreground, scan.mean, scan.sd)

    def find_image_levels(
        self, image: Tensor, foreground: Tensor | None = None, mean: float = 0.0, sd: float = 1.0
    ) -> Tensor | None:
        """Return the levels of an image ``(C, I, J, K)``, one row a channel: ``(C, 4)``.

        Args:
            image: z-scored.
            foreground: the head, ``(I, J, K)`` boolean; all voxels count where there is none.
            mean: of the image in its own units.
            sd: its standard deviation.
        """
        wanted = self._contract.intensity
        if wanted is None:
            return None
        over_head = wanted.over == "head" and foreground is not None and bool(foreground.any())
        rows = []
        for channel in image:
            values = channel[foreground] if over_head else channel.flatten()
            rows.append(_find_row(wanted, values.cpu().numpy(), mean, sd))
        return torch.tensor(rows, dtype=torch.float32)

    def show(self, image: Tensor, levels: Tensor | None) -> Tensor:
        """Return images ``(B, C, I, J, K)`` as the encoder wants them.

        Args:
            image: in the benchmark's form.
            levels: ``(B, C, 4)``, or ``(C, 4)`` for all.
        """
        return self._turn(scale(image, levels))

    def turn_back(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return feature maps ``(B, C, i, j, k)`` of a shown image along the benchmark's axes."""
        if not self._turns:
            return list(maps)
        return [values.flip(self._flipped).permute(self._order_back) for values in maps]

    def _turn(self, image: Tensor) -> Tensor:
        return image.permute(self._order).flip(self._flipped) if self._turns else image


def scale(image: Tensor, levels: Tensor | None) -> Tensor:
    """Return images ``(B, C, I, J, K)`` on the scale of their levels, ``(B, C, 4)`` or ``(C, 4)``."""
    if levels is None:
        return image
    parts = levels.to(image.device)[..., None, None, None]
    gain, offset, low, high = (parts[..., part, :, :, :] for part in (GAIN, OFFSET, LOW, HIGH))
    return (image * gain + offset).clamp(low, high)


def resize_whole(image: Tensor, edge_vox: int) -> Tensor:
    """Return a scan ``(C, I, J, K)``, padded with its smallest value to a cube around it, and resized."""
    longest = max(image.shape[1:])
    pads = [(longest - edge) // 2 for edge in image.shape[1:]]
    cube = image.new_full((len(image), longest, longest, longest), float(image.min()))
    i, j, k = (slice(pad, pad + edge) for pad, edge in zip(pads, image.shape[1:], strict=True))
    cube[:, i, j, k] = image
    # averages where it becomes smaller: a plain interpolation would skip voxels
    mode = "area" if edge_vox < longest else "trilinear"
    return F.interpolate(cube[None], size=(edge_vox,) * 3, mode=mode)[0]


def _find_row(wanted: Intensity, values: np.ndarray, mean: float, sd: float) -> tuple[float, ...]:
    """Return gain, offset and limits of one channel."""
    if wanted.scale == "z-score":
        deviation = max(float(values.std()), _SMALLEST_RANGE)
        return 1 / deviation, -float(values.mean()) / deviation, -math.inf, math.inf
    low, high = _find_ends(wanted, values, mean, sd)
    to_low, to_high = wanted.to
    gain = (to_high - to_low) / max(high - low, _SMALLEST_RANGE)
    limits = wanted.to if wanted.clip else (-math.inf, math.inf)
    return gain, to_low - gain * low, *limits


def _find_ends(wanted: Intensity, values: np.ndarray, mean: float, sd: float) -> tuple[float, float]:
    """Return what becomes the ends of ``to``, on the benchmark's scale."""
    if wanted.window is not None:
        low, high = wanted.window
        return (low - mean) / sd, (high - mean) / sd
    if wanted.scale == "min-max":
        return float(values.min()), float(values.max())
    low, high = np.percentile(values, wanted.percentiles)
    return float(low), float(high)
