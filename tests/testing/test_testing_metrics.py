"""Deliberately broken metrics: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from testing_overlap import Overlap

from mribench.errors import DataError
from mribench.interfaces import (
    Metric,
    Score,
)
from mribench.testing import (
    ConformanceError,
    check_metric,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


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


class CountsAsZero(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value, found.status, 0.0)


class Overwrites(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        prediction &= target
        return found


class Rolls(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        np.random.random()  # noqa: NPY002 - what is not allowed
        return super().score(prediction, target, spacing_mm)


class RollsWithTorch(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        torch.rand(1)
        return super().score(prediction, target, spacing_mm)


class Drifts(Overlap):
    calls = 0

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        self.calls += 1
        value = found.value * (1 - 1e-12 * self.calls)
        return Score(value, found.status, value if found.status == "ok" else 0.0)


class BadId(Overlap):
    id = "IoU 2"


class Range(Overlap):
    value_range = (1.0, 0.0)


class Silent(Overlap):
    on_empty = ""


class TakesFloats(Overlap):
    """Compares whatever it gets: a probability of NaN is "in the mask"."""

    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape:
            raise DataError("expected two masks")
        if target.dtype != bool:
            raise DataError("expected a mask")
        return super().score(prediction != 0, target, spacing_mm)


class Broadcasts(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape[1:] == target.shape[1:] and len(prediction) == 1:
            prediction = np.broadcast_to(prediction, target.shape)
        return super().score(prediction, target, spacing_mm)


class NoneForOneVoxel(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        if prediction.sum() == 1 and target.sum() == 1 and found.value == 0:
            return Score(math.nan)
        return found


class FailsOnFull(Overlap):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(math.nan, "failed") if target.all() and not prediction.all() else found


class Shift(Overlap):
    """Claims mm, and counts voxels."""

    id, unit, higher_is_better, value_range = "shift", "mm", False, (0.0, math.inf)

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        if found.status != "ok":
            return Score(math.nan, found.status, found.penalty)
        centres = [np.argwhere(mask).mean(axis=0) for mask in (prediction, target)]
        return Score(float(np.linalg.norm(centres[0] - centres[1])))


def test_a_sound_metric_conforms():
    check_metric(Overlap())


def test_a_value_counts_as_itself_unless_it_says_otherwise():
    assert Score(0.5).penalty == 0.5
    assert Score(0.0, "pred-empty", 3.0).penalty == 3.0
    for status in ("pred-empty", "both-empty", "failed"):
        assert math.isnan(Score(0.5, status).penalty)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (EmptyIsPerfect, "status 'ok' where it is 'both-empty'"),
        (DropsEmpty, "so that the row counts"),
        (IgnoresSpacingOrder, "turning the volume"),
        (Percent, r"against itself score 100, which is not in its range \(0.0, 1.0\)"),
        (Crashes, "end in ValueError"),
        (CountsAsZero, "score 1 with status ok, and count as 0"),
        (Overwrites, "changes the arrays"),
        (Rolls, "NumPy's global random state"),
        (RollsWithTorch, "torch's global random state"),
        (Drifts, "differently each time"),
        (BadId, "an id is lower case"),
        (Range, "expected smallest < largest"),
        (Silent, "'on_empty' does not say"),
        (TakesFloats, "a real-valued array with 1.0 for a mask score 1, expected a DataError"),
        (Broadcasts, "masks of different shapes score"),
        (NoneForOneVoxel, "two voxels apart score nan"),
        (FailsOnFull, "a voxel and a full mask score nan with status 'failed'"),
        (Shift, "is in mm, but voxels of twice the size"),
    ],
)
def test_broken_metrics(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric())


class Deviation(Metric):
    """Conforms: mean absolute error of images."""

    id, higher_is_better = "mae", False

    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape or not np.isfinite(prediction + target).all():
            raise DataError("expected two finite images of one shape")
        errors = np.abs(prediction - target)
        if mask is not None and not mask.any():
            raise DataError("expected a mask with a voxel")
        return Score(float((errors if mask is None else errors[mask]).mean()))


class WrongDirection(Deviation):
    value_range, higher_is_better = (0.0, 1.0), True

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(found.value if found.value > 0 else 1.0)


class TrustsTheReference(Deviation):
    def score(self, prediction, target, spacing_mm, mask=None):
        return super().score(prediction, np.nan_to_num(target), spacing_mm, mask)


class IgnoresNaN(Deviation):
    def score(self, prediction, target, spacing_mm, mask=None):
        return super().score(np.where(np.isnan(prediction), 0.0, prediction), target, spacing_mm, mask)


class DividesByContrast(Deviation):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm, mask)
        return Score(found.value / float(np.ptp(target)) if np.ptp(target) else 1 / 0)


class FailedWithANumber(Deviation):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm, mask)
        return found if np.ptp(target) else Score(0.0, "failed")


class Slices(Deviation):
    """An error of the first slices only, so the order of the axes matters."""

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm, mask)
        return Score(found.value + float(np.abs(prediction - target)[0].mean()))


class NoMask(Deviation):
    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return found if mask is None else Score(math.nan, "failed")


def test_image_metrics():
    check_metric(Deviation())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (WrongDirection, "more noise scores better"),
        (TrustsTheReference, "an image with nan in the reference score .*, expected a DataError"),
        (IgnoresNaN, "an image with nan in the prediction score .*, expected a DataError"),
        (DividesByContrast, "a reference without contrast end in ZeroDivisionError"),
        (FailedWithANumber, "are 'failed' and score 0, expected NaN"),
        (Slices, "turning the volume"),
        (NoMask, "no finite value inside a mask"),
    ],
)
def test_broken_image_metrics(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric())
