"""Inputs of the tests of the view generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from mribench_views.plugin import mribench_entries
from torch import Tensor

from mribench.interfaces import SequenceRef, ViewsRef
from mribench.registry import Registered, Registry

Build = Callable[..., Any]
Maps = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def registry() -> Registry:
    found = Registry()
    for entry in mribench_entries():
        found.add(Registered(entry, "views", "mribench", "0"))
    return found


@pytest.fixture(scope="session")
def sequence(registry: Registry) -> Build:
    """Build a sequence: ``sequence("fse", profile="paper")``."""

    def build(name: str, **options: Any) -> Any:
        return registry.resolve(
            SequenceRef.model_validate({"name": name, **options}), "test", "corrected"
        ).make()

    return build


@pytest.fixture(scope="session")
def generator(registry: Registry) -> Build:
    """Build a view generator: ``generator("seqinv", profile="paper", augment={…})``."""

    def build(name: str, profile: str = "corrected", **options: Any) -> Any:
        return registry.resolve(ViewsRef.model_validate({"name": name, **options}), "test", profile).make()

    return build


@pytest.fixture(scope="session")
def head() -> Callable[..., Maps]:
    """Smooth random tissue in a ball, air around it: ``head(batch, edge)``."""

    def make(batch: int, edge: int) -> Maps:
        rng = torch.Generator().manual_seed(5)
        coarse = torch.rand(batch, 4, 5, 5, 5, generator=rng)
        share = torch.nn.functional.interpolate(
            coarse, size=(edge,) * 3, mode="trilinear", align_corners=True
        )
        axis = torch.linspace(-1, 1, edge)
        ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < 1.1).float()
        return {
            "PD": (60 + 50 * share[:, 0]) * ball,
            "R1": (0.2 + 1.2 * share[:, 1]) * ball,
            "R2s": (2 + 30 * share[:, 2]) * ball,
            "MTsat": 2 * share[:, 3] * ball,
        }

    return make


@pytest.fixture(scope="session")
def rngs() -> Callable[..., list[torch.Generator]]:
    """One fresh generator for each sample: ``rngs(8)``."""

    def make(count: int, first: int = 0) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(first + index) for index in range(count)]

    return make


def plain_augment(**changes: Any) -> dict[str, Any]:
    """Options of an augmentation that does nothing but what ``changes`` ask for."""
    nothing = {
        "rotation_deg": 0.0,
        "shear": 0.0,
        "flip_probability": 0.0,
        "elastic_probability": 0.0,
        "bias_probability": 0.0,
        "gibbs_probability": 0.0,
        "noise_probability": 0.0,
        "dropout_probability": 0.0,
    }
    return {**nothing, **changes}


@pytest.fixture(scope="session")
def plain() -> Callable[..., dict[str, Any]]:
    return plain_augment
