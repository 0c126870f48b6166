"""Parts of networks that plugins share; public, like the interfaces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def embed_positions(grid: Sequence[int], width: int, device: torch.device | None = None) -> Tensor:
    """Return fixed sine and cosine embeddings of the places of a grid's cells, ``(cells, width)``.

    Each axis gets a third of the channels, half sines and half cosines of frequencies from 1 down to 1e-4
    per cell (Vaswani et al. 2017, doi:10.48550/arXiv.1706.03762, section 3.5); channels that a sixth of
    the width does not reach are 0. Nothing is learnt, so that any grid may follow.

    Args:
        grid: cells along I, J, K; numbered with K fastest.
        width: channels, 6 or more.
        device: of the result.
    """
    each = width // 6
    frequencies = 1e4 ** -(torch.arange(each, device=device) / each)
    axes = [torch.arange(cells, device=device) for cells in grid]
    parts = []
    for places in torch.meshgrid(*axes, indexing="ij"):
        angles = places.reshape(-1, 1) * frequencies
        parts += [angles.sin(), angles.cos()]
    embedded = torch.cat(parts, dim=1)
    return torch.nn.functional.pad(embedded, (0, width - embedded.shape[1]))


def make_transformer_blocks(width: int, depth: int, heads: int, mlp_ratio: float = 4.0) -> nn.ModuleList:
    """Return pre-norm transformer blocks, each ``(B, tokens, width)`` to the same.

    Args:
        width: channels of a token; ``heads`` divide it.
        depth: blocks.
        heads: attention heads.
        mlp_ratio: width of the hidden layer, in widths of a token.
    """
    from monai.networks.blocks.transformerblock import (
        TransformerBlock,
    )  # a second of imports, which a plan does without where nothing is to be run

    hidden = round(mlp_ratio * width)
    # MONAI's flash attention drops activations in evaluation too, so there is no dropout here
    blocks = [
        TransformerBlock(width, hidden, heads, qkv_bias=True, use_flash_attention=True) for _ in range(depth)
    ]
    for block in blocks:
        block.register_module(
            "norm_cross_attn", None
        )  # never called, and its parameters would count as trained
    return nn.ModuleList(blocks)


def list_prime_factors(number: int) -> list[int]:
    """Return the prime factors, smallest first: ``12 -> [2, 2, 3]``."""
    factors, candidate = [], 2
    while number > 1:
        while number % candidate == 0:
            factors.append(candidate)
            number //= candidate
        candidate += 1
    return factors
