"""Structural similarity of images."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from mribench.errors import DataError
from mribench_tasks.metrics.images import ImageMetric, voxels_that_count

_SIGMA_VOX = 1.5
_RADIUS_VOX = 5
_K1, _K2 = 0.01, 0.03


class SSIM(ImageMetric):
    """Mean structural similarity, Wang et al. 2004, doi:10.1109/TIP.2003.819861, equation 13, in 3D.

    Gaussian window of 11 voxels and sigma 1.5 voxels, population covariance, K1 = 0.01, K2 = 0.03, L = range
    of the reference; the mean over the voxels whose whole window lies in the volume. The definition of
    scikit-image (``gaussian_weights=True, use_sample_covariance=False``) and of MONAI's ``SSIMMetric``.
    """

    id = "ssim"
    higher_is_better = True
    value_range = (-1.0, 1.0)
    on_empty = "no masks are compared; an image without contrast, or voxels without a window, are failed"

    def compare(self, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        """Return the mean over the voxels that count; L is of the same voxels, the windows are of all.

        Returns:
            NaN when L is 0, that is an image without contrast, or when no voxel that counts lies five voxels
            or more from the faces of the volume.

        Raises:
            DataError: when shapes differ, an axis is shorter than the window, the mask is empty, or a voxel
                of the volume is not finite.
        """
        voxels_that_count(prediction, target, None)  # the windows see every voxel
        _, reference = voxels_that_count(prediction, target, mask)
        if min(target.shape) <= 2 * _RADIUS_VOX:
            raise DataError(
                f"expected an image of {2 * _RADIUS_VOX + 1} voxels or more along each axis, the window of "
                f"ssim, got {target.shape}"
            )
        counts = np.ones(target.shape, dtype=bool) if mask is None else mask
        inner = (slice(_RADIUS_VOX, -_RADIUS_VOX),) * 3
        span = float(np.ptp(reference))
        if span == 0 or not counts[inner].any():
            return math.nan
        return float(_similarity(prediction, target, span)[counts[inner]].mean())


def _similarity(prediction: np.ndarray, target: np.ndarray, span: float) -> np.ndarray:
    """Return the similarity of each voxel whose window lies in the volume: ``(I - 10, J - 10, K - 10)``."""
    x, y = prediction.astype(np.float64), target.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x**2
    variance_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    small_1, small_2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    above = (2 * mean_x * mean_y + small_1) * (2 * covariance + small_2)
    return above / ((mean_x**2 + mean_y**2 + small_1) * (variance_x + variance_y + small_2))


def _windowed(image: np.ndarray) -> np.ndarray:
    """Return the Gaussian-weighted mean over each window that lies in the volume."""
    for axis in range(3):
        image = ndimage.gaussian_filter1d(image, _SIGMA_VOX, axis, radius=_RADIUS_VOX)
        image = image[tuple(slice(_RADIUS_VOX, -_RADIUS_VOX) if n == axis else slice(None) for n in range(3))]
    return image
