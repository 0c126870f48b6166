"""What jobs do with any network: channels-last memory, weights in a file, a new network with them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from mribench.errors import StoreError
from mribench.testing.problems import ConformanceError, require
from mribench.training.weights import load_weights, save_weights

TOLERANCE = 1e-3
M = TypeVar("M", bound=nn.Module)


def use_channels_last(network: M) -> M:
    """Put a network into the memory format of jobs."""
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network


def step(network: nn.Module, outputs: Callable[[], Sequence[Tensor]]) -> None:
    """Train a network for one step on the squares of its outputs."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    optimiser.zero_grad()
    torch.stack([output.square().mean() for output in outputs()]).sum().backward()
    optimiser.step()
    optimiser.zero_grad()


def require_restored(
    trained: M, fresh: M, evaluate: Callable[[M], Sequence[Tensor]], what: str, outputs: str
) -> None:
    """Save the weights of a network, load them into another one, and compare what both give.

    Args:
        trained: has learnt something.
        fresh: of the same kind.
        evaluate: a network's outputs in evaluation mode.
        what: the network, for messages.
        outputs: what it gives, for messages.

    Raises:
        ConformanceError: when the weights do not fit, or do not make the same network.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(path, trained.state_dict())
        try:
            load_weights(fresh, path)
        except StoreError as error:
            raise ConformanceError(
                f"{what}: its weights do not fit a new one that is built in the same way"
            ) from error
    with torch.no_grad():
        pairs = zip(evaluate(trained), evaluate(fresh), strict=True)
        same = all(close(one, other) for one, other in pairs)
    require(
        same,
        f"{what}: restored from its state_dict() after a step of training it gives other {outputs}; keep all"
        " state in parameters and in buffers that are saved",
    )


def close(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs are the same but for rounding: other kernels run in other circumstances."""
    return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE / 10)
