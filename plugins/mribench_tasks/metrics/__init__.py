"""Metrics: the definition is part of the id.

``ENTRIES`` is what the plugin registers; the names are the ids with the default options.
"""

from __future__ import annotations

from mribench.interfaces import Entry
from mribench_tasks.metrics.asd import ASSD, MASD
from mribench_tasks.metrics.auroc import AUROC
from mribench_tasks.metrics.balanced_accuracy import BalancedAccuracy
from mribench_tasks.metrics.dice import Dice
from mribench_tasks.metrics.hd95 import HD95MaxDirected, HD95Pooled
from mribench_tasks.metrics.lesions import LesionF1, LesionF1Options
from mribench_tasks.metrics.mae import MAE
from mribench_tasks.metrics.nsd import NSD, NSDOptions
from mribench_tasks.metrics.policies import DISTANCE_DEFECTS
from mribench_tasks.metrics.psnr import PSNRL1, PSNRRange
from mribench_tasks.metrics.regression import R2, AbsoluteError, Pearson
from mribench_tasks.metrics.ssim import SSIM
from mribench_tasks.metrics.surfel import HD95Surfel
from mribench_tasks.metrics.whole import mae_whole, psnr_l1_whole, psnr_range_whole, ssim_whole

ENTRIES: list[Entry] = [
    Entry("metric", Dice.id, Dice, summary="overlap of two masks, 2|A∩B| / (|A| + |B|)"),
    Entry(
        "metric",
        HD95MaxDirected.id,
        HD95MaxDirected,
        summary="larger of the two directed 95th percentiles of border distances, in mm",
        defects=DISTANCE_DEFECTS,
    ),
    Entry(
        "metric",
        HD95Pooled.id,
        HD95Pooled,
        summary="95th percentile of the border distances of both directions together, in mm",
        defects=DISTANCE_DEFECTS,
    ),
    Entry(
        "metric",
        HD95Surfel.id,
        HD95Surfel,
        summary="larger of the two directed 95th percentiles over surface elements by area, in mm",
        defects=DISTANCE_DEFECTS,
    ),
    Entry(
        "metric",
        ASSD.id,
        ASSD,
        summary="mean border distance of both directions together, in mm",
        defects=DISTANCE_DEFECTS,
    ),
    Entry(
        "metric",
        MASD.id,
        MASD,
        summary="mean of the two directed mean border distances, in mm",
        defects=DISTANCE_DEFECTS,
    ),
    Entry("metric", NSD.id, NSD, NSDOptions, "share of border voxels within a tolerance, 2 mm by default"),
    Entry(
        "metric",
        LesionF1.id,
        LesionF1,
        LesionF1Options,
        "F1 of lesions: 26-connected, matched by any overlap, of any volume, by default",
    ),
    Entry(
        "metric", PSNRRange.id, PSNRRange, summary="peak signal-to-noise ratio, L = range of the reference"
    ),
    Entry("metric", PSNRL1.id, PSNRL1, summary="peak signal-to-noise ratio, L = 1"),
    Entry(
        "metric", SSIM.id, SSIM, summary="structural similarity, Gaussian window, L = range of the reference"
    ),
    Entry("metric", MAE.id, MAE, summary="mean absolute error"),
    Entry("metric", "psnr:range:whole", psnr_range_whole, summary="psnr:range over the whole volume"),
    Entry("metric", "psnr:l1:whole", psnr_l1_whole, summary="psnr:l1 over the whole volume"),
    Entry("metric", "ssim:whole", ssim_whole, summary="ssim over the whole volume"),
    Entry("metric", "mae:whole", mae_whole, summary="mae over the whole volume"),
    Entry("metric", AUROC.id, AUROC, summary="area under the ROC of all subjects; one against the rest"),
    Entry(
        "metric",
        BalancedAccuracy.id,
        BalancedAccuracy,
        summary="share that is right, averaged over classes",
    ),
    Entry(
        "metric", AbsoluteError.id, AbsoluteError, summary="mean absolute error of a number of each subject"
    ),
    Entry("metric", Pearson.id, Pearson, summary="Pearson's correlation over all subjects"),
    Entry("metric", R2.id, R2, summary="coefficient of determination over all subjects"),
]
"""One entry for each metric of this package."""

__all__ = [
    "ASSD",
    "AUROC",
    "ENTRIES",
    "MAE",
    "MASD",
    "NSD",
    "PSNRL1",
    "R2",
    "SSIM",
    "AbsoluteError",
    "BalancedAccuracy",
    "Dice",
    "HD95MaxDirected",
    "HD95Pooled",
    "HD95Surfel",
    "LesionF1",
    "LesionF1Options",
    "NSDOptions",
    "PSNRRange",
    "Pearson",
]
