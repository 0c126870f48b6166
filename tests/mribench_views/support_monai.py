"""What the comparisons with MONAI's transforms share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from monai import transforms as mt
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from mribench.augmentation import AugmentDraw, AugmentOptions, draw_augmentation

Array = NDArray[np.float64]
Plain = Callable[..., dict[str, Any]]
DOCUMENT = Path(__file__).parents[2] / "docs/views.md"


def agree(ours: ArrayLike, theirs: ArrayLike, wrong: float = 1.2) -> None:
    """Means over draws differ by less than 4 standard errors, and a ``wrong`` factor would be 8 of them."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    error = math.hypot(stats.sem(a), stats.sem(b))
    assert 8 * error < (wrong - 1) * abs(b.mean()), f"too few draws: {8 * error / abs(b.mean()):.2f}"
    assert abs(a.mean() - b.mean()) < 4 * error, (a.mean(), b.mean(), error)


def same_distribution(ours: ArrayLike, theirs: ArrayLike) -> None:
    """Kolmogorov and Smirnov see no difference, and would see a factor of 1.2 in the spread."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    assert stats.ks_2samp(a, b).pvalue > 1e-4
    assert stats.ks_2samp(a.mean() + 1.2 * (a - a.mean()), b).pvalue < 1e-4, "too few draws"


def draws(
    options: dict[str, Any], count: int, edge: int, source: int, spacing_mm: float
) -> list[AugmentDraw]:
    asked = AugmentOptions(**options)
    rngs = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return [draw_augmentation(asked, edge, (source,) * 3, spacing_mm, rng) for rng in rngs]


def transform(name: str, **parameters: Any) -> Any:
    return getattr(mt, name)(**parameters).set_random_state(0)


def plainly(image: Any) -> Array:
    return np.asarray(image, dtype=np.float64)


def coordinates(edge: int) -> Tensor:
    """Three images ``(3, I, J, K)`` whose intensity is the place, from the centre: a map of itself."""
    axis = torch.arange(edge, dtype=torch.float32) - (edge - 1) / 2
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))


def released(name: str = "as-written") -> dict[str, Any]:
    """Return the options that ``docs/views.md`` gives for the released settings."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"<!-- released: {name} -->")[2]
    block = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    options: dict[str, Any] = block["defaults"]["augment"]
    return options
