"""Views whose target is the same anatomy in one fixed contrast, whatever sequence they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mribench.augmentation import AugmentDraw, apply
from mribench_views.acquisition import Acquisition, draw_valid
from mribench_views.generators import FIXED_MPRAGE, SimulatedViews, choose
from mribench_views.options import SequenceViewOptions
from mribench_views.sequences import Mprage, MprageOptions


class CanonicalViews(SimulatedViews):
    """``canonical``: each view shows a sequence of its own, and its target is one fixed MPRAGE.

    The target is cut, moved and bent as the view is, has no artefacts and a perfect transmit field, and is
    standardised by itself. An objective that predicts it must keep the anatomy at every level of the encoder,
    and can forget the contrast. After Brain-ID (Liu et al. 2024, doi:10.1007/978-3-031-73254-6_19) and
    SynthSR (Iglesias et al. 2023, doi:10.1126/sciadv.add3607), which simulate images from label maps.
    """

    def __init__(self, options: SequenceViewOptions) -> None:
        super().__init__(options, [reference.make() for reference in options.sequences])
        sequence = Mprage(MprageOptions(profile=options.profile))
        self.canonical = Acquisition(sequence, dict(FIXED_MPRAGE))

    def draw_acquisitions(self, count: int, generator: torch.Generator) -> list[Acquisition]:
        """Draw one acquisition for each view, of any of the sequences."""
        chosen = [self.sequences[choose(len(self.sequences), generator)] for _ in range(count)]
        most = self.options.most_redraws
        return [Acquisition(sequence, *draw_valid(sequence, generator, most)) for sequence in chosen]

    def make_target(
        self,
        maps: Mapping[str, Tensor],
        clean: Tensor,
        draws: Sequence[AugmentDraw],
        edge_vox: int,
        spacing_mm: float,
    ) -> Tensor:
        """Return the fixed MPRAGE, moved as the view is and standardised, ``(B, 1, v, v, v)``."""
        del clean
        scan = self.make_scan(maps, [self.canonical] * len(draws), spacing_mm)
        moved = self.move(scan, draws, edge_vox, spacing_mm)
        return apply.standardise(moved.clone(), moved)[1]
