"""View generator of two real sequences of one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import SampleOrigin, View, ViewRequest
from mribench_views.augmented import Shown
from mribench_views.generators import RealViews

NAMES = ("image", "image_2")


class PairedRealViews(RealViews):
    """``seqinv-real``: each view of a sample shows another real sequence of one session.

    Both are cut from one place of one grid, and each view is augmented apart, as ``augment`` does. With more
    than two views the two sequences take turns.
    """

    images = 2
    may_use = NAMES[1:]

    def draw_scans(
        self, count: int, source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> Sequence[Shown | None]:
        """Return a scan for each view; which sequence is the first was drawn with the crop."""
        del source_vox, spacing_mm, generator
        return [None] * count

    def maps_of(self, maps: Mapping[str, Tensor], shown: int) -> Mapping[str, Tensor]:
        """Return the image of a view, by the number of the view.

        Raises:
            DataError: when there is one image only.
        """
        name = NAMES[shown % len(NAMES)]
        if name not in maps:
            raise DataError(
                f"the map {name} is missing; there are only {', '.join(sorted(maps))}",
                "these views need two sequences of one session",
            )
        return {"image": maps[name]}

    def views_from(
        self,
        origins: Sequence[SampleOrigin],
        maps: Mapping[str, Tensor],
        requests: Sequence[ViewRequest],
        patch_vox: int,
        spacing_mm: float,
        generators: Sequence[torch.Generator],
    ) -> list[View]:
        """Return ``views``, each with the sequence that every sample of it shows."""
        made = self.views(maps, requests, patch_vox, spacing_mm, generators)
        for number, view in enumerate(made):
            view.sequences = [_shown(origin, number) for origin in origins]
        return made


def _shown(origin: SampleOrigin, number: int) -> str:
    return (origin.sequence, *origin.paired)[number % len(NAMES)]
