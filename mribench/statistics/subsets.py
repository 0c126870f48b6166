"""Label subsets as a third factor: what choosing other labelled subjects would have changed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mribench.statistics.tables import SEED, SUBJECT, VALUE


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
    squares = _compute_mean_squares(cube)
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


def _compute_mean_squares(cube: np.ndarray) -> dict[tuple[int, ...], float]:
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
