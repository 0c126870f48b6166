"""Masks: which parts of an image an encoder is not shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mribench.errors import PluginError

MaskKind = Literal["none", "zero", "replace", "drop"]
"""What an encoder does with hidden cells.

``none``: it takes no mask. ``zero``: their voxels become 0, the mean of a z-scored image. ``replace``: a
learnt token stands in their place. ``drop``: they are left out, and its feature maps are 0 at their places.
"""


@dataclass(frozen=True)
class Mask:
    """Cells of a regular grid that an encoder is not shown; as many in every sample of a batch.

    Tokens are numbered like the cells of ``hidden[sample].flatten()``: K fastest.

    Attributes:
        hidden: ``(B, i, j, k)``, true where hidden.
        cell_vox: edge of a cell in voxels.
        n_hidden: hidden cells of each sample.
    """

    hidden: Tensor
    cell_vox: int
    n_hidden: int

    @classmethod
    def of(cls, hidden: Tensor, cell_vox: int) -> Mask:
        """Make a mask of a tensor ``(B, i, j, k)``, true where hidden.

        Raises:
            PluginError: when one sample hides more cells than another, or there is nothing hidden or shown.
        """
        counts = hidden.flatten(1).sum(1).tolist()
        cells = hidden[0].numel()
        if len(set(counts)) > 1 or not 0 < counts[0] < cells:
            raise PluginError(
                f"mask: expected as many hidden cells in every sample, some hidden and some shown, got"
                f" {counts} of {cells}"
            )
        return cls(hidden, cell_vox, int(counts[0]))

    @classmethod
    def draw(
        cls,
        image: Tensor,
        share: float,
        block_vox: int,
        cell_vox: int,
        generator: torch.Generator | None = None,
    ) -> Mask:
        """Draw blocks to hide, other ones in each sample, each block as likely as any other.

        Args:
            image: ``(B, C, I, J, K)``, of which parts are hidden.
            share: of the blocks that is hidden, between 0 and 1; at least one is hidden, and one shown.
            block_vox: edge of a block; the image's edges are multiples of it.
            cell_vox: edge of a cell, the encoder's ``mask_stride``; divides ``block_vox``.
            generator: of the CPU; torch's own when None, which the harness seeds at every step.

        Raises:
            PluginError: when blocks do not fill the image, cells do not fill a block, or there is one block.
        """
        edges = tuple(image.shape[2:])
        if block_vox % cell_vox or any(edge % block_vox for edge in edges):
            raise PluginError(
                f"mask: expected edges {edges} that are multiples of {block_vox} voxels, the edge of a block,"
                f" and that one of {cell_vox}, the encoder's mask_stride"
            )
        grid = tuple(edge // block_vox for edge in edges)
        blocks = math.prod(grid)
        if blocks < 2:
            raise PluginError(
                f"mask: an image of {edges} voxels is one block of {block_vox}: nothing would be shown",
                "take smaller blocks, or larger views (patch_vox)",
            )
        n_hidden = min(blocks - 1, max(1, round(share * blocks)))
        # ranks of random numbers: on the CPU, so that every device hides the same, without waiting for it
        order = torch.rand(len(image), blocks, generator=generator).argsort(1).argsort(1)
        hidden = (order < n_hidden).view(-1, *grid).to(image.device)
        cells_a_block = block_vox // cell_vox
        return cls(_enlarge(hidden, cells_a_block), cell_vox, n_hidden * cells_a_block**3)

    def voxels(self) -> Tensor:
        """Return ``(B, 1, I, J, K)``, true at the voxels of hidden cells."""
        return _enlarge(self.hidden, self.cell_vox)[:, None]

    def at_stride(self, stride: int) -> Tensor:
        """Return ``(B, 1, I/s, J/s, K/s)``, true where a feature map of stride s sees hidden voxels only.

        Args:
            stride: a multiple of ``cell_vox``, or divides it.
        """
        if stride <= self.cell_vox:
            return _enlarge(self.hidden, self.cell_vox // stride)[:, None]
        cells = stride // self.cell_vox
        shown = (~self.hidden)[:, None].float()
        return torch.nn.functional.max_pool3d(shown, cells) == 0

    def shown_tokens(self) -> Tensor:
        """Return the numbers of the shown cells of each sample, ascending, ``(B, cells - n_hidden)``."""
        flat = self.hidden.flatten(1)
        # a stable sort puts shown cells first, each in its place; the count is known: no wait for the device
        return flat.to(torch.uint8).argsort(dim=1, stable=True)[:, : flat.shape[1] - self.n_hidden]


def _enlarge(cells: Tensor, factor: int) -> Tensor:
    for axis in (1, 2, 3):
        cells = cells.repeat_interleave(factor, axis)
    return cells
