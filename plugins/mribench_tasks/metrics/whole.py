"""Image metrics over every voxel of the volume, whatever part of it the task scores."""

from __future__ import annotations

from mribench.interfaces import Metric, NoOptions
from mribench_tasks.metrics.mae import MAE
from mribench_tasks.metrics.psnr import PSNRL1, PSNRRange
from mribench_tasks.metrics.ssim import SSIM
from mribench_tasks.whole_volume import WholeVolume


def psnr_range_whole(options: NoOptions) -> Metric:
    """Return ``psnr:range`` over the whole volume."""
    return WholeVolume(PSNRRange(options))


def psnr_l1_whole(options: NoOptions) -> Metric:
    """Return ``psnr:l1`` over the whole volume."""
    return WholeVolume(PSNRL1(options))


def ssim_whole(options: NoOptions) -> Metric:
    """Return ``ssim`` over the whole volume."""
    return WholeVolume(SSIM(options))


def mae_whole(options: NoOptions) -> Metric:
    """Return ``mae`` over the whole volume."""
    return WholeVolume(MAE(options))
