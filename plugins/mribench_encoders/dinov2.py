"""The vision transformer of DINOv2, with tokens of 3D, as 3DINO publishes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mribench.interfaces import Encoder, Mask, MaskKind
from mribench_encoders.images import check_image
from mribench_encoders.vit import Embedding, VitOptions

_EPSILON = 1e-6
_START_DEVIATION = 0.02
_OFFSET = 0.1
"""Cells that DINOv2 adds to each edge of a grid before it stretches positions to it."""


class Dinov2Options(VitOptions):
    """Options of the encoder ``dinov2``; the defaults are 3DINO's ViT-L, 307 M parameters."""

    width: int = Field(1024, gt=0, description="channels of a token")
    depth: int = Field(24, gt=0, description="transformer blocks")
    heads: int = Field(16, gt=0, description="attention heads; they divide the width")
    maps: int = Field(
        4, gt=0, description="feature maps: of the last block, and of earlier ones at equal distances"
    )
    embedding: Embedding = Field(
        "class", description="'class', the class token's output, or 'mean' of the last map's shown tokens"
    )
    grid: int = Field(
        7,
        gt=0,
        description="edge in tokens of the cube that positions are learnt for: 7 of crops of 112 voxels; "
        "images of other sizes have them interpolated",
    )
    layer_scale: float = Field(
        1.0,
        gt=0,
        description="what the factors of each block's two branches start at, where no weights are given; "
        "DINOv2 trains from 1e-5, at which an untrained class token hardly sees the image",
    )
    registers: int = Field(0, ge=0, description="learnt tokens beside the class token, of no place")


class Dinov2Encoder(Encoder):
    """ViT with learnt positions and scaled branches, and the names of DINOv2's tensors.

    Oquab et al. 2024 (doi:10.48550/arXiv.2304.07193), in 3D Xu et al. 2025 (doi:10.1038/s41746-025-02035-w);
    layer scale of Touvron et al. 2021 (doi:10.48550/arXiv.2103.17239), registers of Darcet et al. 2024
    (doi:10.48550/arXiv.2309.16588). Every map is normed. In the place of what a mask hides stands
    ``mask_token``.
    """

    mask_kind: MaskKind = "replace"

    def __init__(self, options: Dinov2Options) -> None:
        super().__init__()
        width = options.width
        self.channels = (width,) * options.maps
        self.strides = (options.token_vox,) * options.maps
        self.embedding_dim = width
        self.mask_stride = options.token_vox
        self.options = options
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv3d(1, width, options.token_vox, stride=options.token_vox)}
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + options.grid**3, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.register_tokens = (
            nn.Parameter(torch.zeros(1, options.registers, width)) if options.registers else None
        )
        self.blocks = nn.ModuleList(_Block(options) for _ in range(options.depth))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.apply(_initialise)
        for tokens in (self.cls_token, self.pos_embed, self.register_tokens):
            if tokens is not None:
                nn.init.trunc_normal_(tokens, std=_START_DEVIATION)

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return maps of one stride, of earlier blocks first.

        Raises:
            DataError: when the image is not ``(B, C, I, J, K)`` with edges that tokens fill.
        """
        return self.maps_and_embedding(image, mask)[0]

    def maps_and_embedding(self, image: Tensor, mask: Mask | None = None) -> tuple[list[Tensor], Tensor]:
        """Return the maps and the embedding ``(B, width)``.

        Raises:
            DataError: as ``feature_maps``.
        """
        check_image("dinov2", self, image)
        tokens = self.patch_embed["proj"](image)
        grid = tokens.shape[2:]
        x = rearrange(tokens, "b c i j k -> b (i j k) c")
        hidden = None if mask is None else mask.hidden.flatten(1)[..., None]
        if hidden is not None:
            x = torch.where(hidden, self.mask_token.to(x.dtype), x)
        x = self._add_tokens(x, grid)
        outputs = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.options.shown_blocks:
                outputs.append(self.norm(x))
        placed = [output[:, 1 + self.options.registers :] for output in outputs]
        maps = [places.transpose(1, 2).unflatten(2, grid) for places in placed]
        if self.options.embedding == "class":
            return maps, outputs[-1][:, 0]
        return maps, _mean_of_shown(placed[-1], hidden)

    def layers(self) -> Sequence[nn.Module]:
        """Return the projection to tokens, and the blocks."""
        return [self.patch_embed, *self.blocks]

    def _add_tokens(self, x: Tensor, grid: Sequence[int]) -> Tensor:
        """Return tokens ``(B, n, C)`` with their positions, the class token and registers before them."""
        x = torch.cat([self.cls_token.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
        x = x + self._positions(grid).to(x.dtype)
        if self.register_tokens is None:
            return x
        registers = self.register_tokens.expand(len(x), -1, -1).to(x.dtype)
        return torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)

    def _positions(self, grid: Sequence[int]) -> Tensor:
        """Return positions of the class token and of a grid, ``(1, 1 + cells, C)``."""
        edge = self.options.grid
        if tuple(grid) == (edge,) * 3:
            return self.pos_embed
        learnt = rearrange(self.pos_embed[:, 1:], "b (x y z) c -> b x y z c", x=edge, y=edge)
        along = [_stretch(edge, cells).to(learnt) for cells in grid]
        stretched = torch.einsum("bxyzc,ix,jy,kz->bijkc", learnt, *along)
        return torch.cat([self.pos_embed[:, :1], stretched.flatten(1, 3)], dim=1)


class _Block(nn.Module):
    def __init__(self, options: Dinov2Options) -> None:
        super().__init__()
        width, hidden = options.width, int(options.width * options.mlp_ratio)
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.attn = _Attention(width, options.heads)
        self.ls1 = _Scale(width, options.layer_scale)
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(width, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, width))
        )
        self.ls2 = _Scale(width, options.layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.proj(rearrange(attended, "b h n d -> b n (h d)"))


class _Scale(nn.Module):
    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def _stretch(edge: int, cells: int) -> Tensor:
    """Return the share of each learnt place in each cell of an axis, ``(cells, edge)``.

    An axis of as many cells as were learnt keeps them, on every device: torch's interpolation of volumes
    does so on CPUs alone.
    """
    each = torch.eye(edge)[None]
    return F.interpolate(each, scale_factor=(cells + _OFFSET) / edge, mode="linear")[0].T


def _mean_of_shown(tokens: Tensor, hidden: Tensor | None) -> Tensor:
    """Return the mean ``(B, C)`` of tokens ``(B, n, C)`` that are not hidden, ``(B, n, 1)``."""
    if hidden is None:
        return tokens.mean(1)
    return tokens.masked_fill(hidden, 0.0).sum(1) / (~hidden).sum(1)


def _initialise(module: nn.Module) -> None:
    """Start as DINOv2 does: narrow normal weights, no bias; the projection to tokens as torch starts it."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=_START_DEVIATION)
        nn.init.zeros_(module.bias)
