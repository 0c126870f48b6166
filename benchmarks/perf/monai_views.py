"""A pair of SeqInv views out of MONAI's own transforms, in the order of the paper's released loader.

What `views.py` compares with: every pair starts from the subject's four files; percentiles are taken over
the whole maps; the elastic field is dense. Signal equations are mribench's own, so that the two differ in the
data engine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from head_maps import FILES
from monai import transforms as mt
from torch import Tensor

from mribench.interfaces import MRISequence

SOURCE_VOX = 115
VIEW_VOX = 96
ARTEFACT_PROBABILITY = 0.5
"""Not published; half of the views, as mribench has it."""

Clock = Callable[[str], None]
"""Told the name of each stage at its end."""


class ReleasedOrder:
    """The released pipeline for a pair of views.

    Args:
        sequences: signal equations to draw two of.
        seed: of all transforms.
    """

    def __init__(self, sequences: Sequence[MRISequence], seed: int) -> None:
        self.sequences = list(sequences)
        self.generator = torch.Generator().manual_seed(seed)
        self.load = mt.LoadImage(image_only=True, ensure_channel_first=True)
        self.clip = mt.ClipIntensityPercentiles(lower=0.5, upper=99.5, channel_wise=True)
        self.crop = mt.RandSpatialCrop((SOURCE_VOX,) * 3, random_size=False)
        self.scale = mt.ScaleIntensityRangePercentiles(0.5, 95, 0, 1, clip=True)
        self.equalise = mt.HistogramNormalize(num_bins=256, min=0, max=1)
        self.spatial = mt.Compose(
            [
                mt.Rand3DElastic(sigma_range=(5, 7), magnitude_range=(50, 150), prob=0.8,
                                 mode="bilinear", padding_mode="border"),
                *(mt.RandFlip(prob=0.5, spatial_axis=axis) for axis in range(3)),
                mt.RandSpatialCrop((VIEW_VOX,) * 3, random_size=False),
            ]
        )  # fmt: skip
        p = ARTEFACT_PROBABILITY
        self.artefacts = mt.Compose(
            [
                mt.RandBiasField(coeff_range=(0, 0.3), prob=p),
                mt.RandGibbsNoise(alpha=(0, 0.8), prob=p),
                mt.RandRicianNoise(std=0.2, sample_std=True, prob=p),
                mt.RandCoarseDropout(holes=1, max_holes=10, spatial_size=5, max_spatial_size=24,
                                     fill_value=0, prob=p),
                mt.NormalizeIntensity(),
            ]
        )  # fmt: skip
        for number, step in enumerate((self.crop, self.spatial, self.artefacts)):
            step.set_random_state(seed=seed + number)

    def pair(self, folder: Path, done: Clock = lambda _: None) -> list[tuple[Tensor, Tensor]]:
        """Return two (view, target), each ``(1, 96, 96, 96)``, of the subject whose maps lie in a folder."""
        stack = torch.cat([self.load(folder / name) for name in FILES.values()])
        done("load the four maps")
        stack = torch.nan_to_num(stack, nan=0.0, posinf=0.0, neginf=0.0)
        done("fill what is not finite")
        stack = self.clip(stack)
        done("percentiles of the whole maps")
        patch = self.crop(stack)
        done("crop, flips, copy")
        maps = {name: patch[None, index].as_tensor() for index, name in enumerate(FILES)}
        return [self._view(maps, sequence, done) for sequence in self._two()]

    def _two(self) -> list[MRISequence]:
        order = torch.randperm(len(self.sequences), generator=self.generator)[:2]
        return [self.sequences[index] for index in order.tolist()]

    def _view(self, maps: Mapping[str, Tensor], sequence: MRISequence, done: Clock) -> tuple[Tensor, Tensor]:
        drawn = sequence.draw(self.generator)
        parameters = {name: torch.full((1, 1, 1, 1), value) for name, value in drawn.items()}
        signal = sequence.signal(maps, parameters)
        done("signal equations")
        scaled = self.scale(signal)
        done("percentile scaling")
        image = torch.as_tensor(np.asarray(self.equalise(scaled)), dtype=torch.float32)
        done("histogram normalisation")
        for step in self.spatial.transforms:
            image = step(image)
            done("elastic deformation" if isinstance(step, mt.Rand3DElastic) else "crop, flips, copy")
        target = image.clone()
        done("crop, flips, copy")
        for step in self.artefacts.transforms:
            image = step(image)
            done(ARTEFACT_STAGES[type(step)])
        return image, target


ARTEFACT_STAGES = {
    mt.RandBiasField: "bias field",
    mt.RandGibbsNoise: "Gibbs ringing",
    mt.RandRicianNoise: "Rician noise",
    mt.RandCoarseDropout: "dropout, z-score",
    mt.NormalizeIntensity: "dropout, z-score",
}
