"""Metrics. This module imports no torch: the report reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

ScoreStatus = Literal["ok", "pred-empty", "ref-empty", "both-empty", "failed"]
"""``failed``: the subject could not be scored at all."""


@dataclass(frozen=True)
class Score:
    """One value, with what is known about it.

    Attributes:
        value: the raw value; NaN where the definition gives none.
        status: whether a mask was empty.
        penalty: what the default policy counts instead when a mask is empty (Dice 0, HD95 the image
            diagonal); NaN where the row is left out and counted (both empty), or failed.
    """

    value: float
    status: ScoreStatus = "ok"
    penalty: float = float("nan")


class Metric(ABC):
    """A score of one subject's prediction.

    Attributes:
        id: name with the definition in it, ``hd95:max-directed``.
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
        """Score one prediction.

        Args:
            prediction: ``(I, J, K)``, boolean for masks, real for images.
            target: the reference, same shape and type.
            spacing_mm: voxel edges along I, J, K.
            mask: ``(I, J, K)`` boolean, voxels that count, for image metrics.

        Raises:
            DataError: when the shapes differ.
        """


class SetMetric(ABC):
    """A score over the stored predictions of all subjects at once (AUROC, correlation)."""

    id: str
    unit: str = ""
    higher_is_better: bool = True
    value_range: tuple[float, float] = (0.0, 1.0)

    @abstractmethod
    def score_set(self, predictions: Mapping[str, float], targets: Mapping[str, float]) -> Score:
        """Score the predictions of all subjects, keyed by subject id."""
