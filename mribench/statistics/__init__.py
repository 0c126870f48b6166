"""Estimates, intervals, tests and marks from score rows.

No file is read and no table is laid out here.
"""

from __future__ import annotations

from mribench.statistics.crossed import Components, components, mean_and_se
from mribench.statistics.marks import mark
from mribench.statistics.scores import Estimate, estimate, estimates, subject_means

__all__ = [
    "Components",
    "Estimate",
    "components",
    "estimate",
    "estimates",
    "mark",
    "mean_and_se",
    "subject_means",
]
