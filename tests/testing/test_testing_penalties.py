"""What an empty mask costs: metrics that reward missing a lesion are found, and the price is named."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from testing_overlap import Overlap

from mribench.interfaces import Score
from mribench.testing import ConformanceError, check_metric


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Penalised(Overlap):
    """Overlap, with another price of an empty mask; both empty have a price of their own."""

    penalty, both = 0.0, math.nan

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        price = {"ok": found.penalty, "both-empty": self.both}.get(found.status, self.penalty)
        return Score(found.value, found.status, price)


class Far(Overlap):
    """Conforms: distance of the centres in mm, the diagonal of the image where a mask is empty."""

    id, unit, higher_is_better, value_range = "centres", "mm", False, (0.0, math.inf)
    penalty = None

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        if found.status == "both-empty":
            return Score(math.nan, found.status)
        if found.status != "ok":
            edges = np.multiply(target.shape, spacing_mm)
            return Score(math.nan, found.status, self.penalty or float(np.linalg.norm(edges)))
        centres = [np.argwhere(one).mean(axis=0) * spacing_mm for one in (prediction, target)]
        return Score(float(np.linalg.norm(centres[0] - centres[1])))


class FreeMiss(Far):
    """A missed lesion costs nothing."""

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(math.nan, found.status, 0.0) if found.status == "pred-empty" else found


class FreeInvention(Far):
    """An invented lesion costs less than a misplaced one."""

    def score(self, prediction, target, spacing_mm, mask=None):
        found = super().score(prediction, target, spacing_mm)
        return Score(math.nan, found.status, 40.0) if found.status == "ref-empty" else found


def test_a_sound_penalty_conforms():
    check_metric(Far())
    check_metric(Penalised())


def test_as_bad_as_the_worst_pair_is_bad_enough():
    # Voxels in opposite corners of 13 × 15 × 14 voxels of 1 × 1.5 × 3 mm lie 45.8912 mm apart.
    worst_mm = math.hypot(12, 21, 39)
    metric = Far()
    metric.penalty = worst_mm
    check_metric(metric)
    metric.penalty = worst_mm - 0.01
    with pytest.raises(ConformanceError, match=r"pred-empty is 45\.8812, better than 45\.8912"):
        check_metric(metric)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (1.0, "the penalty of pred-empty is 1, better than 0, which two masks of the same grid score"),
        (0.1, "is 0.1, better than 0"),
        (-0.5, r"the penalty of pred-empty is -0.5, which is not in its range \(0.0, 1.0\)"),
        (1.5, r"the penalty of pred-empty is 1.5, which is not in its range \(0.0, 1.0\)"),
        (-math.inf, "the penalty of pred-empty is -inf; expected a number"),
        (math.nan, "the penalty of pred-empty is nan; expected a number, so that the row counts"),
    ],
)
def test_empty_masks_that_cost_too_little_or_no_value_at_all(penalty, message):
    metric = Penalised()
    metric.penalty = penalty
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric)


@pytest.mark.parametrize("both", [0.0, 1.0, math.inf])
def test_two_empty_masks_may_not_count(both):
    metric = Penalised()
    metric.both = both
    with pytest.raises(ConformanceError, match=f"penalty of both-empty is {both}; expected NaN"):
        check_metric(metric)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (FreeMiss, "metric centres: the penalty of pred-empty is 0, better than 45.8"),
        (FreeInvention, "metric centres: the penalty of ref-empty is 40, better than 45.8"),
    ],
)
def test_distances_that_reward_an_empty_mask(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric())


def test_a_tail_below_zero_must_cost_as_much():
    class Agreement(Penalised):
        """In -1..1 as a kappa is: two masks that share nothing are worse than 0."""

        value_range = (-1.0, 1.0)

        def score(self, prediction, target, spacing_mm, mask=None):
            found = super().score(prediction, target, spacing_mm)
            return Score(2 * found.value - 1) if found.status == "ok" else found

    metric = Agreement()
    with pytest.raises(ConformanceError, match="penalty of pred-empty is 0, better than -1"):
        check_metric(metric)
    metric.penalty = -1.0
    check_metric(metric)
