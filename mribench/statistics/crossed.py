"""Standard error of a mean over two crossed factors, train seeds and subjects.

Every seed meets every subject, so the rows are not independent: a lucky seed lifts all subjects. The
model is score = mean + seed + subject + residual with random seed and subject effects, fitted from the
mean squares of the balanced two-way layout without replication (Searle, Casella & McCulloch 1992,
Variance Components, doi:10.1002/9780470316856, ch. 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


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
