"""Weights in every memory format: one digest, and the same numbers after a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mribench.training import Checkpoint
from mribench.training.weights import load_weights, parameters_digest, save_weights, state_digest

SHAPES = [
    (6, 4, 1, 1, 1),
    (1, 1, 1, 1, 1),
    (3, 1, 1, 1, 1),
    (1, 4, 3, 3, 3),
    (5, 1, 3, 3, 3),
    (5, 2, 1, 3, 1),
]


def module(shape: tuple[int, ...], seed: int = 0) -> nn.Module:
    """A convolution's weights, and buffers of odd types and strides."""
    generator = torch.Generator().manual_seed(seed)
    made = nn.Module()
    made.weight = nn.Parameter(torch.randn(shape, generator=generator))
    made.register_buffer("strided", torch.randn(6, generator=generator)[::6])
    made.register_buffer("scalar", torch.tensor(3 + seed))
    made.register_buffer("in_half", torch.randn(3, generator=generator).bfloat16())
    made.register_buffer("empty", torch.zeros(0, 3))
    made.register_buffer("flags", torch.tensor([True, False]))
    return made


def channels_last(of: nn.Module) -> nn.Module:
    return of.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_memory_format_is_not_in_the_digest(shape: tuple[int, ...]) -> None:
    plain = state_digest(module(shape))
    assert state_digest(channels_last(module(shape))) == plain
    assert parameters_digest(channels_last(module(shape))) == parameters_digest(module(shape))
    assert state_digest(module(shape, seed=1)) != plain


@pytest.mark.parametrize("shape", SHAPES)
def test_channels_last_weights_come_back_from_files(shape: tuple[int, ...], tmp_path: Path) -> None:
    there = channels_last(module(shape))
    save_weights(tmp_path / "weights.safetensors", there.state_dict())
    back = channels_last(module(shape, seed=1))
    load_weights(back, tmp_path / "weights.safetensors")
    assert state_digest(back) == state_digest(there)
    optimiser = torch.optim.SGD(there.parameters(), lr=0.1)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    checkpoint.save(there, optimiser, 3, {"note": "x"})
    again = channels_last(module(shape, seed=1))
    done, extra = checkpoint.restore(again, torch.optim.SGD(again.parameters(), lr=0.1))
    assert (done, extra) == (3, {"note": "x"})
    assert state_digest(again) == state_digest(there)


def test_buffers_are_no_parameters() -> None:
    one, other = module((2, 2, 1, 1, 1)), module((2, 2, 1, 1, 1))
    other.scalar += 1
    assert state_digest(one) != state_digest(other)
    assert parameters_digest(one) == parameters_digest(other)
