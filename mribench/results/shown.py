"""How estimates are shown in tables: as cells, with their intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

from mribench.interfaces.table import Cell, CellStatus, Mark
from mribench.interfaces.table_source import ShownMetric

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


class WithInterval(Estimated, Protocol):
    """An estimate with its standard error."""

    @property
    def se(self) -> float:
        """Standard error; NaN where there is none."""


class Mean(WithInterval, Protocol):
    """A mean over seeds and subjects."""

    @property
    def mean(self) -> float:
        """NaN where there is none."""

    @property
    def n_subjects(self) -> int:
        """Subjects behind it."""


class PlannedMean(Mean, Protocol):
    """A row of ``cell_frame``."""

    @property
    def n_subjects_total(self) -> int:
        """Subjects that there are scores of."""

    @property
    def jobs_done(self) -> int:
        """Evaluate jobs done."""

    @property
    def jobs_expected(self) -> int:
        """Evaluate jobs planned."""

    @property
    def status(self) -> CellStatus:
        """Whether all of it is there."""

    @property
    def mark(self) -> Mark:
        """Best or second of those it competes with."""


def interval_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the ends of the interval of an estimate; None without finite ones."""
    return _finite(estimate.low, estimate.high)


def seeds_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the means of the two seeds of an estimate without an interval; None where it has other seeds."""
    if estimate.n_seeds != 2 or interval_of(estimate):
        return None
    return _finite(estimate.seed_low, estimate.seed_high)


def mean_cell(found: Mean, metric: ShownMetric, n_subjects_total: int | None = None) -> Cell:
    """Return a mean ± SE with its interval.

    Args:
        found: the mean.
        metric: how it is shown.
        n_subjects_total: subjects that there are scores of; those behind the mean when None.
    """
    return Cell(
        found.mean, found.se, int(found.n_subjects),
        int(found.n_subjects if n_subjects_total is None else n_subjects_total), status="ok",
        scale=metric.scale, digits=metric.digits, interval=interval_of(found), seeds=seeds_of(found),
    )  # fmt: skip


def cell_of(row: PlannedMean, metric: ShownMetric) -> Cell:
    """Return a row of ``cell_frame`` as a cell: its mean, what is done of it, and its mark."""
    return replace(
        mean_cell(row, metric, row.n_subjects_total),
        jobs_done=row.jobs_done,
        jobs_expected=row.jobs_expected,
        status=row.status,
        mark=row.mark,
    )


def difference_cell(found: WithInterval, difference: float, n_subjects: int, metric: ShownMetric) -> Cell:
    """Return a difference with its sign and its interval, or the differences of two seeds."""
    return Cell(
        difference, found.se, n_subjects, n_subjects, status="ok", scale=metric.scale, digits=metric.digits,
        low=found.low, high=found.high, seeds=seeds_of(found), signed=True,
    )  # fmt: skip


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
