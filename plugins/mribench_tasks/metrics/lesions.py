"""Detection of lesions: connected components that are found, missed or invented."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from mribench.interfaces import Metric, Options, Score
from mribench_tasks.metrics.masks import check_masks, empty_status
from mribench_tasks.metrics.numbers import at_least, decimals

_STEPS = {6: 1, 18: 2, 26: 3}
"""Neighbours by the number of axes along which they may lie one voxel off."""


class LesionF1Options(Options):
    """Options of the detection score."""

    connectivity: Literal[6, 18, 26] = Field(26, description="neighbours that make one lesion: 6, 18 or 26")
    match: Literal["overlap", "iou"] = Field(
        "overlap",
        description="'overlap': any common voxel, many to many: a prediction of the whole volume scores 1; "
        "'iou', which gives it 0: intersection over union of min_iou or more, one to one",
    )
    min_iou: float = Field(0.5, gt=0, le=1, description="smallest intersection over union of a match")
    min_volume_mm3: float = Field(0.0, ge=0, description="lesions smaller than this do not count, in mm³")


class LesionF1(Metric):
    """F1 of lesions, 2 TP / (2 TP + FP + FN): Commowick et al. 2018, doi:10.1038/s41598-018-31911-7.

    A lesion is a connected component. With the match rule ``overlap``, TP are the reference lesions that
    share a voxel with the prediction, FN the others, FP the predicted lesions that share none: it asks
    whether lesions were found, not how large they were drawn, so a prediction of the whole volume scores 1.
    With ``iou``, which gives that prediction 0, pairs of an intersection over union of ``min_iou`` or more
    are matched one to one, best first: the recognition quality of Kirillov et al. 2019,
    doi:10.1109/CVPR.2019.00963. Lesions below ``min_volume_mm3`` are taken out of both masks before anything
    else. The id names what is not as in ``LesionF1Options``.
    """

    id = "lesion-f1"
    higher_is_better = True
    value_range = (0.0, 1.0)
    on_empty = "no lesion in one mask: 0; in neither: undefined, left out and counted"

    def __init__(self, options: LesionF1Options | None = None) -> None:
        self.options = options or LesionF1Options()
        self.id = "lesion-f1" + _suffix(self.options)

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
        voxel_mm3 = math.prod(spacing_mm)
        predicted, wanted = (self._lesions(voxels, voxel_mm3) for voxels in (prediction, target))
        status = empty_status(predicted, wanted)
        if status != "ok":
            value = math.nan if status == "both-empty" else 0.0
            return Score(value, status, value)
        hits, false, missed = self._counts(predicted, wanted)
        value = 2 * hits / (2 * hits + false + missed)
        return Score(value, "ok", value)

    def _lesions(self, mask: np.ndarray, voxel_mm3: float) -> np.ndarray:
        """Return the lesions of a mask, numbered from 1 without gaps; the small ones are background."""
        joined = ndimage.generate_binary_structure(3, _STEPS[self.options.connectivity])
        lesions, _ = ndimage.label(mask, joined)
        kept = at_least(np.bincount(lesions.ravel()) * voxel_mm3, self.options.min_volume_mm3)
        kept[0] = False
        return np.where(kept, np.cumsum(kept), 0)[lesions]

    def _counts(self, predicted: np.ndarray, wanted: np.ndarray) -> tuple[int, int, int]:
        """Return true positives, false positives, false negatives of two maps of lesions ``(I, J, K)``."""
        n_predicted, n_wanted = int(predicted.max()), int(wanted.max())
        both = (predicted > 0) & (wanted > 0)
        pairs = np.stack([predicted[both], wanted[both]])
        (rows, columns), common = np.unique(pairs, axis=1, return_counts=True)
        if self.options.match == "iou":
            sizes = np.bincount(predicted.ravel())[rows] + np.bincount(wanted.ravel())[columns]
            hits = _one_to_one(rows, columns, common / (sizes - common), self.options.min_iou)
            return hits, n_predicted - hits, n_wanted - hits
        hits = len(np.unique(columns))
        return hits, n_predicted - len(np.unique(rows)), n_wanted - hits


def _one_to_one(rows: np.ndarray, columns: np.ndarray, iou: np.ndarray, smallest: float) -> int:
    """Return how many pairs of ``iou >= smallest`` can be taken, best first, each row and column once."""
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    for number in np.argsort(-iou, kind="stable"):
        row, column = int(rows[number]), int(columns[number])
        if iou[number] >= smallest and row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
    return len(taken_rows)


def _suffix(options: LesionF1Options) -> str:
    parts = []
    if options.match == "iou":
        parts.append(f":iou{decimals(options.min_iou)}")
    if options.connectivity != 26:
        parts.append(f":conn{options.connectivity}")
    if options.min_volume_mm3:
        parts.append(f":min{decimals(options.min_volume_mm3)}mm3")
    return "".join(parts)
