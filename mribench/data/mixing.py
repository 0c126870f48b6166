"""Batches of several cohorts: who is in a batch, and the crops of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mribench.data.maps import Crops, MapSource, stack_crops
from mribench.data.prepare import sum_counts
from mribench.errors import JobError
from mribench.seeding import Identity, numpy_generator

Place = tuple[int, int]
"""A cohort, and a subject in it, by their numbers."""


class CohortMix:
    """Reads crops of the subjects of several cohorts.

    Args:
        sources: one for each cohort; one may have nobody.
    """

    def __init__(self, sources: Sequence[MapSource]) -> None:
        self.sources = list(sources)
        several = [source.volume_names() for source in sources] if len(self.sources) > 1 else []
        self._only_some = _find_uncommon(several)

    def places(self) -> list[Place]:
        """Return everybody, cohort by cohort."""
        return [
            (number, index)
            for number, source in enumerate(self.sources)
            for index in range(len(source.subjects))
        ]

    def spacing_mm(self) -> float:
        """Return the edge of a voxel: as asked, or that of the first scan of the first cohort."""
        return self.sources[0].spacing_mm()

    def crops(
        self,
        places: Sequence[Place],
        edge_vox: int,
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> Crops:
        """Return one random crop for each place; see ``MapSource.crops``."""
        cut = [
            self.sources[number].crop(index, edge_vox, generator)
            for (number, index), generator in zip(places, generators, strict=True)
        ]
        return stack_crops(cut, device, self._only_some)

    def counts(self) -> dict[tuple[int, str, int], dict[str, int]]:
        """Return clipped and repaired voxels of each scan that was read: cohort, subject, place."""
        return {
            (number, *scan): counts
            for number, source in enumerate(self.sources)
            for scan, counts in source.counts.items()
        }

    def restore(self, counts: Mapping[tuple[int, str, int], dict[str, int]]) -> None:
        """Go on from what ``counts`` returned."""
        for (number, subject, place), found in counts.items():
            self.sources[number].counts[subject, place] = found


def _find_uncommon(names: Sequence[set[str]]) -> set[str]:
    """Return what some cohorts have and others lack: shown in some batches, it would change with the draw."""
    there = [each for each in names if each]
    if not there:
        return set()
    return there[0].union(*there) - there[0].intersection(*there)


def count_voxels(*mixes: CohortMix) -> dict[str, int]:
    """Return how many voxels were clipped and repaired in the scans that were read, each counted once.

    Args:
        mixes: of the same cohorts.
    """
    by_scan = {scan: counts for mix in mixes for scan, counts in mix.counts().items()}
    return sum_counts(by_scan.values())


@dataclass
class BatchDraws:
    """Says who is in which batch, by the number of the batch alone.

    Each batch has of each cohort its share of the places, rounded up or down at random (systematic sampling:
    Madow 1949, doi:10.1214/aoms/1177729988), so that the shares are exact on average. In a cohort subjects
    come in shuffled epochs; an epoch ends where too few are left for a batch, so that nobody is twice in one.

    Attributes:
        sizes: subjects of each cohort.
        shares: of each cohort, summing to 1.
        batch_size: places in a batch.
        identity: what seeds the draws.
        repeat: whether a subject may be in a batch twice; there are no epochs then.
    """

    sizes: Sequence[int]
    shares: Sequence[float]
    batch_size: int
    identity: tuple[Identity, ...]
    repeat: bool = False
    _starts: list[list[Place]] = field(default_factory=list, repr=False)
    """For each batch that was looked at the epoch of each cohort, and how many of it are used."""

    def draw(self, batch: int) -> list[Place]:
        """Return who is in a batch, cohort by cohort.

        Raises:
            JobError: when a cohort is too small for its part of a batch, and nobody may be in it twice.
        """
        if len(self.sizes) == 1:
            indices = draw_batch_indices(
                self.sizes[0], self.batch_size, batch, self.identity, repeat=self.repeat
            )
            return [(0, index) for index in indices]
        counts = self.counts(batch)
        starts = self._start(batch)
        return [
            (number, index)
            for number, count in enumerate(counts)
            for index in self._members(number, count, batch, starts[number])
        ]

    def counts(self, batch: int) -> list[int]:
        """Return the places of each cohort in a batch."""
        start = float(numpy_generator("cohorts", *self.identity, batch).random())
        ends = np.cumsum(self.shares)[:-1] * self.batch_size
        edges = [0, *np.ceil(ends - start).astype(int).clip(0, self.batch_size).tolist(), self.batch_size]
        return [int(count) for count in np.diff(edges)]

    def _start(self, batch: int) -> list[Place]:
        if not self._starts:
            self._starts.append([(0, 0)] * len(self.sizes))
        while len(self._starts) <= batch:
            number = len(self._starts) - 1
            counts = self.counts(number)
            self._starts.append(
                [
                    self._after(cohort, place, counts[cohort])
                    for cohort, place in enumerate(self._starts[number])
                ]
            )
        return self._starts[batch]

    def _after(self, cohort: int, start: Place, count: int) -> Place:
        epoch, used = self._fitting(cohort, start, count)
        return epoch, used + count

    def _fitting(self, cohort: int, start: Place, count: int) -> Place:
        """Return where a batch begins in a cohort: in a new epoch where too few are left of this one."""
        epoch, used = start
        return (epoch + 1, 0) if used + count > self.sizes[cohort] else start

    def _members(self, cohort: int, count: int, batch: int, start: Place) -> list[int]:
        size = self.sizes[cohort]
        if self.repeat:
            drawn = numpy_generator("batch", *self.identity, cohort, batch).integers(size, size=count)
            return [int(index) for index in drawn]
        if count > size:
            raise _too_few(count, size)
        epoch, used = self._fitting(cohort, start, count)
        order = numpy_generator("epoch", *self.identity, cohort, epoch).permutation(size)
        return [int(index) for index in order[used : used + count]]


def draw_batch_indices(
    n_subjects: int, batch_size: int, step: int, identity: tuple[Identity, ...], *, repeat: bool
) -> list[int]:
    """Return which subjects make up the batch of a step.

    Subjects come in shuffled epochs, and none twice in one batch unless ``repeat``: two crops of one
    subject would be each other's negatives.

    Raises:
        JobError: when a batch is larger than the cohort and ``repeat`` is off.
    """
    if n_subjects < batch_size and not repeat:
        raise _too_few(batch_size, n_subjects)
    if repeat:
        return [
            int(i) for i in numpy_generator("batch", *identity, step).integers(n_subjects, size=batch_size)
        ]
    per_epoch = n_subjects // batch_size
    epoch, place = divmod(step, per_epoch)
    order = numpy_generator("epoch", *identity, epoch).permutation(n_subjects)
    return [int(i) for i in order[place * batch_size : (place + 1) * batch_size]]


def _too_few(needed: int, there: int) -> JobError:
    return JobError(
        f"a batch of {needed} needs as many pretraining subjects, and there are {there}",
        "lower pretrain.batch_size, or set pretrain.repeat_subjects: true (crops of one subject are then"
        " negatives of each other)",
    )
