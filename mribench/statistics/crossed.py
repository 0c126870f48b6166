"""Variance components of crossed factors, and the standard error of a mean over train seeds and subjects.

Every seed meets every subject, so the rows are not independent: a lucky seed lifts all subjects. The
model is score = mean + seed + subject + residual with random seed and subject effects, fitted from the
mean squares of the balanced two-way layout without replication (Searle, Casella & McCulloch 1992,
Variance Components, doi:10.1002/9780470316856, ch. 4). Label subsets are a third factor: what choosing other
labelled subjects would have changed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.tables import SEED, SUBJECT, VALUE


@dataclass(frozen=True)
class Components:
    """Variance components of a seeds × subjects table, in squared units of the score; none below 0."""

    seed: float
    subject: float
    residual: float


def compute_mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Return the mean squares of seeds, subjects and residual.

    Args:
        table: ``(S, N)`` scores, seeds along the rows, S and N at least 2, no NaN.
    """
    n_seeds, n_subjects = table.shape
    seed = table.mean(axis=1, keepdims=True) - table.mean()
    subject = table.mean(axis=0, keepdims=True) - table.mean()
    residual = table - table.mean() - seed - subject
    return (
        float(n_subjects * np.sum(seed**2) / (n_seeds - 1)),
        float(n_seeds * np.sum(subject**2) / (n_subjects - 1)),
        float(np.sum(residual**2) / ((n_seeds - 1) * (n_subjects - 1))),
    )


def estimate_components(table: np.ndarray) -> Components:
    """Return the variance components of a table ``(S, N)``; negative ones are set to 0."""
    ms_seed, ms_subject, ms_residual = compute_mean_squares(table)
    n_seeds, n_subjects = table.shape
    return Components(
        seed=max(0.0, (ms_seed - ms_residual) / n_subjects),
        subject=max(0.0, (ms_subject - ms_residual) / n_seeds),
        residual=ms_residual,
    )


def estimate_mean_and_se(table: np.ndarray) -> tuple[float, float, float]:
    """Return mean, standard error and its degrees of freedom.

    SE² = σ²_seed/S + σ²_subject/N + σ²_residual/(S N), degrees of freedom after Satterthwaite 1946
    (doi:10.2307/3002019). One seed: the standard error over subjects, which says nothing about other
    seeds.

    Args:
        table: ``(S, N)`` scores, seeds along the rows, without NaN.

    Returns:
        NaN for all three without scores; NaN for the last two with one subject, or an infinite score.
    """
    n_seeds, n_subjects = table.shape
    if table.size == 0:
        return math.nan, math.nan, math.nan
    mean = float(table.mean())
    if n_subjects < 2 or not math.isfinite(mean):
        return mean, math.nan, math.nan
    if n_seeds == 1:
        return mean, float(table.std(ddof=1)) / math.sqrt(n_subjects), n_subjects - 1.0
    parts = estimate_components(table)
    variance = parts.seed / n_seeds + parts.subject / n_subjects + parts.residual / table.size
    return mean, math.sqrt(variance), _compute_degrees_of_freedom(table, parts, variance)


def _compute_degrees_of_freedom(table: np.ndarray, parts: Components, variance: float) -> float:
    """Satterthwaite's, over the mean squares that are left once components were truncated."""
    n_seeds, n_subjects = table.shape
    ms_seed, ms_subject, ms_residual = compute_mean_squares(table)
    terms = (
        (ms_seed if parts.seed > 0 else 0.0, n_seeds - 1),
        (ms_subject if parts.subject > 0 else 0.0, n_subjects - 1),
        # its weight: +1 for itself, -1 for each component that it was taken off
        (ms_residual * (1 - (parts.seed > 0) - (parts.subject > 0)), (n_seeds - 1) * (n_subjects - 1)),
    )
    spread = sum((term / table.size) ** 2 / df for term, df in terms)
    return variance**2 / spread if spread > 0 else math.nan


@dataclass(frozen=True)
class SubsetComponents:
    """Variance components of subsets × seeds × subjects, in squared units of the score; none below 0.

    Attributes:
        subset: of the label subsets; NaN, like all others, with fewer than two of any factor.
        seed: of the train seeds.
        subject: of the subjects.
        subset_seed: of subset × seed.
        subset_subject: of subset × subject.
        seed_subject: of seed × subject.
        residual: what is left, with the three-way interaction.
        se: standard error of the mean with new subsets, seeds and subjects; the SE of tables leaves the
            subsets out.
        n_subsets: subset seeds in the table.
        n_seeds: train seeds in it.
        n_subjects: subjects in it.
    """

    subset: float
    seed: float
    subject: float
    subset_seed: float
    subset_subject: float
    seed_subject: float
    residual: float
    se: float
    n_subsets: int
    n_seeds: int
    n_subjects: int


def estimate_subset_components(means: pd.DataFrame) -> SubsetComponents:
    """Return the components of one method, place and metric.

    Args:
        means: rows of ``subject_means`` by ``subset_seed`` (with nothing ``within``). Subsets and seeds with
            any score count, and of the subjects those scored under all of them.
    """
    wide = means.dropna(subset=["subset_seed"]).pivot(
        index=["subset_seed", SEED], columns=SUBJECT, values=VALUE
    )
    wide = wide.dropna(how="all")
    subsets, seeds = (list(dict.fromkeys(wide.index.get_level_values(level))) for level in (0, 1))
    full = wide.reindex(pd.MultiIndex.from_product([subsets, seeds]))
    cube = full.to_numpy(float).reshape(len(subsets), len(seeds), wide.shape[1])
    everywhere = np.isfinite(cube).all(axis=(0, 1)) & bool(len(wide))
    return estimate_three_way(cube[:, :, everywhere])


def estimate_three_way(cube: np.ndarray) -> SubsetComponents:
    """Return the components of a cube ``(U, S, N)`` without NaN: subsets, seeds, subjects.

    From the mean squares of the balanced three-way layout without replication, every factor random (Searle,
    Casella & McCulloch 1992, Variance Components, doi:10.1002/9780470316856, ch. 4).
    """
    if min(cube.shape) < 2:
        return _name_components(dict.fromkeys(_list_effects(), math.nan), math.nan, cube)
    squares = _compute_three_way_squares(cube)
    components = {}
    for effect in squares:
        # E[MS] of an effect sums the components of all effects that hold it: undone by signs of the supersets
        above = [other for other in squares if set(effect) <= set(other)]
        signed = sum((-1) ** (len(other) - len(effect)) * squares[other] for other in above)
        repeats = math.prod(n for axis, n in enumerate(cube.shape) if axis not in effect)
        components[effect] = max(0.0, signed / repeats)
    variance = 0.0
    for effect, component in components.items():
        variance += component / math.prod(cube.shape[axis] for axis in effect)
    return _name_components(components, math.sqrt(variance), cube)


def _name_components(
    components: Mapping[tuple[int, ...], float], se: float, cube: np.ndarray
) -> SubsetComponents:
    n_subsets, n_seeds, n_subjects = cube.shape
    return SubsetComponents(
        subset=components[0,],
        seed=components[1,],
        subject=components[2,],
        subset_seed=components[0, 1],
        subset_subject=components[0, 2],
        seed_subject=components[1, 2],
        residual=components[0, 1, 2],
        se=se,
        n_subsets=n_subsets,
        n_seeds=n_seeds,
        n_subjects=n_subjects,
    )


def _list_effects() -> list[tuple[int, ...]]:
    """Return the axes of each effect: main effects, then interactions."""
    axes = range(3)
    return [effect for size in (1, 2, 3) for effect in itertools.combinations(axes, size)]


def _compute_three_way_squares(cube: np.ndarray) -> dict[tuple[int, ...], float]:
    squares = {}
    for effect in _list_effects():
        part = cube
        for axis in range(cube.ndim):
            mean = part.mean(axis=axis, keepdims=True)
            part = part - mean if axis in effect else mean
        repeats = math.prod(n for axis, n in enumerate(cube.shape) if axis not in effect)
        df = math.prod(cube.shape[axis] - 1 for axis in effect)
        squares[effect] = float(repeats * np.sum(part**2) / df)
    return squares
