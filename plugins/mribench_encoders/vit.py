"""A vision transformer of 3D tokens (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import Encoder, Mask, MaskKind, Options
from mribench.networks import embed_positions, make_transformer_blocks

Embedding = Literal["mean", "class"]


class VitOptions(Options):
    """Options of the encoder ``vit``; the defaults are ViT-B's with tokens of 16³ voxels, 88 M parameters."""

    token_vox: int = Field(16, gt=0, description="edge of a token in voxels")
    width: int = Field(768, ge=6, description="channels of a token")
    depth: int = Field(12, gt=0, description="transformer blocks")
    heads: int = Field(12, gt=0, description="attention heads; they divide the width")
    mlp_ratio: float = Field(4.0, gt=0, description="width of a block's hidden layer, in widths of a token")
    maps: int = Field(
        4, gt=0, description="feature maps: the last block's output, and earlier ones at equal distances"
    )
    embedding: Embedding = Field(
        "mean", description="'mean' of the last map's shown tokens, or 'class', the class token's output"
    )

    @model_validator(mode="after")
    def _check_divisions(self) -> VitOptions:
        if self.width % self.heads:
            raise ValueError(f"expected a width that {self.heads} heads divide, got {self.width}")
        if self.maps > self.depth:
            raise ValueError(
                f"expected at most one map a block, got {self.maps} maps and {self.depth} blocks"
            )
        return self

    @property
    def shown_blocks(self) -> list[int]:
        """Numbers of the blocks whose outputs are the maps, from 0."""
        return [round(self.depth * number / self.maps) - 1 for number in range(1, self.maps + 1)]


class VitEncoder(Encoder):
    """ViT (Dosovitskiy et al. 2021, doi:10.48550/arXiv.2010.11929) of cubes of voxels, with fixed positions.

    Positions are sines and cosines (as in He et al. 2022, doi:10.48550/arXiv.2111.06377), so that crops and
    windows of any size follow. Tokens that a mask hides are left out before the first block: they cost
    nothing, and are 0 in the maps. The last map is normed; the earlier ones are as the blocks give them.
    """

    mask_kind: MaskKind = "drop"

    def __init__(self, options: VitOptions) -> None:
        super().__init__()
        self.channels = (options.width,) * options.maps
        self.strides = (options.token_vox,) * options.maps
        self.embedding_dim = options.width
        self.mask_stride = options.token_vox
        self.embedding = options.embedding
        self.shown_blocks = options.shown_blocks
        self.tokens = nn.Conv3d(1, options.width, options.token_vox, stride=options.token_vox)
        self.class_token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.blocks = make_transformer_blocks(options.width, options.depth, options.heads, options.mlp_ratio)
        self.norm = nn.LayerNorm(options.width)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.class_token, std=0.02)

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return maps of one stride, of earlier blocks first.

        Raises:
            DataError: when the image is not ``(B, 1, I, J, K)`` with edges that tokens fill.
        """
        return self.maps_and_embedding(image, mask)[0]

    def maps_and_embedding(self, image: Tensor, mask: Mask | None = None) -> tuple[list[Tensor], Tensor]:
        """Return the maps and the embedding ``(B, width)``.

        Raises:
            DataError: as ``feature_maps``.
        """
        self._check(image)
        tokens = self.tokens(image)
        grid = tokens.shape[2:]
        x = tokens.flatten(2).transpose(1, 2)
        x = x + embed_positions(grid, x.shape[-1], x.device).to(x.dtype)
        shown = None if mask is None else mask.shown_tokens()
        if shown is not None:
            x = x.gather(1, _widen(shown, x))
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
        outputs = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.shown_blocks:
                outputs.append(x)
        outputs[-1] = last = self.norm(x)
        maps = [_place(output[:, 1:], grid, shown) for output in outputs]
        return maps, (last[:, 1:].mean(1) if self.embedding == "mean" else last[:, 0])

    def layers(self) -> Sequence[nn.Module]:
        """Return the projection to tokens, and the blocks."""
        return [self.tokens, *self.blocks]

    def _check(self, image: Tensor) -> None:
        edge = self.mask_stride
        shape = (len(image), self.in_channels)
        if image.ndim != 5 or image.shape[:2] != shape or any(size % edge for size in image.shape[2:]):
            raise DataError(
                f"encoder 'vit': expected an image (B, {self.in_channels}, I, J, K) with edges that are"
                f" multiples of {edge}, got {tuple(image.shape)}",
                "change patch_vox or token_vox",
            )


def _place(tokens: Tensor, grid: torch.Size, shown: Tensor | None) -> Tensor:
    """Return tokens ``(B, n, C)`` as a map ``(B, C, i, j, k)``, 0 where none is shown."""
    if shown is not None:
        empty = tokens.new_zeros(len(tokens), grid.numel(), tokens.shape[-1])
        tokens = empty.scatter(1, _widen(shown, tokens), tokens)
    return tokens.transpose(1, 2).unflatten(2, grid)


def _widen(numbers: Tensor, like: Tensor) -> Tensor:
    """Return token numbers ``(B, n)`` for all channels, ``(B, n, C)``."""
    return numbers[..., None].expand(-1, -1, like.shape[-1])


def _initialise(module: nn.Module) -> None:
    """Start as He et al. 2022 do: Xavier's uniform weights, no bias."""
    if isinstance(module, nn.Linear | nn.Conv3d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
