"""Probes: what is fitted on embeddings of people."""

from __future__ import annotations

from mribench.interfaces import Entry
from mribench_tasks.probes.knn import KNNOptions, KNNProbe
from mribench_tasks.probes.linear import LinearOptions, LinearProbe

ENTRIES: list[Entry] = [
    Entry(
        "probe",
        "linear",
        LinearProbe,
        LinearOptions,
        "ridge or logistic regression, its penalty chosen on validation subjects",
    ),
    Entry(
        "probe",
        "knn",
        KNNProbe,
        KNNOptions,
        "mean of the nearest training subjects, their number chosen on validation subjects",
    ),
]
"""One entry for each probe of this package."""

__all__ = ["ENTRIES", "KNNOptions", "KNNProbe", "LinearOptions", "LinearProbe"]
