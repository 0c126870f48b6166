"""Label efficiency: the area under the curve of the score over the logarithm of the label fraction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from mribench.statistics.intervals import LEVEL, Interval, estimate_interval, withhold_few
from mribench.statistics.ranges import UNBOUNDED, Range, RangeOf, give_no_range
from mribench.statistics.tables import SEED, SUBJECT, VALUE, make_frame, take_complete


@dataclass(frozen=True)
class Area(Interval):
    """The normalised area of a curve, in the unit of the score: the mean score along the log-fraction axis.

    Attributes:
        n_missing_pairs: (seed, subject) pairs without a score at one fraction or more.
        fractions: label fractions of the curve, ascending.
    """

    n_missing_pairs: int = 0
    fractions: tuple[float, ...] = ()

    @property
    def area(self) -> float:
        """The mean over the complete (seed, subject) pairs; NaN where there is no curve."""
        return self.mean


def compute_areas(means: pd.DataFrame) -> pd.DataFrame:
    """Return the area of each seed and subject, as rows that ``difference`` and the others take.

    Trapezoids over log(fraction), divided by log(largest) - log(smallest). The area is linear in the scores,
    so each (seed, subject) pair has its own, and their table has a crossed error like any other.

    Args:
        means: rows of ``subject_means`` by ``fraction`` of one method, place and metric.

    Returns:
        ``seed``, ``subject``, ``value``; NaN for a pair without a score at one fraction or more, and for all
        with fewer than two fractions.

    Raises:
        ValueError: for a fraction that is not above 0.
    """
    from scipy import integrate  # slow to import, and few reports need it

    wide = means.pivot(index=[SEED, SUBJECT], columns="fraction", values=VALUE).sort_index(axis=1)
    fractions = wide.columns.to_numpy(float)
    if (fractions <= 0).any():
        raise ValueError(f"expected label fractions above 0, got {fractions.min():g}")
    if len(fractions) < 2:
        return wide.index.to_frame(index=False).assign(**{VALUE: math.nan})
    steps = np.log(fractions)
    area = integrate.trapezoid(wide.to_numpy(float), steps, axis=1) / (steps[-1] - steps[0])
    return wide.index.to_frame(index=False).assign(**{VALUE: area})


def label_efficiency(means: pd.DataFrame, level: float = LEVEL, value_range: Range = UNBOUNDED) -> Area:
    """Return the normalised area of one method over seeds and subjects, with its interval.

    Args:
        means: rows of ``subject_means`` by ``fraction`` of one method, place and metric.
        level: confidence level.
        value_range: of the metric.
    """
    by_pair = compute_areas(means)
    table = make_frame(by_pair).to_numpy()
    interval = withhold_few(estimate_interval(take_complete(table), level, value_range), means)
    return Area(
        **asdict(interval),
        n_missing_pairs=int(np.isnan(table).sum()),
        fractions=tuple(sorted(float(fraction) for fraction in means["fraction"].unique())),
    )


def label_efficiencies(
    means: pd.DataFrame, by: Sequence[str], level: float = LEVEL, range_of: RangeOf = give_no_range
) -> pd.DataFrame:
    """Return one row per group: the columns ``by`` and the fields of ``Area``, its ``mean`` as ``area``.

    Args:
        means: rows of ``subject_means`` by ``[*by, "fraction"]``; rows without a fraction (nothing was
            trained) have no curve and are left out.
        by: columns that make up a group.
        level: confidence level.
        range_of: the value range of a group.
    """
    rows = []
    for key, group in means.dropna(subset=["fraction"]).groupby(list(by), dropna=False, sort=False):
        here = dict(zip(by, key, strict=True))
        rows.append({**here, **asdict(label_efficiency(group, level, range_of(here)))})
    areas_of_groups = pd.DataFrame(rows, columns=[*by, *(field.name for field in fields(Area))])
    return areas_of_groups.rename(columns={"mean": "area"})
