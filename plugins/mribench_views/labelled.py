"""Views that know the class of each voxel: of real scans, and of images made from their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mribench.augmentation import AugmentDraw, apply
from mribench.errors import DataError
from mribench_views.augmented import Shown
from mribench_views.generators import RealViews
from mribench_views.options import LabelledViewOptions, SynthsegViewOptions

CLASSES = "classes"
"""The map of class numbers that a generator gets which needs a label."""
_AIR = 0.05
"""Below this share of a scan's range, a voxel outside all classes is air."""
_LARGEST_SD = 35 / 255
"""Of intensities within a region, as a share of the range of their means (Billot et al. 2023, table 1)."""


class LabelledViews(RealViews):
    """``labelled``: views of real scans with the class of each voxel, from a label of the cohort."""

    may_use = (CLASSES,)

    def __init__(self, options: LabelledViewOptions) -> None:
        super().__init__(options)
        self.needs_label = options.label

    def make_classes(
        self, maps: Mapping[str, Tensor], draws: Sequence[AugmentDraw], edge_vox: int, spacing_mm: float
    ) -> Tensor | None:
        """Return the class of each voxel of a view ``(B, 1, v, v, v)``: the one with the largest share."""
        numbers = _classes_of(maps)[:, None]
        shares = [
            self.move((numbers == number).to(maps["image"]), draws, edge_vox, spacing_mm)
            for number in range(int(numbers.max()) + 1)
        ]
        return torch.cat(shares, dim=1).argmax(dim=1, keepdim=True)


@dataclass(frozen=True)
class Contrast:
    """Intensities of the regions of one image, drawn at random.

    Attributes:
        name: stands for the sequence.
        means: of each region but air.
        sds: within each region but air.
        seed: of the noise within regions.
    """

    name: str
    means: Tensor
    sds: Tensor
    seed: int
    redraws: int = 0

    @property
    def parameters(self) -> Mapping[str, float]:
        """What figures write of it: nothing, its numbers say little to a reader."""
        return {}


class SynthsegViews(LabelledViews):
    """``synthseg``: images of random contrast, made from the regions of a labelled scan.

    Each class, and each of some parts of what is outside all classes, gets a mean and a standard deviation of
    its own, drawn anew for each sample; voxels are independent within a region, and blurred by the views'
    interpolation. Parts outside are ranges of the scan's own intensity, as SynthSeg parts unlabelled tissue
    by clusters (Billot et al. 2023, doi:10.1016/j.media.2023.102789). Means are uniform in 0..1, standard
    deviations in 0..35/255, air is 0.
    """

    def __init__(self, options: SynthsegViewOptions) -> None:
        super().__init__(options)
        self.parts_outside = options.parts_outside
        self.most_classes = options.classes

    def draw_scans(
        self, count: int, source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> Sequence[Shown | None]:
        """Draw a contrast for each view."""
        del source_vox, spacing_mm
        return [self._draw_contrast(generator) for _ in range(count)]

    def _draw_contrast(self, generator: torch.Generator) -> Contrast:
        n_regions = self.most_classes + self.parts_outside
        means = torch.rand(n_regions, generator=generator)
        sds = _LARGEST_SD * torch.rand(n_regions, generator=generator)
        seed = int(torch.randint(2**62, (), generator=generator))
        return Contrast("random contrast", means, sds, seed)

    def make_scan(
        self, maps: Mapping[str, Tensor], acquisitions: Sequence[Shown | None], spacing_mm: float
    ) -> Tensor:
        """Return images ``(B, 1, I, J, K)`` on the scale 0..1."""
        del spacing_mm
        regions = self._find_regions(maps)
        contrasts = [shown for shown in acquisitions if isinstance(shown, Contrast)]
        made = [_paint(region, contrast) for region, contrast in zip(regions, contrasts, strict=True)]
        return apply.intensity_window(torch.stack(made), *self.window_percentiles)[:, None]

    def _find_regions(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the region of each voxel ``(B, I, J, K)``, int64: 0 is air, classes come first.

        Raises:
            DataError: when the label has more classes than the generator was told of.
        """
        regions = _classes_of(maps).long()
        largest = int(regions.max())
        if largest > self.most_classes:
            raise DataError(
                f"the label has class {largest}, and the views know {self.most_classes}",
                f"write views: {{name: synthseg, label: …, classes: {largest}}}",
            )
        image = apply.intensity_window(maps["image"].clone(), *self.window_percentiles)
        for place in range(len(regions)):
            outside = (regions[place] == 0) & (image[place] > _AIR)
            values = image[place][outside]
            if len(values):
                inner = torch.linspace(0, 1, self.parts_outside + 1, device=values.device)[1:-1]
                edges = values.sort().values[(inner * (len(values) - 1)).long()]
                regions[place][outside] = self.most_classes + 1 + torch.bucketize(values, edges)
        return regions


def _paint(regions: Tensor, contrast: Contrast) -> Tensor:
    """Return an image ``(I, J, K)`` of regions in a contrast; what is below 0 is 0."""
    noise = torch.randn(regions.shape, generator=torch.Generator().manual_seed(contrast.seed))
    means, sds = (
        torch.cat([torch.zeros(1), values]).to(regions.device) for values in (contrast.means, contrast.sds)
    )
    return (means[regions] + sds[regions] * noise.to(regions.device)).clamp_min(0)


def _classes_of(maps: Mapping[str, Tensor]) -> Tensor:
    if CLASSES not in maps:
        raise DataError(
            f"the map {CLASSES} is missing; there are only {', '.join(sorted(maps))}",
            "these views need a cohort whose scans have a label",
        )
    return maps[CLASSES]
