"""What a failed check raises, and the helpers that all checks share."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from mribench.errors import StoreError
from mribench.training.weights import load_weights, save_weights

T = TypeVar("T")


class ConformanceError(AssertionError):
    """An entry breaks a rule that the harness relies on; the message is one sentence."""


class NotCheckable(unittest.SkipTest):
    """An entry cannot be checked here, for want of a package; pytest and unittest skip the test."""


def require(condition: bool, sentence: str) -> None:
    """Raise ``ConformanceError(sentence)`` unless the condition holds."""
    if not condition:
        raise ConformanceError(sentence)


def require_tensor(value: object, shape: tuple[int, ...], what: str) -> Tensor:
    """Return ``value``, a tensor of this shape with finite values only.

    Raises:
        ConformanceError: when it is anything else.
    """
    if not isinstance(value, Tensor):
        raise ConformanceError(f"{what}: expected a tensor {shape}, got {type(value).__name__}")
    require(tuple(value.shape) == shape, f"{what}: expected shape {shape}, got {tuple(value.shape)}")
    require(bool(torch.isfinite(value).all()), f"{what}: has values that are NaN or infinite")
    return value


@contextmanager
def isolate_randomness(seed: int = 0) -> Iterator[None]:
    """Seed torch's global generator inside, and leave it as it was outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def require_no_global_randomness(call: Callable[[], T], what: str) -> T:
    """Return what ``call`` returns; its only randomness may be in generators that it is given.

    Raises:
        ConformanceError: when it takes random numbers from torch's global generator.
    """
    with isolate_randomness():
        before = torch.get_rng_state()
        result = call()
        unchanged = torch.equal(before, torch.get_rng_state())
    require(unchanged, f"{what}: uses torch's global random state; use the generator that is given")
    return result


def has_gradient(module: nn.Module) -> bool:
    """Whether any parameter of a module has a gradient other than zero, and all are finite."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    finite = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    return finite and any(bool(gradient.any()) for gradient in gradients)


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
