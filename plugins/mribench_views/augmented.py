"""What all view generators share: each view of a scan is augmented apart."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mribench.augmentation import AugmentDraw, apply, draw_augmentation
from mribench.errors import DataError
from mribench.interfaces import View, ViewGenerator, ViewRequest
from mribench_views.defects import RADIAN_ROTATION
from mribench_views.labels import LABELS
from mribench_views.options import AugmentedViewOptions

SOURCE_MARGIN = 1.2
"""Edge of the crop that all views of a sample are cut from, as a multiple of the patch."""


class Shown(Protocol):
    """What was drawn of a scan that a view shows."""

    @property
    def name(self) -> str:
        """Of its sequence."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """Of the acquisition, with units in their names."""

    @property
    def redraws(self) -> int:
        """Draws that were rejected before this one."""


@dataclass(frozen=True)
class _Piece:
    """A view of a few samples: image, target and classes, where known, each ``(B, 1, v, v, v)``."""

    image: Tensor
    target: Tensor
    classes: Tensor | None


@dataclass(frozen=True)
class _Plan:
    """Everything random about one sample: its scans, which scan each view shows, each view's augmentation.

    A real scan has no acquisition that was drawn: None.
    """

    acquisitions: Sequence[Shown | None]
    shown: list[int]
    augmentations: list[AugmentDraw]


class AugmentedViews(ViewGenerator):
    """Base: augments each view of a scan apart.

    A view's augmentation comes from a generator of its own, so methods that differ in the scans only are
    compared on the same crops, rotations and noise.

    Args:
        options: augmentation.
    """

    labels = LABELS
    may_use: Sequence[str] = ()
    """Maps that are used where they are, beside those of ``needs``."""

    def __init__(self, options: AugmentedViewOptions) -> None:
        self.augment = options.augment
        self._radians = options.shows(RADIAN_ROTATION.name)

    def source_vox(self, patch_vox: int) -> int:
        """Return the edge of the source crop: 1.2 times the patch, rounded up."""
        return math.ceil(round(SOURCE_MARGIN * patch_vox, 6))

    @abstractmethod
    def draw_scans(
        self, count: int, source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> Sequence[Shown | None]:
        """Draw what ``count`` views of one sample show: one scan for all, or one each."""

    @abstractmethod
    def make_scan(
        self, maps: Mapping[str, Tensor], acquisitions: Sequence[Shown | None], spacing_mm: float
    ) -> Tensor:
        """Return the source of views ``(B, 1, I, J, K)`` on the scale 0..1."""

    def maps_of(self, maps: Mapping[str, Tensor], shown: int) -> Mapping[str, Tensor]:
        """Return the maps that a scan is made of, by the number of the scan."""
        del shown
        return maps

    @torch.no_grad()
    def views(
        self,
        maps: Mapping[str, Tensor],
        requests: Sequence[ViewRequest],
        patch_vox: int,
        spacing_mm: float,
        generators: Sequence[torch.Generator],
    ) -> list[View]:
        """Return one ``View`` per request; see ``ViewGenerator.views``.

        On the CPU samples are worked on one by one (they fit the cache, and no sample's arithmetic
        depends on its neighbours); on an accelerator all at once.

        Raises:
            DataError: a map is missing, or the maps and the generators do not fit together.
        """
        used = _checked(maps, len(generators), self.needs, self.may_use)
        first = used[self.needs[0]]
        shape, device = first.shape, first.device
        edges = [max(1, round(patch_vox * request.patch_scale)) for request in requests]
        plans = [self._plan(edges, tuple(shape[1:]), spacing_mm, generator) for generator in generators]
        one_by_one = device.type == "cpu"
        chunks = [slice(i, i + 1) for i in range(shape[0])] if one_by_one else [slice(0, shape[0])]
        with torch.autocast(device.type, enabled=False):  # half precision would blur positions
            pieces = [
                self._render(_select_samples(used, chunk), plans[chunk], edges, spacing_mm)
                for chunk in chunks
            ]
        by_view = zip(*pieces, strict=True)
        return [
            _view(request, index, plans, made)
            for index, (request, made) in enumerate(zip(requests, by_view, strict=True))
        ]

    def _plan(
        self, edges: list[int], source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> _Plan:
        count = len(edges)
        seeds = torch.randint(2**62, (count,), generator=generator).tolist()
        acquisitions = self.draw_scans(count, source_vox, spacing_mm, generator)
        augmentations = [
            draw_augmentation(
                self.augment,
                edge,
                (source_vox[0], source_vox[1], source_vox[2]),
                spacing_mm,
                torch.Generator().manual_seed(seed),
                radians=self._radians,
            )
            for edge, seed in zip(edges, seeds, strict=True)
        ]
        shown = list(range(count)) if len(acquisitions) > 1 else [0] * count
        return _Plan(acquisitions, shown, augmentations)

    def _render(
        self, maps: Mapping[str, Tensor], plans: Sequence[_Plan], edges: Sequence[int], spacing_mm: float
    ) -> list[_Piece]:
        """Return each view of a few samples."""
        scans: dict[int, Tensor] = {}
        rendered: list[_Piece] = []
        for index, edge in enumerate(edges):
            shown = plans[0].shown[index]
            if shown not in scans:
                drawn = [plan.acquisitions[shown] for plan in plans]
                scans[shown] = self.make_scan(self.maps_of(maps, shown), drawn, spacing_mm)
            draws = [plan.augmentations[index] for plan in plans]
            clean = self.move(scans[shown], draws, edge, spacing_mm)
            degraded = apply.add_artefacts(clean, draws, self.augment.bias_spacing_mm / spacing_mm)
            image, target = apply.standardise(degraded, clean)
            image = apply.drop_cuboids(image, draws)
            target = self.make_target(maps, target, draws, edge, spacing_mm)
            rendered.append(_Piece(image, target, self.make_classes(maps, draws, edge, spacing_mm)))
        return rendered

    def move(self, scan: Tensor, draws: Sequence[AugmentDraw], edge_vox: int, spacing_mm: float) -> Tensor:
        """Return a source ``(B, 1, I, J, K)`` as the views' maps of space have it, ``(B, 1, v, v, v)``."""
        return apply.resample(scan, draws, edge_vox, self.augment.elastic_spacing_mm / spacing_mm)

    def make_target(
        self,
        maps: Mapping[str, Tensor],
        clean: Tensor,
        draws: Sequence[AugmentDraw],
        edge_vox: int,
        spacing_mm: float,
    ) -> Tensor:
        """Return the targets of a view, ``(B, 1, v, v, v)``: the view itself without artefacts.

        Args:
            maps: that the samples are made of.
            clean: the view without artefacts, on the scale of its image.
            draws: the augmentation of each sample.
            edge_vox: of the view.
            spacing_mm: of the maps.
        """
        del maps, draws, edge_vox, spacing_mm
        return clean

    def make_classes(
        self, maps: Mapping[str, Tensor], draws: Sequence[AugmentDraw], edge_vox: int, spacing_mm: float
    ) -> Tensor | None:
        """Return the class numbers of a view, ``(B, 1, v, v, v)`` int64; None where no label is read."""
        del maps, draws, edge_vox, spacing_mm
        return None


def _checked(
    maps: Mapping[str, Tensor], samples: int, needs: Sequence[str], may_use: Sequence[str]
) -> dict[str, Tensor]:
    """Return the maps that are used, in float32 or better.

    Raises:
        DataError: a map is missing or has the wrong shape.
    """
    missing = [name for name in needs if name not in maps]
    if missing:
        raise DataError(
            f"the map {', '.join(missing)} is missing; there are only {', '.join(sorted(maps)) or 'none'}",
            f"these views need a cohort whose scans have {', '.join(needs)}",
        )
    used = {name: maps[name] for name in (*needs, *may_use) if name in maps}
    shape = used[needs[0]].shape
    for name, values in used.items():
        if values.ndim != 4 or values.shape != shape or values.shape[0] != samples:
            raise DataError(
                f"expected {name} as (B, I, J, K) = {(samples, *shape[1:])}, got {tuple(values.shape)}",
                "every map needs one crop, and one generator, for each sample",
            )
    return {
        name: values if values.dtype in (torch.float32, torch.float64) else values.float()
        for name, values in used.items()
    }


def _select_samples(maps: Mapping[str, Tensor], chunk: slice) -> dict[str, Tensor]:
    return {name: values[chunk] for name, values in maps.items()}


def _view(request: ViewRequest, index: int, plans: Sequence[_Plan], pieces: Sequence[_Piece]) -> View:
    # an acquisition that several views share is counted with the first
    first = [plan.shown.index(plan.shown[index]) == index for plan in plans]
    shown = [plan.acquisitions[plan.shown[index]] for plan in plans]
    parameters: list[dict[str, Any]] = []
    for plan, scan in zip(plans, shown, strict=True):
        drawn = {"sequence": scan.name, **scan.parameters} if scan else {}
        parameters.append({**drawn, **plan.augmentations[index].parameters})
    classes = [piece.classes for piece in pieces if piece.classes is not None]
    return View(
        image=torch.cat([piece.image for piece in pieces]),
        target=torch.cat([piece.target for piece in pieces]),
        role=request.role,
        sequences=[scan.name for scan in shown if scan],
        parameters=parameters,
        redraws=sum(scan.redraws for scan, counted in zip(shown, first, strict=True) if scan and counted),
        classes=torch.cat(classes) if classes else None,
    )
