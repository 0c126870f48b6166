"""How estimates are shown in tables: as cells, with their intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from mribench.interfaces.table import Cell
from mribench.interfaces.table_source import ShownMetric
from mribench.statistics.difference import Difference
from mribench.statistics.domain_gap import Gap
from mribench.statistics.intervals import Interval
from mribench.statistics.scores import Estimate

NO_INTERVAL = "Two seeds: no interval; the two seeds' own means stand in its place."


Estimated = Interval | Estimate | Difference | Gap
"""What has an interval. Rows of data frames with the same columns are taken too; they are of no type."""


def interval_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the ends of the interval of an estimate; None without finite ones."""
    return _finite(estimate.low, estimate.high)


def seeds_of(estimate: Estimated) -> tuple[float, float] | None:
    """Return the means of the two seeds of an estimate without an interval; None where it has other seeds."""
    if estimate.n_seeds != 2 or interval_of(estimate):
        return None
    return _finite(estimate.seed_low, estimate.seed_high)


def mean_cell(found: Interval | Estimate, metric: ShownMetric, n_subjects_total: int | None = None) -> Cell:
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


def cell_of(row: Any, metric: ShownMetric) -> Cell:
    """Return a row of ``cell_frame`` as a cell: its mean, what is done of it, and its mark."""
    return replace(
        mean_cell(row, metric, row.n_subjects_total),
        jobs_done=row.jobs_done,
        jobs_expected=row.jobs_expected,
        status=row.status,
        mark=row.mark,
    )


def difference_cell(found: Difference | Gap, difference: float, n_subjects: int, metric: ShownMetric) -> Cell:
    """Return a difference with its sign and its interval, or the differences of two seeds."""
    return Cell(
        difference, found.se, n_subjects, n_subjects, status="ok", scale=metric.scale, digits=metric.digits,
        low=found.low, high=found.high, seeds=seeds_of(found), signed=True,
    )  # fmt: skip


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
