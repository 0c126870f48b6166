"""Metrics: the definition is part of the id.

``ENTRIES`` is what the plugin registers; the names are the ids.
"""

from __future__ import annotations

from mribench.interfaces import Entry
from mribench_tasks.metrics.dice import Dice
from mribench_tasks.metrics.hd95 import HD95MaxDirected
from mribench_tasks.metrics.psnr import PSNRL1, PSNRRange

ENTRIES: list[Entry] = [
    Entry("metric", Dice.id, Dice, summary="overlap of two masks, 2|A∩B| / (|A| + |B|)"),
    Entry(
        "metric",
        HD95MaxDirected.id,
        HD95MaxDirected,
        summary="larger of the two directed 95th percentiles of border distances, in mm",
    ),
    Entry(
        "metric", PSNRRange.id, PSNRRange, summary="peak signal-to-noise ratio, L = range of the reference"
    ),
    Entry("metric", PSNRL1.id, PSNRL1, summary="peak signal-to-noise ratio, L = 1"),
]
"""One entry for each metric of this package."""

__all__ = ["ENTRIES", "PSNRL1", "Dice", "HD95MaxDirected", "PSNRRange"]
