"""Slices of the first views of a pretraining, for reports."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from mribench.interfaces.views import View
from mribench.jobs.example import grey, smallest

logger = logging.getLogger(__name__)

FILE = "views.npz"
_SAMPLES = 4
_VIEWS = 4


def views_file(draw: Callable[[], Sequence[View]], spacing_mm: float) -> bytes | None:
    """Return the middle axial slices of the first views of the first samples, as a compressed ``.npz``.

    Arrays ``view0``, ``view1``, … ``(samples, rows, columns)`` uint8, anterior up and the patient's right on
    the left before the augmentation, each slice on its own grey scale; ``pixel_mm`` (views,); ``sequences``
    (samples, views) and ``subjects`` (samples,). At most four samples and four views, and
    ``example.MAX_BYTES``.

    Args:
        draw: the views of the first step.
        spacing_mm: isotropic voxel size.

    Returns:
        None where they are no pictures, which is logged: a training does not fail for want of its picture.
    """
    try:
        return _views_file(draw()[:_VIEWS], spacing_mm)
    except Exception as error:  # noqa: BLE001 - view generators are anybody's, and the encoder is what matters
        logger.warning("no picture of the views: %s", error)
        return None


def _views_file(views: Sequence[View], spacing_mm: float) -> bytes:
    slices = [
        view.image[:_SAMPLES, 0, :, :, view.image.shape[4] // 2].detach().cpu().numpy() for view in views
    ]
    greys = [_turn_upright(planes) for planes in slices]
    samples = len(greys[0])
    about = {
        "sequences": np.array([_sequences(views, sample) for sample in range(samples)]),
        "subjects": np.array([str(name) for name in views[0].subjects[:samples]]),
    }

    def arrays(stride: int) -> dict[str, np.ndarray]:
        kept = {f"view{number}": planes[:, ::stride, ::stride] for number, planes in enumerate(greys)}
        return {**kept, "pixel_mm": np.full(len(views), spacing_mm * stride), **about}

    return smallest(arrays, max(planes.shape[1] for planes in greys))


def _turn_upright(planes: np.ndarray) -> np.ndarray:
    """Return slices with anterior up and the patient's right on the left, each on its own grey scale."""
    return np.stack([grey(plane, plane).T[::-1, ::-1] for plane in planes])


def _sequences(views: Sequence[View], sample: int) -> list[str]:
    """Return the sequence of each view of a sample; empty where a view has none."""
    return [str(view.sequences[sample]) if sample < len(view.sequences) else "" for view in views]
