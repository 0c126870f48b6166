"""Batches of crops for pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mribench.data.prepare import COUNTS, Reader, load_maps, make_maps_recipe, sum_counts
from mribench.data.prepared import Recipe, get_volume_store
from mribench.errors import DataError, JobError
from mribench.interfaces.dataset import Dataset, Scan, Subject
from mribench.interfaces.views import SampleOrigin
from mribench.seeding import Identity, numpy_generator
from mribench.wording import list_some


@dataclass(frozen=True)
class Crops:
    """Crops of a batch of subjects.

    Attributes:
        maps: named, each ``(B, edge, edge, edge)``.
        origins: where each comes from, length B.
    """

    maps: dict[str, Tensor]
    origins: list[SampleOrigin]


class MapSource:
    """Reads crops of the pretraining subjects' maps, from the store of prepared volumes.

    Args:
        dataset: reads the files.
        subjects: whom to read.
        spacing_mm: isotropic voxel size; None keeps each scan's own.
        needs: maps that the view generator cannot do without.
        identity: ``reading_identity`` of the dataset; without it, volumes are kept in memory.
    """

    def __init__(
        self,
        dataset: Dataset,
        subjects: Sequence[Subject],
        spacing_mm: float | None,
        needs: Sequence[str],
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.subjects = list(subjects)
        self._reader = Reader(dataset, identity)
        self._spacing_mm = spacing_mm
        self._needs = needs
        self._recipes: dict[tuple[str, int], Recipe] = {}
        self.counts: dict[tuple[str, int], dict[str, int]] = {}
        """Clipped and repaired voxels of each scan that was read, by subject and place among its scans."""

    def spacing_mm(self) -> float:
        """Return the edge of a voxel: as asked, or the first scan's."""
        if self._spacing_mm is not None:
            return self._spacing_mm
        subject = self.subjects[0]
        facts = (
            get_volume_store()
            .read(self._recipe(subject, 0, select_usable_scans(subject, self._needs)[0]))
            .facts
        )
        edges_mm: Sequence[float] = next(iter(facts["spacing_mm"].values()))
        return float(sum(edges_mm) / 3)

    def crops(
        self,
        indices: Sequence[int],
        edge_vox: int,
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> Crops:
        """Return one random crop per subject.

        The generator of a sample chooses the scan and the place. Maps that not every subject has are left
        out.
        """
        cut = [self._crop(self.subjects[i], edge_vox, g) for i, g in zip(indices, generators, strict=True)]
        crops = [maps for maps, _ in cut]
        everywhere = set(crops[0]).intersection(*crops)
        stacked = {}
        for name in [name for name in crops[0] if name in everywhere]:
            stacked[name] = torch.stack([crop[name] for crop in crops]).to(device)
        return Crops(stacked, [origin for _, origin in cut])

    def _crop(
        self, subject: Subject, edge_vox: int, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], SampleOrigin]:
        scans = select_usable_scans(subject, self._needs)
        chosen = int(torch.randint(len(scans), (), generator=generator))
        maps = self._maps(subject, chosen, scans[chosen])
        shape = next(iter(maps.values())).shape
        i, j, k = (int(torch.randint(max(0, n - edge_vox) + 1, (), generator=generator)) for n in shape)
        window = tuple(slice(first, first + edge_vox) for first in (i, j, k))
        origin = SampleOrigin(
            subject=subject.id,
            session=scans[chosen].session,
            sequence=scans[chosen].sequence,
            corner_vox=(i, j, k),
            shape_vox=(shape[0], shape[1], shape[2]),
            covariates=subject.covariates,
        )
        return {name: _pad(volume[window], edge_vox) for name, volume in maps.items()}, origin

    def _maps(self, subject: Subject, index: int, scan: Scan) -> dict[str, Tensor]:
        recipe = self._recipe(subject, index, scan)
        maps = load_maps(recipe, scan, self._needs)
        if (subject.id, index) not in self.counts:
            facts = get_volume_store().read(recipe).facts
            self.counts[subject.id, index] = {name: int(facts[name]) for name in COUNTS}
        return maps

    def _recipe(self, subject: Subject, index: int, scan: Scan) -> Recipe:
        key = (subject.id, index)
        if key not in self._recipes:
            self._recipes[key] = make_maps_recipe(self._reader, scan, self._spacing_mm)
        return self._recipes[key]


def select_usable_scans(subject: Subject, needs: Sequence[str]) -> list[Scan]:
    """Return the scans that have the maps ``needs``.

    Raises:
        DataError: when there is none.
    """
    scans = [scan for scan in subject.scans if scan.images.keys() >= set(needs)]
    if not scans:
        raise DataError(
            f"subject {subject.id} has no scan with the maps {', '.join(needs)}",
            "exclude the subject, or choose another view generator",
        )
    return scans


def count_voxels(*sources: MapSource) -> dict[str, int]:
    """Return how many voxels were clipped and repaired in the scans that were read, each counted once."""
    by_scan = {scan: counts for source in sources for scan, counts in source.counts.items()}
    return sum_counts(by_scan.values())


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
        raise JobError(
            f"a batch of {batch_size} needs as many pretraining subjects, and there are {n_subjects}",
            "lower pretrain.batch_size, or set pretrain.repeat_subjects: true (crops of one subject are then"
            " negatives of each other)",
        )
    if repeat:
        return [
            int(i) for i in numpy_generator("batch", *identity, step).integers(n_subjects, size=batch_size)
        ]
    per_epoch = n_subjects // batch_size
    epoch, place = divmod(step, per_epoch)
    order = numpy_generator("epoch", *identity, epoch).permutation(n_subjects)
    return [int(i) for i in order[place * batch_size : (place + 1) * batch_size]]


def _pad(crop: Tensor, edge_vox: int) -> Tensor:
    missing = [edge_vox - n for n in crop.shape]
    if not any(missing):
        return crop
    pads = [side for n in reversed(missing) for side in (n // 2, n - n // 2)]
    return F.pad(crop, pads)


def select_by_id(dataset: Dataset, ids: Sequence[str]) -> list[Subject]:
    """Return the subjects of a job, in its order.

    Raises:
        DataError: when one is gone since the plan was made.
    """
    found: Mapping[str, Subject] = {subject.id: subject for subject in dataset.subjects()}
    gone = [name for name in ids if name not in found]
    if gone:
        raise DataError(f"not there any more: {list_some(gone, 3)}", "plan again")
    return [found[name] for name in ids]
