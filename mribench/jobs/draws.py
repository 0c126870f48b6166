"""Which random numbers a training sample gets, and whether samples really differ."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from mribench.defects import FROZEN_AUGMENTATION
from mribench.results.records import JobRow
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
        self._fetched: list[Tensor] = []
        self._waiting: list[Tensor] = []

    def add(self, images: Tensor) -> None:
        """Count a batch of images ``(B, …)``: two are one view when two sums over their voxels agree."""
        flat = images.flatten(1)
        self._waiting.append(torch.stack([flat.sum(1), flat[:, ::7].square().sum(1)], dim=1))
        if len(self._waiting) >= self._AT_ONCE:
            self._fetch()

    def sums(self) -> Tensor:
        """Return the two sums of each view ``(N, 2)``, on the CPU: all that is known, for a checkpoint."""
        self._fetch()
        self._fetched = [torch.cat(self._fetched)] if self._fetched else []
        return self._fetched[0] if self._fetched else torch.empty(0, 2)

    def restore(self, sums: Tensor) -> None:
        """Go on from what ``sums`` returned."""
        self._fetched, self._waiting = [sums], []

    def row(self) -> JobRow:
        """Return the columns of the job row."""
        sums = self.sums().tolist()
        return {"distinct_views": len(set(map(tuple, sums))), "views_counted": len(sums)}

    def _fetch(self) -> None:
        if self._waiting:
            self._fetched.append(torch.cat(self._waiting).cpu())
            self._waiting.clear()
