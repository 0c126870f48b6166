"""Best and second among the methods of a family: all pairs, Holm's correction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mribench.interfaces.table import Mark
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.intervals import compute_p_value, split_table_variance
from mribench.statistics.tables import SeedSubjectTable, align_tables

ALPHA = 0.05
"""Level of the familywise error of the marks."""

Style = Literal["tested", "paper"]
"""``tested``: bold is the best and all not separated from it. ``paper``: plain best and second, no claim."""


@dataclass(frozen=True)
class JudgedFamily:
    """The marks of a family, and what they rest on.

    Attributes:
        names: the methods with any score, best first, whatever the order they came in; equal means by name.
        cube: ``(M, S, N)``, what all of them share.
        n_missing_pairs: (seed, subject) pairs that some of them lack.
        style: which marks these are.
        marks: one per method.
        p_adjusted: ``(M (M - 1) / 2,)`` by Holm, of the pairs in the order of ``itertools.combinations``; NaN
            in style ``paper``.
        separated: ``(M, M)``, symmetric: which pairs differ after correction.
    """

    names: list[str]
    cube: np.ndarray
    n_missing_pairs: int
    style: Style
    marks: list[Mark]
    p_adjusted: np.ndarray
    separated: np.ndarray

    def p_of(self, first: str, second: str) -> float:
        """Return the adjusted p of two methods."""
        pairs = list(itertools.combinations(self.names, 2))
        pair = (first, second) if (first, second) in pairs else (second, first)
        return float(self.p_adjusted[pairs.index(pair)])


def judge_family(
    tables: Mapping[str, SeedSubjectTable], *, higher_is_better: bool, alpha: float = ALPHA
) -> JudgedFamily:
    """Compare all methods of a family on the seeds and subjects that all of them have.

    From five seeds on the marks are tested and their familywise error is ``alpha``; below, they are the
    paper's and claim nothing.

    Args:
        tables: the table of each method (``tables.make_table``), in one place and metric.
        higher_is_better: the direction of the metric.
        alpha: level of the familywise error.
    """
    everything = align_tables(tables)
    names, cube = everything.names, everything.complete().cube
    n, n_seeds, n_subjects = cube.shape
    means = [float(table.mean()) if table.size else math.nan for table in cube]
    sign = -1.0 if higher_is_better else 1.0
    order = sorted(range(n), key=lambda k: (_place_nan_last(sign * means[k]), names[k]))
    names, means, cube = [names[k] for k in order], [means[k] for k in order], cube[order]
    pairs = list(itertools.combinations(range(n), 2))
    adjusted, separated = np.full(len(pairs), math.nan), np.zeros((n, n), dtype=bool)
    tested = n_seeds >= ENOUGH_SEEDS and n_subjects > 1
    if tested and pairs:
        first, second = np.array(pairs).T
        adjusted = adjust_holm(_compute_p_values(cube[first] - cube[second]))
        separated[first, second] = separated[second, first] = adjusted < alpha
    marks = (
        claim_marks(means, separated, higher_is_better=higher_is_better)
        if tested
        else mark(means, higher_is_better=higher_is_better)
    )
    missing = int(np.isnan(everything.cube).any(axis=0).sum())
    return JudgedFamily(names, cube, missing, "tested" if tested else "paper", marks, adjusted, separated)


def _compute_p_values(differences: np.ndarray) -> np.ndarray:
    """Return the p of each table of differences ``(P, S, N)``, as ``difference_of`` has it."""
    terms, df = zip(*(split_table_variance(table) for table in differences), strict=True)
    return compute_p_value(differences.mean(axis=(1, 2)), np.stack(terms), df[0])


def adjust_holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    NaN stays NaN and counts as a comparison that was made.
    """
    p = np.asarray(p_values, dtype=float)
    filled = np.where(np.isnan(p), 1.0, p)
    # as statsmodels.stats.multitest.multipletests, which collects garbage in every call: a third of a second
    order = np.argsort(filled, kind="stable")
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(np.maximum.accumulate(filled[order] * np.arange(p.size, 0, -1)), 1.0)
    return np.where(np.isnan(p), math.nan, adjusted)


def mark(values: Sequence[float], *, higher_is_better: bool) -> list[Mark]:
    """Mark the best and the second of some unrounded values.

    Equal values share a mark; two that share the best leave no second. NaN has no mark, and one value
    alone has none either: there is nothing to be better than.
    """
    ranks = pd.Series(list(values), dtype=float).rank(method="min", ascending=not higher_is_better)
    if ranks.notna().sum() < 2:
        return ["none"] * len(ranks)
    names: dict[float, Mark] = {1.0: "best", 2.0: "second"}
    return [names.get(rank, "none") for rank in ranks]


def claim_marks(means: Sequence[float], separated: np.ndarray, *, higher_is_better: bool) -> list[Mark]:
    """Mark the best and all not separated from it; then the next, if it is separated from the rest.

    Args:
        means: ``(M,)``, unrounded; methods of equal means share the place of the best.
        separated: ``(M, M)``, symmetric: which pairs differ after correction.
        higher_is_better: the direction of the metric.

    Returns:
        A mark per method. NaN has none; one method alone has none either. ``second`` is the best of those
        that are not marked ``best``, unless one of the others behind it is not separated from it.
    """
    values = np.asarray(means, dtype=float) * (1 if higher_is_better else -1)
    there = np.flatnonzero(~np.isnan(values))
    marks: list[Mark] = ["none"] * len(values)
    if len(there) < 2:
        return marks
    leaders = there[values[there] == values[there].max()]
    best = [k for k in there if k in leaders or not separated[leaders, k].all()]
    rest = sorted(set(there) - set(best), key=lambda k: -values[k])
    for k in best:
        marks[k] = "best"
    if rest and all(separated[rest[0], k] for k in rest[1:]):
        marks[rest[0]] = "second"
    return marks


def _place_nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
