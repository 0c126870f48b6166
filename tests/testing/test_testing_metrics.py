"""Deliberately broken metrics: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mribench.interfaces import (
    Metric,
    Score,
    SetMetric,
)
from mribench.testing import (
    ConformanceError,
    check_metric,
    check_set_metric,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Overlap(Metric):
    """Conforms: intersection over union."""

    id, value_range, on_empty = "iou", (0.0, 1.0), "0 when one mask is empty, left out when both are"

    def score(self, prediction, target, spacing_mm, mask=None):
        from mribench.errors import DataError

        if prediction.shape != target.shape or prediction.dtype != bool:
            raise DataError("expected two masks")
        empty = prediction.any(), target.any()
        if empty == (False, False):
            return Score(math.nan, "both-empty")
        status = {(False, True): "pred-empty", (True, False): "ref-empty"}.get(empty, "ok")
        return Score(float((prediction & target).sum() / (prediction | target).sum()), status, 0.0)


class EmptyIsPerfect(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        if not prediction.any() and not target.any():
            return Score(1.0, "ok", 1.0)
        return super().score(prediction, target, spacing_mm)


class DropsEmpty(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value, found.status)


class IgnoresSpacingOrder(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value ** spacing_mm[0], found.status, found.penalty)


class Percent(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(100 * found.value, found.status, found.penalty)


class Crashes(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape:
            prediction & target
        return super().score(prediction, target, spacing_mm)


def test_a_sound_metric_conforms():
    check_metric(Overlap())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (EmptyIsPerfect, "status 'ok' where it is 'both-empty'"),
        (DropsEmpty, "so that the row counts"),
        (IgnoresSpacingOrder, "turning the volume"),
        (Percent, "a perfect prediction scores 100"),
        (Crashes, "end in ValueError"),
    ],
)
def test_broken_metrics(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric())


class Deviation(Metric):
    """Conforms: mean absolute error of images."""

    id, higher_is_better = "mae", False

    def score(self, prediction, target, spacing_mm, mask=None):
        from mribench.errors import DataError

        if prediction.shape != target.shape or not np.isfinite(prediction).all():
            raise DataError("expected two finite images of one shape")
        return Score(float(np.abs(prediction - target).mean()))


class WrongDirection(Deviation):
    value_range, higher_is_better = (0.0, 1.0), True

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value if found.value > 0 else 1.0)


def test_image_metrics():
    check_metric(Deviation())
    with pytest.raises(ConformanceError, match="more noise scores better"):
        check_metric(WrongDirection())


def test_set_metrics():
    class Agreement(SetMetric):
        id = "agreement"

        def score_set(self, predictions, targets):
            return Score(float(np.mean([predictions[name] == targets[name] for name in targets])))

    class Disagreement(Agreement):
        higher_is_better = False

    check_set_metric(Agreement())
    with pytest.raises(ConformanceError, match="a perfect prediction scores 1"):
        check_set_metric(Disagreement())
