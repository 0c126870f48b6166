"""Components of values that are sums of means over the subjects of each class."""

from __future__ import annotations

import math

import numpy as np


def place_components(value: float, placements: np.ndarray, classes: np.ndarray, weight: float) -> np.ndarray:
    """Return the component of each subject of a value that is a sum of means over classes.

    The deviation of subject i of a class c of n_c is weight · N/n_c · (its placement - their mean). It is
    lengthened by sqrt(n_c (N - 1) / ((n_c - 1) N)), so that the variance of the components over N is that of
    DeLong et al. 1988 (doi:10.2307/2531595) exactly: each class has its own n_c - 1 degrees of freedom.

    Args:
        value: of the set.
        placements: ``(N,)``, whose mean over a class is what the class adds, before its weight.
        classes: ``(N,)`` class of each subject.
        weight: of the mean of each class.

    Returns:
        ``(N,)`` with the mean ``value``.
    """
    n_subjects = len(classes)
    components = np.full(n_subjects, value)
    for number in np.unique(classes):
        members = classes == number
        count = int(members.sum())
        degrees = max(count - 1, 1)  # one subject alone does not deviate from itself
        scale = weight * n_subjects / count * math.sqrt(count * (n_subjects - 1) / (degrees * n_subjects))
        components[members] += scale * (placements[members] - placements[members].mean())
    return components
