"""Masked autoencoding (He et al. 2022)."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mribench.errors import ConfigError
from mribench.interfaces import Encoder, Mask, Objective, Options, View, ViewRequest
from mribench.networks import embed_positions, make_transformer_blocks

_SMALLEST_VARIANCE = 1e-6


class MaeOptions(Options):
    """Options of the objective ``mae``; the defaults are those of He et al. 2022 for ViT-B."""

    mask_share: float = Field(0.75, gt=0, lt=1, description="share of the blocks that is hidden")
    block_vox: int | None = Field(
        None,
        gt=0,
        description="edge of a block in voxels, a multiple of the encoder's largest stride, the default",
    )
    decoder_width: int = Field(512, ge=6, description="channels of the decoder's tokens")
    decoder_depth: int = Field(8, gt=0, description="the decoder's transformer blocks")
    decoder_heads: int = Field(16, gt=0, description="the decoder's attention heads; they divide its width")
    normalise_blocks: bool = Field(
        True, description="whether each block's voxels are z-scored before they are compared"
    )
    masked_only: bool = Field(True, description="whether shown blocks are left out of the loss")

    @model_validator(mode="after")
    def _check_heads(self) -> MaeOptions:
        if self.decoder_width % self.decoder_heads:
            raise ValueError(
                f"expected a decoder_width that {self.decoder_heads} heads divide, got {self.decoder_width}"
            )
        return self


class Mae(Objective):
    """Reconstructs the hidden blocks of an image from the shown ones.

    He et al. 2022, doi:10.48550/arXiv.2111.06377. With an encoder that drops what is hidden (``vit``) this is
    theirs: a learnt token at every hidden place, positions, a small transformer, and a linear layer to the
    voxels. With one that shows something there (a convolutional one, over voxels that are 0) the decoder
    starts from what the encoder's coarsest map has at hidden places.

    Raises:
        ConfigError: when blocks are no multiples of the encoder's strides.
    """

    needs_mask = True
    view_requests = (ViewRequest(),)

    def __init__(self, options: MaeOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options, self.encoder = options, encoder
        self.cell_vox = max(encoder.strides)
        self.block_vox = self.patch_multiple = options.block_vox or self.cell_vox
        if self.block_vox % self.cell_vox:
            raise ConfigError(
                f"objective 'mae': expected a block_vox that is a multiple of {self.cell_vox}, the encoder's"
                f" largest stride, got {self.block_vox}"
            )
        width = options.decoder_width
        self.widen = nn.Linear(encoder.channels[-1], width)
        self.hidden_token = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.trunc_normal_(self.hidden_token, std=0.02)
        self.blocks = make_transformer_blocks(width, options.decoder_depth, options.decoder_heads)
        self.norm = nn.LayerNorm(width)
        self.to_voxels = nn.Linear(width, self.cell_vox**3)

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``reconstruction``, the mean squared error of hidden voxels of one view."""
        del step, total_steps
        image = views[0].image
        mask = self.draw_mask(image)
        coarsest = self.encoder.maps_and_embedding(image, mask)[0][-1]
        hidden = mask.at_stride(self.cell_vox).flatten(1)
        predicted = self._decode(coarsest, hidden).float()
        wanted = self._cut(image)
        if self.options.normalise_blocks:
            variance, mean = torch.var_mean(wanted, dim=2, keepdim=True)
            wanted = (wanted - mean) / (variance + _SMALLEST_VARIANCE).sqrt()
        error = (predicted - wanted).square().mean(2)
        counted = hidden if self.options.masked_only else torch.ones_like(hidden)
        return {"reconstruction": (error * counted).sum() / counted.sum()}

    def draw_mask(self, image: Tensor) -> Mask:
        """Draw what is hidden of images ``(B, 1, I, J, K)``, with torch's own generator."""
        return Mask.draw(image, self.options.mask_share, self.block_vox, self.encoder.mask_stride)

    def _decode(self, coarsest: Tensor, hidden: Tensor) -> Tensor:
        """Return the voxels of every cell, ``(B, cells, voxels)``."""
        grid = coarsest.shape[2:]
        x = self.widen(coarsest.flatten(2).transpose(1, 2))
        if self.encoder.mask_kind == "drop":
            x = torch.where(hidden[..., None], self.hidden_token.to(x.dtype), x)
        x = x + embed_positions(grid, x.shape[-1], x.device).to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.to_voxels(self.norm(x))

    def _cut(self, image: Tensor) -> Tensor:
        """Return the voxels of every cell of an image ``(B, 1, I, J, K)``, ``(B, cells, voxels)``."""
        edge = self.cell_vox
        cells = image[:, 0].unfold(1, edge, edge).unfold(2, edge, edge).unfold(3, edge, edge)
        return cells.flatten(4).flatten(1, 3)
