"""Estimates, intervals, tests and marks from score rows.

No file is read and no table is laid out here.
"""

from __future__ import annotations

from mribench.statistics.crossed import Components, estimate_components, estimate_mean_and_se
from mribench.statistics.scores import Estimate, average_subjects, estimate, estimate_groups
from mribench.statistics.ties import mark

__all__ = [
    "Components",
    "Estimate",
    "average_subjects",
    "estimate",
    "estimate_components",
    "estimate_groups",
    "estimate_mean_and_se",
    "mark",
]
