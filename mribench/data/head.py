"""Intensities of a head on a scale of its own, and where it is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

WINDOW_PERCENT = (0.5, 99.5)
"""Intensities are clipped to these percentiles of the volume before z-scoring, in every arm alike."""
_SMALLEST_SD = 1e-8


def measure_scale(image: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of ``(I, J, K)``, clipped as ``zscore`` does."""
    low, high = np.percentile(image, WINDOW_PERCENT)
    clipped = np.clip(image, low, high)
    return float(clipped.mean()), max(float(clipped.std()), _SMALLEST_SD)


def zscore(image: np.ndarray) -> np.ndarray:
    """Clip ``(I, J, K)`` to ``WINDOW_PERCENT`` of the volume, then zero mean and unit deviation."""
    low, high = np.percentile(image, WINDOW_PERCENT)
    clipped = np.clip(image, low, high)
    return ((clipped - clipped.mean()) / max(float(clipped.std()), _SMALLEST_SD)).astype(np.float32)


def find_foreground(image: np.ndarray) -> np.ndarray:
    """Return the head as a boolean ``(I, J, K)``: the largest part above the mean, holes filled."""
    bright = ndimage.binary_closing(image > image.mean(), iterations=2)
    parts, count = ndimage.label(bright)
    if count == 0:
        return np.ones(image.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    filled: np.ndarray = ndimage.binary_fill_holes(parts == largest)
    return filled
