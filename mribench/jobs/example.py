"""One slice of what a job predicted, for reports: input, reference, prediction."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mribench.interfaces.task import Task, TaskVolume

logger = logging.getLogger(__name__)

FILE = "example.npz"
MAX_BYTES = 30_000
_GREYS = 64
"""Levels of grey: noise in more of them cannot be compressed."""
_MARGIN_VOX = 2
_PERCENTILES = (0.5, 99.5)


def example_file(task: Task, volume: TaskVolume, seen: Sequence[Tensor], prediction: Tensor) -> bytes | None:
    """Return an axial slice of a prediction as a compressed ``.npz`` of at most ``MAX_BYTES``.

    Arrays ``input``, ``reference`` and ``prediction``, ``(rows, columns)`` uint8, anterior up and the
    patient's right on the left: grey values (of all three on the scale of the reference, or of the input
    where the reference is a class map) or classes; ``classes``, which of these the last two are;
    ``pixel_mm`` (2,), height and width of a pixel; ``subject``, ``session``, ``sequence``. The slice is the
    one that shows most of the reference's classes, or the middle of the head. Pixels are left out, not
    averaged, where the file would be too large, so that noise is still seen as noise.

    Args:
        task: that predicted.
        volume: the test scan.
        seen: what the model was given, ``(1, I, J, K)``, on the working grid; empty where there is no model.
        prediction: of the task.

    Returns:
        None where the prediction is no picture, or none can be made of it, which is logged: a result does
        not fail for want of its picture.
    """
    try:
        return _example_file(task, volume, seen, prediction)
    except Exception as error:  # noqa: BLE001 - tasks are anybody's, and the scores are what matters
        logger.warning("no example of %s %s: %s", volume.subject, volume.sequence, error)
        return None


def _example_file(task: Task, volume: TaskVolume, seen: Sequence[Tensor], prediction: Tensor) -> bytes | None:
    classes = task.label is not None
    wanted = volume.image if volume.target is None else volume.target
    reference = torch.as_tensor(volume.native_label) if classes else wanted[0]
    prediction = prediction.detach().cpu()
    if prediction.shape != reference.shape or reference.ndim != 3:
        return None
    unseen = volume.image[:1] if classes else prediction[None]  # where there is no model
    given = (seen[0] if seen else unseen).detach().float().cpu()
    image, head = (_on_grid(part, reference, volume) for part in (given, volume.foreground[None].float()))
    spacing_mm = volume.native_spacing_mm if classes else volume.spacing_mm
    box = _box((head > 0.5).numpy())
    place = _place(reference[box].numpy(), classes)
    planes = [part[box][:, :, place].numpy() for part in (image, reference, prediction)]
    greys = planes[0] if classes else planes[1]
    shown = [
        plane.astype(np.uint8) if classes and number else grey(plane, greys)
        for number, plane in enumerate(planes)
    ]
    about = {
        "classes": np.array(classes),
        "subject": np.array(volume.subject),
        "session": np.array(volume.session),
        "sequence": np.array(volume.sequence),
    }
    pixel_mm = np.array((spacing_mm[1], spacing_mm[0]))

    def arrays(stride: int) -> dict[str, np.ndarray]:
        upright = [plane[::stride, ::stride].T[::-1, ::-1] for plane in shown]
        named = dict(zip(("input", "reference", "prediction"), upright, strict=True))
        return {**named, "pixel_mm": pixel_mm * stride, **about}

    return smallest(arrays, max(shown[0].shape))


def _on_grid(image: Tensor, reference: Tensor, volume: TaskVolume) -> Tensor:
    """Return ``(1, I, J, K)`` on the working grid as ``(I, J, K)`` on the grid of the reference."""
    return image[0] if image.shape[1:] == reference.shape else volume.to_native(image)[0].cpu()


def _box(head: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the bounding box of the head and a margin; the whole volume where there is no head."""
    edges = []
    for axis in range(3):
        inside = np.flatnonzero(head.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (int(inside[0]), int(inside[-1])) if len(inside) else (0, head.shape[axis] - 1)
        edges.append(slice(max(0, low - _MARGIN_VOX), high + 1 + _MARGIN_VOX))
    return edges[0], edges[1], edges[2]


def _place(reference: np.ndarray, classes: bool) -> int:
    """Return which axial slice to show: the first with most labelled voxels, or the middle one."""
    labelled = np.count_nonzero(reference, axis=(0, 1))
    return int(labelled.argmax()) if classes and labelled.any() else reference.shape[2] // 2


def grey(plane: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a plane as grey values, uint8, between the 0.5th and 99.5th percentile of another."""
    low, high = np.percentile(like, _PERCENTILES)
    share = np.clip((plane - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1)
    levels: np.ndarray = np.rint(np.nan_to_num(share) * (_GREYS - 1)) * (255 // (_GREYS - 1))
    return levels.astype(np.uint8)


def smallest(arrays: Callable[[int], Mapping[str, np.ndarray]], edge: int) -> bytes:
    """Return arrays as a compressed ``.npz`` with as many pixels as ``MAX_BYTES`` have room for.

    Args:
        arrays: what to keep where every n-th pixel is, given n.
        edge: pixels along the longest side; with n as large there is one pixel left, and that is kept.
    """
    for stride in range(1, edge + 1):
        stream = io.BytesIO()
        kept: dict[str, Any] = dict(arrays(stride))
        np.savez_compressed(stream, **kept)
        if stream.tell() <= MAX_BYTES:
            break
    return stream.getvalue()
