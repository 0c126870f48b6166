"""Metrics. This module imports no torch: the report reads it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

ScoreStatus = Literal["ok", "few", "pred-empty", "ref-empty", "both-empty", "failed"]
"""``few``: of a set with a value, and too few subjects for an interval of it; ``failed``: without a value."""


@dataclass(frozen=True)
class Score:
    """One value, with what is known about it.

    Attributes:
        value: the raw value; NaN where the definition gives none.
        status: whether a mask was empty.
        penalty: what the default policy counts: the value itself where the status is ``ok``, which is filled
            in; another where a mask is empty (Dice 0, HD95 the image diagonal); NaN where the row is left out
            and counted (both empty), or failed.
    """

    value: float
    status: ScoreStatus = "ok"
    penalty: float = float("nan")

    def __post_init__(self) -> None:
        if self.status == "ok" and math.isnan(self.penalty):
            object.__setattr__(self, "penalty", self.value)


class Metric(ABC):
    """A score of one subject's prediction.

    ``mribench.testing.check_metric`` tries what is said here, on empty, full, single-voxel, anisotropic and
    non-finite input.

    Attributes:
        id: name with the definition in it, ``hd95:max-directed``: lower case, parts joined by ``:``, ``-`` or
            ``.``; options that change the definition are part of it.
        unit: ``mm``, ``dB``, or empty.
        higher_is_better: the direction.
        value_range: smallest and largest value.
        on_empty: one line on what happens with empty masks.
    """

    id: str
    unit: str = ""
    higher_is_better: bool = True
    value_range: tuple[float, float] = (0.0, float("inf"))
    on_empty: str = ""

    @abstractmethod
    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],
        mask: np.ndarray | None = None,
    ) -> Score:
        """Score one prediction; neither array is changed, and nothing is drawn at random.

        Args:
            prediction: ``(I, J, K)``, boolean for masks, real for images.
            target: the reference, same shape and type.
            spacing_mm: voxel edges along I, J, K.
            mask: ``(I, J, K)`` boolean, voxels that count, for image metrics.

        Returns:
            a value in ``value_range``; ``failed`` with NaN where the input can be read and the definition
            gives no value (an image without contrast).

        Raises:
            DataError: when the shapes differ, when a metric of masks is given anything but booleans, and when
                a voxel that counts is NaN or infinite, in the prediction or in the reference: a number made
                from such an image would hide that a network diverged.
        """


@dataclass(frozen=True, eq=False)
class SetScore:
    """One value of a whole set of subjects, and what each subject has to do with it.

    Attributes:
        value: of the whole set; NaN where the definition gives none.
        components: ``(N,)``, one of each subject. Their mean is ``value``; their spread is that of its error:
            the variance of ``value`` over other subjects is about that of the components, divided by N. They
            may lie outside ``value_range``. All NaN where there is no value.
        status: ``ok``; ``few`` where the value counts and no interval of it would hold (a handful of subjects
            of a class); ``failed`` where the set gives no value (subjects of one class only).
        reason: why it is not ``ok``; empty where it is.
    """

    value: float
    components: np.ndarray
    status: ScoreStatus = "ok"
    reason: str = ""


class SetMetric(ABC):
    """A score over the predictions of all subjects of a test set at once (AUROC, correlation).

    It is stored as one component of each subject, so that seeds and subjects are compared as with any other
    metric. ``mribench.set_scores`` has what most of them share, and ``jackknife`` for a metric whose
    components nobody derived. ``mribench.testing.check_set_metric`` tries what is said here.

    Attributes:
        id: as that of a ``Metric``.
        unit: as that of a ``Metric``; empty for a share or a correlation, and for what has the unit of the
            numbers that are predicted.
        higher_is_better: the direction.
        value_range: smallest and largest value of the set; the components are not bound by it.
        of: ``classes`` or ``numbers``, what is predicted.
    """

    id: str
    unit: str = ""
    higher_is_better: bool = True
    value_range: tuple[float, float] = (0.0, 1.0)
    of: Literal["classes", "numbers"]

    @abstractmethod
    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Score the predictions of all subjects; neither array is changed, and nothing is drawn at random.

        Args:
            predictions: ``(N, C)`` probabilities of the classes 0 to C - 1, or ``(N,)`` numbers.
            targets: ``(N,)`` numbers of classes, whole and from 0 to C - 1, or ``(N,)`` numbers.

        Returns:
            a value in ``value_range``, whatever the order of the subjects; ``failed`` with NaN where the
            input can be read and the definition gives no value.

        Raises:
            DataError: when the shapes do not fit, there is no subject, or anything is NaN or infinite.
        """
