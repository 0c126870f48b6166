"""Batches of crops for pretraining."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mribench.data.class_maps import CLASSES, make_classes_recipe
from mribench.data.prepare import (
    COUNTS,
    Reader,
    load_maps,
    make_aligned_recipe,
    make_head_recipe,
    make_maps_recipe,
)
from mribench.data.prepared import Recipe, get_volume_store
from mribench.data.showing import Showing, image_names
from mribench.errors import DataError
from mribench.interfaces.dataset import IMAGE, Dataset, Scan, Subject
from mribench.interfaces.views import SampleOrigin
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


Crop = tuple[dict[str, Tensor], SampleOrigin]
"""The maps of one sample, and where they are from."""

MOST_DRAWS = 20
"""Places of a crop that are tried where a share of it has to be head."""


class MapSource:
    """Reads crops of the pretraining subjects' scans, from the store of prepared volumes.

    Args:
        dataset: reads the files.
        subjects: whom to read.
        spacing_mm: isotropic voxel size; None keeps each scan's own.
        needs: maps that the view generator cannot do without.
        identity: ``reading_identity`` of the dataset; without it, volumes are kept in memory.
        sequences: of the scans; None for all.
        images: scans in a sample, of as many sequences of one session, on the grid of the session's first.
        min_foreground: least share of a crop that is head; None takes any.
        label: that is read too, as the map ``classes``; empty for none.
    """

    def __init__(
        self,
        dataset: Dataset,
        subjects: Sequence[Subject],
        spacing_mm: float | None,
        needs: Sequence[str],
        identity: Mapping[str, Any] | None = None,
        *,
        sequences: Sequence[str] | None = None,
        images: int = 1,
        min_foreground: float | None = None,
        label: str = "",
    ) -> None:
        self.subjects = list(subjects)
        self._reader = Reader(dataset, identity)
        self._spacing_mm = spacing_mm
        chosen = None if sequences is None else tuple(sequences)
        self._showing = Showing(tuple(needs), chosen, images, label)
        self._min_foreground = min_foreground
        self._recipes: dict[tuple[str, int], Recipe] = {}
        self._heads: dict[tuple[str, int], Recipe] = {}
        self._classes: dict[tuple[str, int], Recipe] = {}
        self.counts: dict[tuple[str, int], dict[str, int]] = {}
        """Clipped and repaired voxels of each scan that was read, by subject and place among its scans."""

    def spacing_mm(self) -> float:
        """Return the edge of a voxel: as asked, or the first scan's."""
        if self._spacing_mm is not None:
            return self._spacing_mm
        subject = self.subjects[0]
        first = self._showing.require_groups(subject)[0][0]
        facts = get_volume_store().read(self._recipe(subject, first, first)).facts
        edges_mm: Sequence[float] = next(iter(facts["spacing_mm"].values()))
        return float(sum(edges_mm) / 3)

    def volume_names(self) -> set[str]:
        """Return the names of the volumes that every scan has which may be shown."""
        groups = [group for subject in self.subjects for group in self._showing.require_groups(subject)]
        names = [set(group[0].images) for group in groups]
        return set.intersection(*names) if names else set()

    def crops(
        self,
        indices: Sequence[int],
        edge_vox: int,
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> Crops:
        """Return one random crop per subject.

        The generator of a sample chooses the scans and the place. Maps that not every subject has are left
        out.
        """
        cut = [self.crop(i, edge_vox, g) for i, g in zip(indices, generators, strict=True)]
        return stack_crops(cut, device)

    def crop(self, index: int, edge_vox: int, generator: torch.Generator) -> Crop:
        """Return a random crop of a subject: its maps ``(edge, edge, edge)``, and where they are from."""
        subject = self.subjects[index]
        groups = self._showing.require_groups(subject)
        group = groups[int(torch.randint(len(groups), (), generator=generator))]
        scans = self._showing.draw(group, generator)
        maps = self._maps(subject, scans, group[0])
        if self._showing.label:
            maps[CLASSES] = self._read_classes(subject, group[0])
        shape = next(iter(maps.values())).shape
        i, j, k = self._draw_corner(subject, group[0], shape, edge_vox, generator)
        window = tuple(slice(first, first + edge_vox) for first in (i, j, k))
        origin = SampleOrigin(
            subject=subject.id,
            session=scans[0].session,
            sequence=scans[0].sequence,
            corner_vox=(i, j, k),
            shape_vox=(shape[0], shape[1], shape[2]),
            covariates=subject.covariates,
            paired=tuple(scan.sequence for scan in scans[1:]),
        )
        return {name: _pad(volume[window], edge_vox) for name, volume in maps.items()}, origin

    def _draw_corner(
        self, subject: Subject, scan: Scan, shape: Sequence[int], edge_vox: int, generator: torch.Generator
    ) -> tuple[int, int, int]:
        """Draw the first voxel of a crop: again until it has enough of the head, or the fullest of all."""
        corner = _draw_corner(shape, edge_vox, generator)
        if self._min_foreground is None:
            return corner
        head = self._head(subject, scan)
        fullest, most = corner, _share(head, corner, edge_vox)
        for _ in range(MOST_DRAWS - 1):
            if most >= self._min_foreground:
                break
            corner = _draw_corner(shape, edge_vox, generator)
            share = _share(head, corner, edge_vox)
            if share > most:
                fullest, most = corner, share
        return fullest

    def _maps(self, subject: Subject, scans: Sequence[Scan], onto: Scan) -> dict[str, Tensor]:
        if len(scans) == 1:
            return self._load(subject, scans[0], onto)
        images = [self._load(subject, scan, onto)[IMAGE] for scan in scans]
        return dict(zip(image_names(len(scans)), images, strict=True))

    def _load(self, subject: Subject, scan: Scan, onto: Scan) -> dict[str, Tensor]:
        recipe = self._recipe(subject, scan, onto)
        maps = load_maps(recipe, scan, self._showing.needs)
        key = (subject.id, subject.scans.index(scan))
        if key not in self.counts:
            facts = get_volume_store().read(recipe).facts
            self.counts[key] = {name: int(facts[name]) for name in COUNTS}
        return maps

    def _recipe(self, subject: Subject, scan: Scan, onto: Scan) -> Recipe:
        key = (subject.id, subject.scans.index(scan))
        if key not in self._recipes:
            self._recipes[key] = make_shown_recipe(self._reader, scan, onto, self._spacing_mm)
        return self._recipes[key]

    def _read_classes(self, subject: Subject, scan: Scan) -> Tensor:
        """Return the class numbers of a scan's label, on the grid of its maps."""
        key = (subject.id, subject.scans.index(scan))
        if key not in self._classes:
            self._classes[key] = make_classes_recipe(
                self._reader, scan, self._showing.label, self._showing.needs[0], self._spacing_mm
            )
        return torch.from_numpy(get_volume_store().read(self._classes[key]).arrays[CLASSES])

    def _head(self, subject: Subject, scan: Scan) -> Tensor:
        key = (subject.id, subject.scans.index(scan))
        if key not in self._heads:
            volume = self._showing.needs[0]
            self._heads[key] = make_head_recipe(self._reader, scan, volume, self._spacing_mm)
        return torch.from_numpy(get_volume_store().read(self._heads[key]).arrays["foreground"])


def stack_crops(cut: Sequence[Crop], device: torch.device, left_out: Collection[str] = ()) -> Crops:
    """Return crops of a batch as one; maps that not every one has are left out, and those that are named."""
    crops = [maps for maps, _ in cut]
    everywhere = set(crops[0]).intersection(*crops).difference(left_out)
    stacked = {}
    for name in [name for name in crops[0] if name in everywhere]:
        stacked[name] = torch.stack([crop[name] for crop in crops]).to(device)
    return Crops(stacked, [origin for _, origin in cut])


def make_shown_recipe(reader: Reader, scan: Scan, onto: Scan, spacing_mm: float | None) -> Recipe:
    """Return the recipe of the maps of a scan, on its own working grid or on that of another scan."""
    if scan is onto:
        return make_maps_recipe(reader, scan, spacing_mm)
    return make_aligned_recipe(reader, scan, onto, spacing_mm)


def _draw_corner(shape: Sequence[int], edge_vox: int, generator: torch.Generator) -> tuple[int, int, int]:
    i, j, k = (int(torch.randint(max(0, n - edge_vox) + 1, (), generator=generator)) for n in shape)
    return i, j, k


def _share(head: Tensor, corner: tuple[int, int, int], edge_vox: int) -> float:
    """Return the share of a crop that is head; what is beyond the image is none."""
    window = tuple(slice(first, first + edge_vox) for first in corner)
    return float(head[window].sum()) / edge_vox**3


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
