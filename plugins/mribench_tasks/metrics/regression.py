"""Scores of numbers that are predicted of subjects, such as their age."""

from __future__ import annotations

import math

import numpy as np

from mribench.interfaces import NoOptions, SetMetric, SetScore
from mribench.set_scores import give_no_value, give_value, require_numbers, score_without

_FEWEST = 3
_NO_SPREAD = "predictions or targets that are all alike, for all subjects or without one of them"
_TINY = 1e-12
"""Share of a sum of squares that rounding may leave of none."""


class AbsoluteError(SetMetric):
    """Mean absolute difference, in the unit of the numbers; the component of a subject is its own."""

    id = "absolute-error"
    higher_is_better = False
    value_range = (0.0, float("inf"))
    of = "numbers"

    def __init__(self, options: NoOptions) -> None:
        """Keep the options, which are none."""
        self.options = options

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Return the mean over subjects."""
        require_numbers(self.id, predictions, targets)
        errors = np.abs(predictions - targets).astype(float)
        return give_value(float(errors.mean()), errors, len(errors))


class Pearson(SetMetric):
    """Pearson's correlation of predictions and targets (Pearson 1895, doi:10.1098/rspl.1895.0041).

    Components are delete-one pseudo-values (``set_scores.score_without``).
    """

    id = "pearson"
    value_range = (-1.0, 1.0)
    of = "numbers"

    def __init__(self, options: NoOptions) -> None:
        """Keep the options, which are none."""
        self.options = options

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Return the correlation; ``failed`` where predictions or targets are all alike."""
        require_numbers(self.id, predictions, targets)
        if len(targets) < _FEWEST:
            return give_no_value(len(targets), f"{len(targets)} subjects, expected {_FEWEST} or more")
        first, second = _centre(predictions), _centre(targets)
        products, squares = first * second, (first**2, second**2)
        spread = [_leave_each_out(part) for part in squares]
        if any(whole <= 0 or left.min() <= _TINY * whole for whole, left in spread):
            return give_no_value(len(targets), _NO_SPREAD)
        covariance, without = _leave_each_out(products)
        value = covariance / math.sqrt(spread[0][0] * spread[1][0])
        return score_without(
            float(np.clip(value, -1, 1)), without / np.sqrt(spread[0][1] * spread[1][1]), _NO_SPREAD
        )


class R2(SetMetric):
    """Coefficient of determination, 1 - Σ(target - prediction)² / Σ(target - mean of the targets)².

    Of the test subjects, so that predicting their mean gives 0, and a worse prediction less (Kvålseth 1985,
    doi:10.1080/00031305.1985.10479448, eq. 1). Components are delete-one pseudo-values.
    """

    id = "r2"
    value_range = (float("-inf"), 1.0)
    of = "numbers"

    def __init__(self, options: NoOptions) -> None:
        """Keep the options, which are none."""
        self.options = options

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Return the coefficient; ``failed`` where the targets are all alike."""
        require_numbers(self.id, predictions, targets)
        if len(targets) < _FEWEST:
            return give_no_value(len(targets), f"{len(targets)} subjects, expected {_FEWEST} or more")
        total, without = _leave_each_out(_centre(targets) ** 2)
        if total <= 0 or without.min() <= _TINY * total:
            return give_no_value(len(targets), _NO_SPREAD)
        errors = (targets - predictions) ** 2
        left = 1 - (errors.sum() - errors) / without
        return score_without(float(1 - errors.sum() / total), left, _NO_SPREAD)


def _centre(numbers: np.ndarray) -> np.ndarray:
    """Return numbers ``(N,)`` minus their mean; exact zeros where all are alike."""
    if np.ptp(numbers) == 0:
        return np.zeros(len(numbers))
    centred: np.ndarray = numbers - numbers.mean()
    return centred


def _leave_each_out(products: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a sum of products of centred numbers ``(N,)``, and that without each subject, centred anew."""
    total = float(products.sum())
    return total, total - products * len(products) / (len(products) - 1)
