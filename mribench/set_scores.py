"""What scores of whole sets share: checks of what they are given, and components by leaving one subject out.

Public to plugins. The metrics themselves are plugins.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mribench.errors import DataError
from mribench.interfaces.metric import SetScore

Statistic = Callable[[np.ndarray, np.ndarray], float]
"""Gives the value of a set from its predictions and targets; NaN where the definition gives none."""
ENOUGH = 10
"""Subjects, of each class if there are any, below which a set is ``few``: no interval of it is shown."""


def require_classes(metric_id: str, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the targets as whole numbers, once probabilities and targets fit each other.

    Args:
        metric_id: for the message.
        predictions: ``(N, C)`` probabilities, C at least 2.
        targets: ``(N,)`` numbers of classes.

    Raises:
        DataError: when shapes do not fit, a probability is not finite, or a target is not one of 0 to C - 1.
    """
    if predictions.ndim != 2 or predictions.shape[1] < 2:
        raise _find_wrong(metric_id, f"probabilities (N, C) of 2 classes or more, got {predictions.shape}")
    _require_pairs(metric_id, predictions, targets)
    classes = predictions.shape[1]
    if not np.isin(targets, np.arange(classes)).all():
        raise _find_wrong(metric_id, f"targets from 0 to {classes - 1}, got {np.unique(targets).tolist()}")
    return targets.astype(np.int64)


def require_numbers(metric_id: str, predictions: np.ndarray, targets: np.ndarray) -> None:
    """Require numbers ``(N,)`` and targets ``(N,)`` that fit each other.

    Raises:
        DataError: when shapes do not fit, or anything is not finite.
    """
    if predictions.ndim != 1:
        raise _find_wrong(metric_id, f"one number for each subject, (N,), got {predictions.shape}")
    _require_pairs(metric_id, predictions, targets)


def _require_pairs(metric_id: str, predictions: np.ndarray, targets: np.ndarray) -> None:
    n_subjects = len(predictions)
    if targets.shape != (n_subjects,) or not n_subjects:
        raise _find_wrong(
            metric_id, f"a target for each of {n_subjects} predictions, at least one, got {targets.shape}"
        )
    for name, array in (("prediction", predictions), ("target", targets)):
        if not np.isfinite(array).all():
            raise _find_wrong(metric_id, f"finite numbers, and a {name} is NaN or infinite")


def _find_wrong(metric_id: str, sentence: str) -> DataError:
    return DataError(f"metric {metric_id}: expected {sentence}")


def give_no_value(n_subjects: int, reason: str) -> SetScore:
    """Return the score of a set of n subjects that the definition gives no value for."""
    return SetScore(math.nan, np.full(n_subjects, math.nan), "failed", reason)


def give_value(value: float, components: np.ndarray, n_rarest: int) -> SetScore:
    """Return a score, ``few`` where fewer than ``ENOUGH`` subjects stand behind it.

    Args:
        value: of the set.
        components: ``(N,)``, whose mean it is.
        n_rarest: subjects of the rarest class; of all where there are no classes.
    """
    if n_rarest >= ENOUGH:
        return SetScore(value, components)
    reason = f"an interval wants {ENOUGH} subjects, of each class if there are any; the fewest are {n_rarest}"
    return SetScore(value, components, "few", reason)


def jackknife(statistic: Statistic, predictions: np.ndarray, targets: np.ndarray, reason: str) -> SetScore:
    """Return a score with components by leaving one subject out, for a metric of which nobody derived any.

    It holds for values that change smoothly with the subjects: not for a median, nor for a maximum.

    Args:
        statistic: of predictions and targets.
        predictions: ``(N, …)``, finite.
        targets: ``(N,)``, finite.
        reason: why there may be no value, for the set or without one of its subjects.
    """
    n_subjects = len(targets)
    if n_subjects < 2:
        return give_no_value(n_subjects, reason)
    value = statistic(predictions, targets)
    without = [_leave_out(statistic, predictions, targets, i) for i in range(n_subjects)]
    return score_without(value, np.array(without), reason)


def _leave_out(statistic: Statistic, predictions: np.ndarray, targets: np.ndarray, i: int) -> float:
    kept = np.arange(len(targets)) != i
    return statistic(predictions[kept], targets[kept])


def score_without(value: float, without: np.ndarray, reason: str) -> SetScore:
    """Return a score with delete-one pseudo-values as components, shifted so that their mean is the value.

    The component of subject i is θ - (n - 1)(θ₋ᵢ - mean of θ₋), where θ is the value of the set and θ₋ᵢ that
    without i (Tukey 1958, doi:10.1214/aoms/1177706647; Miller 1974, doi:10.1093/biomet/61.1.1). Tukey's own
    have the mean n θ - (n - 1) mean of θ₋, which has less bias; the shift leaves their spread.

    Args:
        value: of the set.
        without: ``(N,)`` that of the set without each subject.
        reason: why one of these may be NaN.
    """
    n_subjects = len(without)
    if n_subjects < 2 or not math.isfinite(value) or not np.isfinite(without).all():
        return give_no_value(n_subjects, reason)
    return give_value(value, value - (n_subjects - 1) * (without - without.mean()), n_subjects)
