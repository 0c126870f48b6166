"""DINOv2's transformer in 3D from its published tensors alone, written without the encoder under test.

Names and shapes are those of 3DINO's public code (Xu et al. 2025, doi:10.1038/s41746-025-02035-w), where
blocks are listed in chunks, ``blocks.<chunk>.<block>``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def list_shapes(
    width: int, depth: int, *, token_vox: int, grid: int, chunks: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a backbone."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, grid**3 + 1, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 1, token_vox, token_vox, token_vox),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for number in range(depth):
        block = f"blocks.{number // (depth // chunks)}.{number}"
        for name, shape in {
            "norm1": (width,),
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "norm2": (width,),
            "mlp.fc1": (4 * width, width),
            "mlp.fc2": (width, 4 * width),
        }.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        shapes |= {f"{block}.ls1.gamma": (width,), f"{block}.ls2.gamma": (width,)}
    return shapes


def draw_state(width: int, depth: int, **sizes: int) -> State:
    """Return values for every tensor, none of which could be left out without a trace."""
    generator = torch.Generator().manual_seed(3)
    shapes = list_shapes(width, depth, **sizes)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def compute_tokens(
    state: State, image: Tensor, heads: int, token_vox: int, hidden: Tensor | None = None
) -> list[Tensor]:
    """Return the normed tokens after each block, ``(B, 1 + n, width)``, the class token first.

    Args:
        state: tensors by name.
        image: ``(B, 1, I, J, K)``.
        heads: of attention.
        token_vox: edge of a token.
        hidden: ``(B, n)``, true where the mask token stands.
    """
    tokens = F.conv3d(
        image, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=token_vox
    )
    x = tokens.flatten(2).mT
    if hidden is not None:
        x[hidden] = state["mask_token"][0]
    x = torch.cat([state["cls_token"].repeat(len(x), 1, 1), x], 1)
    x = x + stretch_positions(state["pos_embed"], list(tokens.shape[2:]))
    registers = state.get("register_tokens", x.new_zeros(1, 0, x.shape[-1]))
    x = torch.cat([x[:, :1], registers.repeat(len(x), 1, 1), x[:, 1:]], 1)
    outputs = []
    for block in sorted(
        {name.rpartition(".norm1.")[0] for name in state if ".norm1." in name},
        key=lambda name: int(name.rpartition(".")[2]),
    ):
        x = _run_block(state, f"{block}.", x, heads)
        normed = _norm(state, "norm", x)
        outputs.append(torch.cat([normed[:, :1], normed[:, 1 + registers.shape[1] :]], 1))
    return outputs


def stretch_positions(learnt: Tensor, grid: list[int]) -> Tensor:
    """Return positions ``(1, 1 + cells, width)`` of a grid, each axis of another length interpolated by hand.

    The centre of cell m lies at ``(m + 0.5) * edge / (cells + 0.1) - 0.5`` of the learnt ones.
    """
    edge = round((learnt.shape[1] - 1) ** (1 / 3))
    cube = learnt[0, 1:].view(edge, edge, edge, -1)
    for axis, cells in enumerate(grid):
        if cells == edge:
            continue
        rows = []
        for cell in range(cells):
            at = max(0.0, (cell + 0.5) * edge / (cells + 0.1) - 0.5)
            low = min(math.floor(at), edge - 1)
            high = min(low + 1, edge - 1)
            share = at - low
            rows.append((1 - share) * cube.select(axis, low) + share * cube.select(axis, high))
        cube = torch.stack(rows, axis)
    return torch.cat([learnt[:, :1], cube.flatten(0, 2)[None]], 1)


def _run_block(state: State, block: str, x: Tensor, heads: int) -> Tensor:
    normed = _norm(state, f"{block}norm1", x)
    query, key, value = _linear(state, f"{block}attn.qkv", normed).chunk(3, dim=-1)
    attended = []
    for one, other, seen in zip(*(part.chunk(heads, -1) for part in (query, key, value)), strict=True):
        weights = (one @ other.mT / math.sqrt(one.shape[-1])).softmax(-1)
        attended.append(weights @ seen)
    attention = _linear(state, f"{block}attn.proj", torch.cat(attended, -1))
    x = x + state[f"{block}ls1.gamma"] * attention
    wide = F.gelu(_linear(state, f"{block}mlp.fc1", _norm(state, f"{block}norm2", x)))
    return x + state[f"{block}ls2.gamma"] * _linear(state, f"{block}mlp.fc2", wide)


def _linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].mT + state[f"{name}.bias"]


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]
