"""Which random numbers a training sample gets, and whether samples really differ."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from mribench.defects import FROZEN_AUGMENTATION
from mribench.seeding import Identity

LOADERS = 8
"""Loader processes of the released code, each of which replays the same random state in every pass."""


def draw_identity(
    step: int, sample: int, steps_a_pass: int, defects: Collection[str]
) -> tuple[Identity, ...]:
    """Return what seeds the draws of a sample: its step and place, so that no two are alike.

    With the defect ``frozen-augmentation``: its place in the sequence of one loader process, which is the
    same in every pass over the data and in every process.

    Args:
        step: of the training.
        sample: place in the batch.
        steps_a_pass: batches in one pass over the data.
        defects: names of those that are switched on.
    """
    if FROZEN_AUGMENTATION not in defects:
        return (step, sample)
    return ("replayed", (step % max(1, steps_a_pass)) // LOADERS, sample)


class Diversity:
    """Counts how many of the views that a network saw are distinct."""

    _AT_ONCE = 64
    """Batches whose sums stay on the device: fetching them after every step would make it wait."""

    def __init__(self) -> None:
        self._seen: set[tuple[float, ...]] = set()
        self._counted = 0
        self._waiting: list[Tensor] = []

    def add(self, images: Tensor) -> None:
        """Count a batch of images ``(B, …)``: two are one view when two sums over their voxels agree."""
        flat = images.flatten(1)
        self._counted += len(flat)
        self._waiting.append(torch.stack([flat.sum(1), flat[:, ::7].square().sum(1)], dim=1))
        if len(self._waiting) >= self._AT_ONCE:
            self._fetch()

    def row(self) -> dict[str, int]:
        """Return the columns of the job row; a job that was resumed has counted its last part only."""
        self._fetch()
        return {"distinct_views": len(self._seen), "views_counted": self._counted}

    def _fetch(self) -> None:
        if self._waiting:
            self._seen.update(tuple(sums) for sums in torch.cat(self._waiting).tolist())
            self._waiting.clear()
