"""How estimates are shown in tables: as cells, with their intervals."""

from __future__ import annotations

import math
from typing import Protocol

NO_INTERVAL = "Two seeds: no interval; the two seeds' own means stand in its place."


class Estimated(Protocol):
    """An estimate or a row of estimates: what stands behind its interval."""

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; NaN where there is none."""

    @property
    def high(self) -> float:
        """Its upper end."""

    @property
    def n_seeds(self) -> int:
        """Seeds behind it; 0 where nothing was trained."""

    @property
    def seed_low(self) -> float:
        """The lowest value of one seed; NaN without two seeds."""

    @property
    def seed_high(self) -> float:
        """The highest."""


def interval_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the ends of the interval of an estimate; None without finite ones."""
    return _finite(estimate.low, estimate.high)


def seeds_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the means of the two seeds of an estimate without an interval; None where it has other seeds."""
    if estimate.n_seeds != 2 or interval_of(estimate):
        return None
    return _finite(estimate.seed_low, estimate.seed_high)


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
