"""What a failed check raises, and the helpers that all checks share."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

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
