"""What all metrics of two images share: the checks, and the voxels that count."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mribench.errors import DataError
from mribench.interfaces import Metric, NoOptions, Score


def voxels_that_count(
    prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of two images ``(I, J, K)`` inside ``mask``, or all of them, in double precision.

    Raises:
        DataError: when shapes differ, an image is boolean, the mask is not boolean or has no voxel, or a
            voxel is not finite.
    """
    if prediction.ndim != 3:
        raise DataError(
            f"expected a predicted image (I, J, K), got {prediction.ndim} axes {prediction.shape}"
        )
    if prediction.shape != target.shape:
        raise DataError(
            f"expected a predicted image of the reference's shape {target.shape}, got {prediction.shape}",
            "bring the prediction to the reference's grid before it is scored",
        )
    for name, image in (("predicted", prediction), ("reference", target)):
        if image.dtype == np.bool_:
            raise DataError(
                f"expected a {name} image of real values, got a boolean mask",
                "this metric is of images; name one of masks, such as dice, for this task",
            )
    if mask is None:
        pair = prediction.ravel(), target.ravel()
    else:
        _check_mask(mask, target.shape)
        pair = prediction[mask], target[mask]
    for name, values in zip(("predicted", "reference"), pair, strict=True):
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise DataError(f"the {name} image has {count} voxels that are NaN or infinite")
    return pair[0].astype(np.float64), pair[1].astype(np.float64)


def _check_mask(mask: np.ndarray, shape: tuple[int, ...]) -> None:
    if mask.shape != shape or mask.dtype != np.bool_:
        raise DataError(f"expected a boolean mask of shape {shape}, got {mask.dtype} of {mask.shape}")
    if not mask.any():
        raise DataError("the mask of the voxels that count is empty", "check how the foreground is found")


class ImageMetric(Metric):
    """A metric of two images; subclasses say what it is on the voxels that count."""

    def __init__(self, options: NoOptions | None = None) -> None:
        self.options = options or NoOptions()

    @abstractmethod
    def compare(self, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        """Return the value for two images ``(I, J, K)``; NaN where the definition gives none.

        Args:
            prediction: ``(I, J, K)``.
            target: the reference, same shape.
            mask: ``(I, J, K)`` boolean, the voxels that count; all when None.

        Raises:
            DataError: when shapes differ, the mask is empty, or a voxel that counts is not finite.
        """

    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],  # noqa: ARG002 - what is averaged is voxels
        mask: np.ndarray | None = None,
    ) -> Score:
        """Score an image ``(I, J, K)``; ``spacing_mm`` is not used.

        Returns:
            ``failed`` where the definition gives no value, as for an image without contrast.

        Raises:
            DataError: as ``compare``.
        """
        value = self.compare(prediction, target, mask)
        return Score(math.nan, "failed") if math.isnan(value) else Score(value, "ok", value)
