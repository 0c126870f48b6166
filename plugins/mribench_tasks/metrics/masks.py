"""What all metrics of two masks share: the checks, and the policy on empty masks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mribench.errors import DataError
from mribench.interfaces import Metric, NoOptions, Score, ScoreStatus


def check_masks(prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> None:
    """Check that two masks ``(I, J, K)`` can be compared.

    Raises:
        DataError: unless both are boolean and three-dimensional, of one shape, with voxel edges > 0.
    """
    for name, array in (("prediction", prediction), ("reference", target)):
        if array.ndim != 3:
            raise DataError(f"expected a {name} mask (I, J, K), got {array.ndim} axes {array.shape}")
        if array.dtype != np.bool_:
            raise DataError(
                f"expected a boolean {name} mask, got {array.dtype}", "compare with a class or a threshold"
            )
    if prediction.shape != target.shape:
        raise DataError(
            f"expected a prediction of the reference's shape {target.shape}, got {prediction.shape}",
            "bring the prediction to the reference's grid before it is scored",
        )
    if len(spacing_mm) != 3 or not all(math.isfinite(edge) and edge > 0 for edge in spacing_mm):
        raise DataError(f"expected three voxel edges in mm, all > 0, got {tuple(spacing_mm)}")


def empty_status(prediction: np.ndarray, target: np.ndarray) -> ScoreStatus:
    """Return which of two masks is empty; ``ok`` when none is."""
    if prediction.any():
        return "ok" if target.any() else "ref-empty"
    return "pred-empty" if target.any() else "both-empty"


def image_diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Return the diagonal of an image ``(I, J, K)`` in mm, from outer corner to outer corner."""
    return math.hypot(*(n * edge for n, edge in zip(shape, spacing_mm, strict=True)))


class MaskMetric(Metric):
    """A metric of two boolean masks; subclasses say what it is when neither is empty.

    Both masks empty: the raw value is NaN and the row is left out (penalty NaN). One mask empty:
    ``value_one_empty`` and ``penalty_one_empty``.
    """

    value_one_empty: float = math.nan

    def __init__(self, options: NoOptions | None = None) -> None:
        self.options = options or NoOptions()

    @abstractmethod
    def compare(self, prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> float:
        """Return the value for two masks ``(I, J, K)`` of which neither is empty."""

    @abstractmethod
    def penalty_one_empty(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
        """Return what the default policy counts when one mask of ``shape`` is empty."""

    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],
        mask: np.ndarray | None = None,  # noqa: ARG002 - masks are compared over the whole image
    ) -> Score:
        """Score a boolean mask ``(I, J, K)`` against the reference; ``mask`` is not used.

        Raises:
            DataError: unless both are boolean, of one shape ``(I, J, K)``.
        """
        check_masks(prediction, target, spacing_mm)
        status = empty_status(prediction, target)
        if status == "both-empty":
            return Score(math.nan, status, math.nan)
        if status != "ok":
            return Score(self.value_one_empty, status, self.penalty_one_empty(target.shape, spacing_mm))
        value = self.compare(prediction, target, spacing_mm)
        return Score(value, status, value)
