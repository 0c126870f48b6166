"""How small a difference a benchmark could have seen, and how many seeds and subjects a smaller one needs.

The model is that of ``crossed``: the difference of two methods on one (seed, subject) pair is its mean plus
random effects of seed and subject and a residual, all normal. Means and mean squares are drawn from it, and
each draw is judged as the marks of a table are (``ties``): Banerjee's test, Holm's correction over all pairs.

A draw finds a difference from some size on; the quantile of these sizes is found with that probability.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mribench.statistics.crossed import Components, compute_mean_squares
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.intervals import compute_half_width, split_variance
from mribench.statistics.ties import ALPHA

POWER = 0.8
"""Share of repetitions of a benchmark in which a difference of the size that is named would be found."""
DRAWS = 4000
"""Draws behind a difference of two methods; at 80 % power they leave an error of 0.6 points of power."""
LEAD_DRAWS = 1000
"""Draws behind a lead, which are of all methods; they leave 1.3 points."""


@dataclass(frozen=True)
class Design:
    """What is compared over what.

    Attributes:
        n_methods: rows that are compared with each other, at least 2.
        n_seeds: train seeds of each.
        n_subjects: test subjects.
    """

    n_methods: int
    n_seeds: int
    n_subjects: int

    @property
    def is_tested(self) -> bool:
        """Whether anything is claimed about methods of such a design."""
        return self.n_methods > 1 and self.n_seeds >= ENOUGH_SEEDS and self.n_subjects > 1

    @property
    def n_pairs(self) -> int:
        """Comparisons that Holm's correction is for."""
        return math.comb(self.n_methods, 2)


def pool_components(cube: np.ndarray) -> Components:
    """Return the variance components of the difference of two methods, pooled over all pairs.

    Args:
        cube: scores ``(M, S, N)`` of M methods, S seeds and N subjects without NaN, each at least 2.
    """
    _, n_seeds, n_subjects = cube.shape
    squares = [compute_mean_squares(first - second) for first, second in itertools.combinations(cube, 2)]
    ms_seed, ms_subject, ms_residual = np.mean(squares, axis=0).tolist()
    return Components(
        seed=max(0.0, (ms_seed - ms_residual) / n_subjects),
        subject=max(0.0, (ms_subject - ms_residual) / n_seeds),
        residual=ms_residual,
    )


def find_detectable_difference(
    components: Components, design: Design, power: float = POWER, alpha: float = ALPHA
) -> float:
    """Return the smallest true difference of two methods that is found with some probability.

    Whatever the other methods do: the correction is that of Holm's first step.

    Args:
        components: of the difference of two methods.
        design: what is compared over what.
        power: the probability.
        alpha: level of the familywise error.

    Returns:
        in units of the score; NaN where nothing is tested.
    """
    if not design.is_tested:
        return math.nan
    errors, terms, df = _draw(components, replace(design, n_methods=2), DRAWS)
    half = compute_half_width(terms, df, 1 - alpha / design.n_pairs)
    return float(np.quantile(half - errors, power))


def find_detectable_lead(
    components: Components, design: Design, power: float = POWER, alpha: float = ALPHA
) -> float:
    """Return the smallest lead over all other methods, equal ones, that leaves one method alone in bold.

    Arguments and result are as those of ``find_detectable_difference``.
    """
    if not design.is_tested:
        return math.nan
    errors, terms, df = _draw(components, design, LEAD_DRAWS)
    return float(np.quantile(_find_leads(errors, terms, df, design, alpha), power))


def find_seeds(components: Components, design: Design, difference: float, most: int) -> int | None:
    """Return how many seeds two methods need to be told apart; None where ``most`` are not enough."""
    return _find_first(
        range(ENOUGH_SEEDS, most + 1),
        lambda n: find_detectable_difference(components, replace(design, n_seeds=n)) <= difference,
    )


def find_subjects(components: Components, design: Design, difference: float, most: int) -> int | None:
    """Return how many test subjects two methods need to be told apart; None where ``most`` are not enough."""
    return _find_first(
        range(2, most + 1),
        lambda n: find_detectable_difference(components, replace(design, n_subjects=n)) <= difference,
    )


def _find_first(numbers: range, is_enough: Callable[[int], bool]) -> int | None:
    """Return the first number that is enough, where all after it are; None where none is."""
    place = bisect.bisect_left(numbers, True, key=is_enough)
    return numbers[place] if place < len(numbers) else None


def _draw(components: Components, design: Design, draws: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the first method's differences from all others, of equal ones.

    Returns:
        errors of the means ``(R, M - 1)``, terms of their variance ``(R, M - 1, 2)`` and degrees of freedom
        ``(2,)`` as ``split_variance`` has them.
    """
    n_methods, n_seeds, n_subjects = design.n_methods, design.n_seeds, design.n_subjects
    rng = np.random.default_rng([n_methods, n_seeds, n_subjects])
    size = n_seeds * n_subjects
    # a method has half of the variance of a difference; means and deviations from them are independent
    of_seed = (components.seed + components.residual / n_subjects) / 2
    of_subject = (components.subject + components.residual / n_seeds) / 2
    of_mean = (components.seed * n_subjects + components.subject * n_seeds + components.residual) / (2 * size)
    errors = _subtract(rng.normal(0, math.sqrt(of_mean), (draws, n_methods)))
    seeds = _subtract(rng.normal(0, math.sqrt(of_seed), (draws, n_methods, n_seeds)))
    subjects = _subtract(rng.normal(0, math.sqrt(of_subject), (draws, n_methods, n_subjects)))
    # the residual's mean square varies little: of its own for each pair it is near enough
    residual_df = (n_seeds - 1) * (n_subjects - 1)
    ms_residual = components.residual * rng.chisquare(residual_df, errors.shape) / residual_df
    ms_seed, ms_subject = n_subjects * seeds.var(axis=2, ddof=1), n_seeds * subjects.var(axis=2, ddof=1)
    return (errors, *split_variance(ms_seed, ms_subject, ms_residual, n_seeds, n_subjects))


def _subtract(values: np.ndarray) -> np.ndarray:
    """Return the first method ``(R, M, …)`` minus each of the others, ``(R, M - 1, …)``."""
    return values[:, :1] - values[:, 1:]


def _find_leads(
    errors: np.ndarray, terms: np.ndarray, df: np.ndarray, design: Design, alpha: float
) -> np.ndarray:
    """Return from which lead on the first method is separated from all others in each draw, ``(R,)``.

    Holm's correction is undone from the clearest of these pairs to the least clear one.
    """
    spread = np.sqrt(terms.sum(axis=-1))
    clear = np.argsort(-np.divide(errors, spread, out=np.zeros_like(errors), where=spread > 0), axis=1)
    errors = np.take_along_axis(errors, clear, axis=1)
    terms = np.take_along_axis(terms, clear[..., None], axis=1)
    needed = np.full(len(errors), -math.inf)
    for step in range(design.n_methods - 1):
        level = 1 - alpha / (design.n_pairs - step)
        needed = np.maximum(needed, compute_half_width(terms[:, step], df, level) - errors[:, step])
    return needed
