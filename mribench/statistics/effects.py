"""What a known defect is worth: scores with it and without it, and the difference with an interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from mribench.statistics.domain_gap import Gap, estimate_table_gap
from mribench.statistics.intervals import LEVEL, Interval, estimate_interval

RESAMPLES = 2000
"""Resamples of subjects of a bootstrap."""


@dataclass(frozen=True)
class Effect:
    """A mean with a defect and without it, over arms, seeds and subjects.

    Attributes:
        without: mean without the defect.
        with_defect: mean with it.
        difference: ``with_defect`` - ``without``.
        se: standard error of the difference, NaN where there is none. The interval is not se × t.
        low: lower end of the 95 % interval of the difference (``intervals``); NaN where there is none.
        high: its upper end.
        how: ``paired``, ``unpaired``, ``bootstrap``, or why there is no interval.
        arms: means without and with the defect, by arm.
        n_seeds: seeds behind the difference.
        n_subjects: subjects behind the mean without the defect.
        n_subjects_with: subjects behind the mean with it.
        n_subjects_total: subjects that there are rows of without it.
        gone: arms of which the defect leaves nothing.
        seed_low: the lowest difference of one seed; NaN without two seeds.
        seed_high: the highest.
    """

    without: float = math.nan
    with_defect: float = math.nan
    difference: float = math.nan
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan
    how: str = ""
    arms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    n_seeds: int = 0
    n_subjects: int = 0
    n_subjects_with: int = 0
    n_subjects_total: int = 0
    gone: tuple[str, ...] = ()
    seed_low: float = math.nan
    seed_high: float = math.nan


@dataclass(frozen=True)
class GapChange:
    """How a defect moves the difference ``first`` - ``second`` between two methods."""

    first: str
    second: str
    without: float
    with_defect: float


def estimate_change(without: pd.DataFrame, with_defect: pd.DataFrame) -> Effect:
    """Return what a defect changes, averaged over the arms that have scores on both sides.

    With the same subjects on both sides: the crossed mean over seeds and subjects of the paired
    differences (``intervals.estimate_interval``). Otherwise only seeds are paired, and each side has its own
    subjects, as between two sites (``domain_gap.estimate_table_gap``); subjects of both sides count as two,
    which makes the interval too long rather than too short.

    Args:
        without: rows of ``subject_means`` by ``row``, the arm, of one task and metric.
        with_defect: the same with the defect.
    """
    arms = [arm for arm in _select_scored(without) if arm in set(_select_scored(with_defect))]
    left, right = (frame[frame["row"].isin(arms)] for frame in (without, with_defect))
    seeds = list(dict.fromkeys([*left["seed"], *right["seed"]]))
    sides = [list(dict.fromkeys(side["subject"])) for side in (left, right)]
    paired = set(sides[0]) == set(sides[1])
    first = _make_cube(left, arms, seeds, sides[0])
    second = _make_cube(right, arms, seeds, sides[0] if paired else sides[1])
    return (_compare_paired if paired else _compare_unpaired)(first, second, arms)


def estimate_policy_change(
    default: pd.DataFrame, policy: pd.DataFrame, *, touched: bool, rng: np.random.Generator
) -> Effect:
    """Return what another policy on empty masks changes, with a percentile bootstrap over subjects.

    Each arm's mean under the policy is over the (seed, subject) pairs that it leaves; arms of which it
    leaves nothing are in neither mean. Arms and seeds of a resampled subject stay together; resamples in
    which the policy leaves nothing are left out.

    Args:
        default: rows of ``subject_means`` by ``row``, under the default policy.
        policy: the same rows under the other.
        touched: whether the policy is about any row; if not, the effect is exactly 0 and has no interval.
        rng: for the resamples.
    """
    arms = list(dict.fromkeys(default["row"]))
    seeds, subjects = (list(dict.fromkeys(default[name])) for name in ("seed", "subject"))
    before, after = _make_cube(default, arms, seeds, subjects), _make_cube(policy, arms, seeds, subjects)
    scored, left = (np.isfinite(cube).any(axis=(1, 2)) for cube in (before, after))
    kept = scored & left
    gone = tuple(arm for arm, there, stays in zip(arms, scored, left, strict=True) if there and not stays)
    counted = Effect(n_seeds=len(seeds), n_subjects_total=len(subjects), gone=gone)
    if not kept.any():
        return replace(counted, how="nothing is left" if gone else "")
    first, second = _Pooled(before[kept]), _Pooled(after[kept])
    everyone = np.arange(len(subjects))
    means = first.of(everyone), second.of(everyone)
    low = high = math.nan
    if touched:
        low, high = _resample(
            lambda index: _compute_mean_change(first.of(index), second.of(index)), everyone, rng
        )
    return replace(
        counted,
        without=float(means[0].mean()),
        with_defect=float(means[1].mean()),
        difference=float((means[1] - means[0]).mean()),
        low=low,
        high=high,
        how="bootstrap" if touched else "no empty mask",
        arms=_split_by_arm([arm for arm, there in zip(arms, kept, strict=True) if there], *means),
        n_subjects=_list_subjects(before[kept]),
        n_subjects_with=_list_subjects(after[kept]),
    )


def estimate_largest_gap_change(arms: Mapping[str, tuple[float, float]]) -> GapChange | None:
    """Return the difference between two arms that a defect changes most; None with fewer than two.

    Args:
        arms: means without and with the defect.
    """
    if len(arms) < 2:
        return None
    order = sorted(arms, key=lambda arm: arms[arm][1] - arms[arm][0])
    first, second = order[-1], order[0]
    before, after = (arms[first][side] - arms[second][side] for side in (0, 1))
    return GapChange(first, second, before, after)


def _select_scored(means: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(means.loc[np.isfinite(means["value"]), "row"]))


def _make_cube(
    means: pd.DataFrame, arms: Sequence[str], seeds: Sequence[int], subjects: Sequence[str]
) -> np.ndarray:
    """Return the values as ``(A, S, N)``, NaN where there is none."""
    cube = np.full((len(arms), len(seeds), len(subjects)), np.nan)
    places = (
        pd.Index(names).get_indexer(pd.Index(means[column]))
        for names, column in ((arms, "row"), (seeds, "seed"), (subjects, "subject"))
    )
    cube[tuple(places)] = means["value"]
    return cube


def _compare_paired(left: np.ndarray, right: np.ndarray, arms: Sequence[str]) -> Effect:
    with np.errstate(invalid="ignore"):  # of two infinite scores
        table = _take_finite((right - left).mean(axis=0) if arms else np.empty((0, left.shape[2])))
    seeds = ~np.isnan(table).all(axis=1)
    people = _take_under_all(table, seeds)
    interval = estimate_interval(table[seeds][:, people])
    before, after = (_Pooled(cube[:, seeds][:, :, people]).whole() for cube in (left, right))
    return Effect(
        without=_compute_mean(before),
        with_defect=_compute_mean(after),
        difference=interval.mean,
        how="paired",
        arms=_split_by_arm(arms, before, after),
        n_seeds=interval.n_seeds,
        n_subjects=interval.n_subjects,
        n_subjects_with=interval.n_subjects,
        n_subjects_total=left.shape[2],
        **_take_interval(interval),
    )


def _compare_unpaired(left: np.ndarray, right: np.ndarray, arms: Sequence[str]) -> Effect:
    tables = [_take_finite(cube.mean(axis=0)) for cube in (left, right)]
    seeds = np.logical_and(*(~np.isnan(table).all(axis=1) for table in tables))
    people = [_take_under_all(table, seeds) for table in tables]
    first, second = (table[seeds][:, who] for table, who in zip(tables, people, strict=True))
    gap = estimate_table_gap(second, first)
    sides = [_Pooled(cube[:, seeds][:, :, who]) for cube, who in zip((left, right), people, strict=True)]
    return Effect(
        without=gap.outside,
        with_defect=gap.inside,
        difference=gap.difference,
        how="unpaired",
        arms=_split_by_arm(arms, *(side.whole() for side in sides)),
        n_seeds=gap.n_seeds,
        n_subjects=gap.n_outside,
        n_subjects_with=gap.n_inside,
        n_subjects_total=left.shape[2],
        **_take_interval(gap),
    )


def _take_interval(estimated: Interval | Gap) -> dict[str, Any]:
    return {name: getattr(estimated, name) for name in ("se", "low", "high", "seed_low", "seed_high")}


def _take_finite(table: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(table), table, np.nan)


def _take_under_all(table: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return which subjects of a table ``(S, N)`` have a value under all of some seeds; none without one."""
    everywhere: np.ndarray = ~np.isnan(table[seeds]).any(axis=0) & seeds.any()
    return everywhere


def _split_by_arm(
    arms: Sequence[str], without: np.ndarray, with_defect: np.ndarray
) -> dict[str, tuple[float, float]]:
    return {arm: (float(a), float(b)) for arm, a, b in zip(arms, without, with_defect, strict=True)}


def _compute_mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _list_subjects(cube: np.ndarray) -> int:
    return int(np.isfinite(cube).any(axis=(0, 1)).sum())


class _Pooled:
    """Means of arms over the (seed, subject) pairs that have a value, for resampled subjects."""

    def __init__(self, cube: np.ndarray) -> None:
        there = np.isfinite(cube)
        self._sums = np.where(there, cube, 0.0).sum(axis=1)
        self._counts = there.sum(axis=1)

    def whole(self) -> np.ndarray:
        """Return ``(A,)`` over all subjects."""
        return self.of(np.arange(self._sums.shape[1]))

    def of(self, subjects: np.ndarray) -> np.ndarray:
        """Return ``(A, …)`` for places of subjects ``(…, N)``; NaN where nothing has a value."""
        sums, counts = (part[:, subjects].sum(axis=-1) for part in (self._sums, self._counts))
        return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _compute_mean_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the mean over arms ``(A, …)`` of the changes, of those arms that have both."""
    difference = after - before
    there = np.isfinite(difference)
    total = np.where(there, difference, 0.0).sum(axis=0)
    counts = there.sum(axis=0)
    return np.divide(total, counts, out=np.full(np.shape(total), np.nan), where=counts > 0)


def _resample(
    statistic: Callable[[np.ndarray], np.ndarray], places: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    if len(places) < 2:
        return math.nan, math.nan
    from scipy import stats  # slow to import, and few reports need it

    with warnings.catch_warnings():
        # of the interval that SciPy makes of resamples with NaN; ours leaves those out
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        resampled = stats.bootstrap(
            (places,),
            lambda index, axis: statistic(np.moveaxis(index, axis, -1)),
            n_resamples=RESAMPLES,
            vectorized=True,
            method="percentile",
            confidence_level=LEVEL,
            rng=rng,
        )
    kept = resampled.bootstrap_distribution[np.isfinite(resampled.bootstrap_distribution)]
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
