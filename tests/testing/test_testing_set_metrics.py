"""Deliberately broken metrics of whole sets: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mribench.errors import DataError
from mribench.interfaces import SetMetric, SetScore
from mribench.set_scores import give_no_value, give_value, jackknife, require_classes, require_numbers
from mribench.testing import ConformanceError, check_set_metric


class Slope(SetMetric):
    """Of targets on predictions, by the jackknife: nothing is derived."""

    id = "slope:capped"
    value_range = (-1.0, 1.0)
    of = "numbers"

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        require_numbers(self.id, predictions, targets)
        return jackknife(_slope, predictions, targets, "predictions that are all alike")


def _slope(predictions: np.ndarray, targets: np.ndarray) -> float:
    if len(targets) < 2 or np.ptp(predictions) == 0 or np.ptp(targets) == 0:
        return math.nan
    return float(np.clip(np.polyfit(predictions, targets, 1)[0], -1, 1))


class Accuracy(SetMetric):
    id = "accuracy"
    of = "classes"

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        classes = require_classes(self.id, predictions, targets)
        return self.of_right((predictions.argmax(axis=1) == classes).astype(float))

    def of_right(self, right: np.ndarray) -> SetScore:
        return give_value(float(right.mean()), right, len(right))


def test_metrics_by_the_jackknife_and_by_subjects_conform():
    check_set_metric(Slope())
    check_set_metric(Accuracy())


class WrongDirection(Accuracy):
    higher_is_better = False


class NoKind(Accuracy):
    of = "images"


class OtherMean(Accuracy):
    def of_right(self, right):
        return SetScore(float(right.mean()), right + 0.1)


class NoSpread(Accuracy):
    def of_right(self, right):
        return SetScore(float(right.mean()), np.full(len(right), right.mean()))


class SpreadOfTheMean(Accuracy):
    """As if the components had the standard error of the value as their spread."""

    def of_right(self, right):
        value = float(right.mean())
        return SetScore(value, value + (right - value) / math.sqrt(len(right)))


class FirstCounts(Accuracy):
    def of_right(self, right):
        weights = np.linspace(2, 0, len(right)) if len(right) > 1 else np.ones(1)
        value = float((weights * right).mean())
        return SetScore(value, value + right - right.mean())


class NoReason(Accuracy):
    def of_right(self, right):
        if len(right) < 5:
            return SetScore(math.nan, np.full(len(right), math.nan), "failed")
        return super().of_right(right)


class FailedWithANumber(Accuracy):
    def of_right(self, right):
        if len(right) < 5:
            return SetScore(0.0, np.zeros(len(right)), "failed", "few")
        return super().of_right(right)


class FailsAlways(Accuracy):
    def of_right(self, right):
        return give_no_value(len(right), "always")


class OneComponent(Accuracy):
    def of_right(self, right):
        return SetScore(float(right.mean()), right.mean(keepdims=True))


class TrustsPredictions(Accuracy):
    def score_set(self, predictions, targets):
        try:
            return super().score_set(predictions, targets)
        except DataError:
            return self.of_right(np.zeros(max(1, len(targets))))


class Breaks(Accuracy):
    def score_set(self, predictions, targets):
        return self.of_right((predictions.argmax(axis=1) == targets).astype(float))


class Changes(Accuracy):
    def score_set(self, predictions, targets):
        score = super().score_set(predictions, targets)
        predictions += 1
        return score


class Draws(Accuracy):
    def of_right(self, right):
        return super().of_right(right + np.random.random() / 100)  # noqa: NPY002


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (WrongDirection, "a perfect prediction scores 1, its best is 0"),
        (NoKind, "'of' is 'images', expected classes or numbers"),
        (OtherMean, "their components have the mean"),
        (NoSpread, "by its components the value varies by .* from set to set"),
        (SpreadOfTheMean, "its intervals would not hold"),
        (FirstCounts, "subjects in another order have another value"),
        (NoReason, "are 'failed' for the reason ''"),
        (FailedWithANumber, "are 'failed' and score 0, expected NaN"),
        (FailsAlways, "fair predictions are 'failed', expected ok"),
        (OneComponent, r"components of shape \(1,\), expected one for each subject"),
        (TrustsPredictions, "a prediction that is nan scores 0, expected a DataError"),
        (Breaks, "fewer predictions than targets|expected a DataError"),
        (Changes, "changes the arrays that it is given"),
        (Draws, "random"),
    ],
)
def test_broken_set_metrics(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_set_metric(metric())
