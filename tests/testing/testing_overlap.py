"""A metric that conforms, for the tests of this folder to break."""

from __future__ import annotations

import math

from mribench.errors import DataError
from mribench.interfaces import Metric, Score


class Overlap(Metric):
    """Conforms: intersection over union."""

    id, value_range, on_empty = "iou", (0.0, 1.0), "0 when one mask is empty, left out when both are"

    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape or prediction.dtype != bool or target.dtype != bool:
            raise DataError("expected two masks")
        empty = prediction.any(), target.any()
        if empty == (False, False):
            return Score(math.nan, "both-empty")
        status = {(False, True): "pred-empty", (True, False): "ref-empty"}.get(empty, "ok")
        value = float((prediction & target).sum() / (prediction | target).sum())
        return Score(value, status, 0.0 if status != "ok" else value)
