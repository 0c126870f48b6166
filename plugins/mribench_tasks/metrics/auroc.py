"""Area under the receiver operating characteristic."""

from __future__ import annotations

import numpy as np

from mribench.interfaces import NoOptions, SetMetric, SetScore
from mribench.set_scores import give_no_value, give_value, require_classes
from mribench_tasks.metrics.classes import place_components


class AUROC(SetMetric):
    """Probability that a subject of a class has a higher score than one of another, ties half.

    That is the area under the receiver operating characteristic (Hanley & McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). Of two classes it is that of class 1; of more, the unweighted mean
    over classes of each against the rest (Fawcett 2006, doi:10.1016/j.patrec.2005.10.010, section 9.2,
    without weights). Components are the placement values of DeLong, DeLong & Clarke-Pearson 1988
    (doi:10.2307/2531595).
    """

    id = "auroc"
    of = "classes"

    def __init__(self, options: NoOptions) -> None:
        """Keep the options, which are none."""
        self.options = options

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        """Return the area; ``failed`` where a class has no subject."""
        classes = require_classes(self.id, predictions, targets)
        counts = np.bincount(classes, minlength=predictions.shape[1])
        if not counts.all():
            return give_no_value(len(classes), f"no subject of class {int(np.argmin(counts))}")
        compared = [1] if len(counts) == 2 else list(range(len(counts)))
        components = np.zeros(len(classes))
        value = 0.0
        for number in compared:
            area, parts = _compare_with_rest(predictions[:, number], classes == number)
            value += area / len(compared)
            components += parts / len(compared)
        return give_value(value, components, int(counts.min()))


def _compare_with_rest(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the area of the scores ``(N,)`` of a class against the rest, and its components ``(N,)``."""
    placements = np.empty(len(scores))
    placements[positive] = _place(scores[positive], scores[~positive])
    placements[~positive] = 1 - _place(scores[~positive], scores[positive])
    value = float(placements[positive].mean())
    return value, place_components(value, placements, positive, weight=1.0)


def _place(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of others that each score is above, ties half."""
    ordered = np.sort(others)
    first, last = (np.searchsorted(ordered, scores, side=side) for side in ("left", "right"))
    shares: np.ndarray = (first + last) / (2 * len(others))
    return shares
