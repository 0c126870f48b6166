"""Balanced accuracy."""

from __future__ import annotations

import numpy as np

from mribench.interfaces import NoOptions, SetMetric, SetScore
from mribench.set_scores import give_no_value, give_value, require_classes
from mribench_tasks.metrics.classes import place_components


class BalancedAccuracy(SetMetric):
    """Mean over classes of the share of their subjects whose most probable class is right.

    Brodersen et al. 2010 (doi:10.1109/ICPR.2010.764). The first of classes that are equally probable counts.
    """

    id = "balanced-accuracy"
    of = "classes"

    def __init__(self, options: NoOptions) -> None:
        """Keep the options, which are none."""
        self.options = options

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Return the share; ``failed`` where a class has no subject."""
        classes = require_classes(self.id, predictions, targets)
        counts = np.bincount(classes, minlength=predictions.shape[1])
        if not counts.all():
            return give_no_value(len(classes), f"no subject of class {int(np.argmin(counts))}")
        right = (predictions.argmax(axis=1) == classes).astype(float)
        value = float(np.mean(np.bincount(classes, weights=right) / counts))
        components = place_components(value, right, classes, weight=1 / len(counts))
        return give_value(value, components, int(counts.min()))
