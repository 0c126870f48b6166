"""From files to what a job works on: maps for pretraining, scans for a task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mribench.data.volumes import Volume, resample_to, same_grid, target_grid
from mribench.errors import DataError
from mribench.interfaces.dataset import Dataset, Scan, Subject
from mribench.interfaces.task import Task, TaskVolume

WINDOW_PERCENT = (0.5, 99.5)
"""Intensities are clipped to these percentiles of the volume before z-scoring, in every arm alike."""


def load_maps(
    dataset: Dataset, scan: Scan, spacing_mm: float | None, needs: Sequence[str]
) -> dict[str, Tensor]:
    """Return the named maps of a scan, each ``(I, J, K)`` float32 in RAS, resampled where asked.

    Args:
        dataset: reads the files.
        scan: a set of maps, or an image.
        spacing_mm: isotropic voxel size to resample to; None keeps the scan's own grid.
        needs: maps that the view generator cannot do without.

    Raises:
        DataError: when a map is missing.
    """
    volumes = dataset.read_images(scan)
    absent = [name for name in needs if name not in volumes]
    if absent:
        files = ", ".join(str(path) for path in scan.images.values())
        raise DataError(
            f"the view generator needs the maps {', '.join(needs)}; {', '.join(absent)} is not among {files}",
            "pretrain on quantitative maps, or choose a view generator that needs images only",
        )
    return {name: torch.from_numpy(_on_grid(volume, spacing_mm).data) for name, volume in volumes.items()}


def load_task_volume(
    dataset: Dataset, subject: Subject, scan: Scan, task: Task, spacing_mm: float | None
) -> tuple[TaskVolume, str]:
    """Return one scan ready for a task, and where its label came from (``own``, ``subject``, ``none``)."""
    native = dataset.read_images(scan)["image"]
    working = _on_grid(native, spacing_mm)
    native_label, source = _label_on(native, dataset, subject, scan, task)
    label = None
    if native_label is not None:
        label = native_label.data
        if not same_grid(native, working):
            label = resample_to(native_label, working.affine, working.shape_vox, order=0).data
    volume = TaskVolume(
        subject=subject.id,
        session=scan.session,
        sequence=scan.sequence,
        image=torch.from_numpy(zscore(working.data))[None],
        foreground=torch.from_numpy(foreground(working.data)),
        label=None if label is None else torch.from_numpy(label.astype(np.int64)),
        native_label=None if native_label is None else native_label.data.astype(np.int64),
        spacing_mm=working.spacing_mm,
        native_spacing_mm=native.spacing_mm,
        to_native=_resampler(working, native),
        covariates=dict(subject.covariates),
    )
    return volume, source


def zscore(image: np.ndarray) -> np.ndarray:
    """Clip ``(I, J, K)`` to ``WINDOW_PERCENT`` of the volume, then zero mean and unit deviation."""
    low, high = np.percentile(image, WINDOW_PERCENT)
    clipped = np.clip(image, low, high)
    return ((clipped - clipped.mean()) / max(float(clipped.std()), 1e-8)).astype(np.float32)


def foreground(image: np.ndarray) -> np.ndarray:
    """Return the head as a boolean ``(I, J, K)``: the largest part above the mean, holes filled."""
    bright = ndimage.binary_closing(image > image.mean(), iterations=2)
    parts, count = ndimage.label(bright)
    if count == 0:
        return np.ones(image.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    filled: np.ndarray = ndimage.binary_fill_holes(parts == largest)
    return filled


def _on_grid(volume: Volume, spacing_mm: float | None) -> Volume:
    if spacing_mm is None or np.allclose(volume.spacing_mm, spacing_mm, atol=1e-3):
        return volume
    affine, shape = target_grid(volume, spacing_mm)
    return resample_to(volume, affine, shape, order=1)


def _label_on(
    native: Volume, dataset: Dataset, subject: Subject, scan: Scan, task: Task
) -> tuple[Volume | None, str]:
    """Return the class map on the image's grid: the label beside the image, else another of the subject's."""
    if task.label is None:
        return None, "none"
    source, owner = "own", scan
    if task.label not in scan.labels:
        owners = [other for other in subject.scans if task.label in other.labels]
        if not owners:
            raise DataError(
                f"subject {subject.id} has no '{task.label}' label",
                "leave the subject out of the split, or put its label beside the image",
            )
        same_session = [other for other in owners if other.session == scan.session]
        source, owner = "subject", (same_session or owners)[0]
    memberships = dataset.read_labels(owner, task.label)
    classes = Volume(task.label_map(memberships.data).astype(np.float32), memberships.affine)
    return resample_to(classes, native.affine, native.shape_vox, order=0), source


class _resampler:  # noqa: N801 - a picklable closure
    """Brings ``(C, I, J, K)`` from the working grid to the image's own, linearly per channel."""

    def __init__(self, working: Volume, native: Volume) -> None:
        self._same = same_grid(working, native)
        self._affine = working.affine
        self._native = (native.affine, native.shape_vox)

    def __call__(self, values: Tensor) -> Tensor:
        if self._same:
            return values
        channels = [resample_to(Volume(c.numpy(), self._affine), *self._native, order=1).data for c in values]
        return torch.from_numpy(np.stack(channels))
