"""View generators: of real scans; MPRAGE only, one simulated sequence for all views, one for each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mribench.augmentation import apply
from mribench.errors import ConfigError
from mribench.interfaces import MRISequence
from mribench_views.acquisition import Acquisition, draw_transmit, draw_valid, simulate
from mribench_views.augmented import AugmentedViews, Shown
from mribench_views.defects import (
    FIXED_MPRAGE_DRAW,
    HISTOGRAM_EQUALISATION,
    OTHER_WINDOW,
    REPEATED_SEQUENCE,
)
from mribench_views.options import MprageViewOptions, SequenceViewOptions, ViewOptions

NEEDS = ("PD", "R1", "R2s", "MTsat")

FIXED_MPRAGE: Mapping[str, float] = {
    "te_s": 0.003,
    "tr_s": 2.3,
    "ti_s": 0.9,
    "tx_s": 0.006,
    "flip_angle_deg": 9.0,
    "n_excitations": 160.0,
    "inversion_efficiency": 0.96,
}
"""The one MPRAGE of the released baseline (its own values are not published; these are usual ones)."""


class RealViews(AugmentedViews):
    """``augment``: views of real scans, of any sequence and session that a subject has."""

    needs = ("image",)
    window_percentiles = (0.5, 99.5)

    def draw_scans(
        self, count: int, source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> Sequence[Shown | None]:
        """Return one scan for all views: that of the crop."""
        del count, source_vox, spacing_mm, generator
        return [None]

    def make_scan(
        self, maps: Mapping[str, Tensor], acquisitions: Sequence[Shown | None], spacing_mm: float
    ) -> Tensor:
        """Return the scan between two percentiles, ``(B, 1, I, J, K)``, on the scale 0..1."""
        del acquisitions, spacing_mm
        return apply.intensity_window(maps["image"].clone(), *self.window_percentiles)[:, None]


class SimulatedViews(AugmentedViews):
    """Base: views of scans that are simulated from quantitative maps, as a subclass draws them.

    Args:
        options: augmentation, transmit field, redraws.
        sequences: what ``draw_acquisitions`` may draw from.
    """

    needs = NEEDS
    may_use = ("R2",)
    window_percentiles: tuple[float, float] = (0.5, 99.5)

    def __init__(self, options: ViewOptions, sequences: Sequence[MRISequence]) -> None:
        super().__init__(options)
        self.options = options
        self.sequences = list(sequences)
        if options.transmit_sd is None:
            self.transmit_sd = 0.1 if options.profile == "corrected" else 0.0
        else:
            self.transmit_sd = options.transmit_sd

    @abstractmethod
    def draw_acquisitions(self, count: int, generator: torch.Generator) -> list[Acquisition]:
        """Draw what ``count`` views of one sample show: one acquisition for all, or one each."""

    def draw_scans(
        self, count: int, source_vox: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> Sequence[Shown | None]:
        """Draw acquisitions, and a transmit field for each."""
        acquisitions = self.draw_acquisitions(count, generator)
        fields = [draw_transmit(self.transmit_sd, source_vox, spacing_mm, generator) for _ in acquisitions]
        return [
            replace(acquisition, transmit=field)
            for acquisition, field in zip(acquisitions, fields, strict=True)
        ]

    def make_scan(
        self, maps: Mapping[str, Tensor], acquisitions: Sequence[Shown | None], spacing_mm: float
    ) -> Tensor:
        """Return the simulated source ``(B, 1, I, J, K)`` on the scale 0..1."""
        drawn = [acquisition for acquisition in acquisitions if isinstance(acquisition, Acquisition)]
        signal = simulate(maps, drawn, spacing_mm)
        image = apply.intensity_window(signal, *self.window_percentiles)
        if self.options.shows(HISTOGRAM_EQUALISATION.name):
            image = apply.equalise(image)
        return image[:, None]


class MprageViews(SimulatedViews):
    """``mprage``: every view is an MPRAGE with parameters of its own; as released, always the same one."""

    def __init__(self, options: MprageViewOptions) -> None:
        super().__init__(options, [options.sequence.make()])

    def draw_acquisitions(self, count: int, generator: torch.Generator) -> list[Acquisition]:
        """Draw one acquisition for each view."""
        sequence = self.sequences[0]
        if self.options.shows(FIXED_MPRAGE_DRAW.name) and sequence.name == "mprage":
            return [Acquisition(sequence, dict(FIXED_MPRAGE))]
        most = self.options.most_redraws
        return [Acquisition(sequence, *draw_valid(sequence, generator, most)) for _ in range(count)]


class SeqAugViews(SimulatedViews):
    """``seqaug``: one draw of sequence and parameters for all views of a sample."""

    def __init__(self, options: SequenceViewOptions) -> None:
        super().__init__(options, [reference.make() for reference in options.sequences])
        if options.shows(OTHER_WINDOW.name):
            self.window_percentiles = (0.5, 95.0)

    def draw_acquisitions(self, count: int, generator: torch.Generator) -> list[Acquisition]:
        """Draw one acquisition for all views."""
        del count
        sequence = self.sequences[choose(len(self.sequences), generator)]
        return [Acquisition(sequence, *draw_valid(sequence, generator, self.options.most_redraws))]


class SeqInvViews(SimulatedViews):
    """``seqinv``: each view of a sample shows another sequence family.

    GRE and SPGR are one family. With more views than families, all families are used before one comes
    again. As released, the sequences are drawn apart, so the same one may come twice.

    Raises:
        ConfigError: when the sequences make up one family only.
    """

    def __init__(self, options: SequenceViewOptions) -> None:
        super().__init__(options, [reference.make() for reference in options.sequences])
        if options.shows(OTHER_WINDOW.name):
            self.window_percentiles = (0.5, 95.0)
        self.families: dict[str, list[MRISequence]] = {}
        for sequence in self.sequences:
            self.families.setdefault(sequence.family, []).append(sequence)
        if len(self.families) < 2:
            names = ", ".join(sequence.name for sequence in self.sequences)
            raise ConfigError(
                f"seqinv needs sequences of at least two families, and got only {names}",
                "add one, e.g. sequences: [fse, gre, flair, mprage, mp2rage]",
            )

    def draw_acquisitions(self, count: int, generator: torch.Generator) -> list[Acquisition]:
        """Draw one acquisition for each view."""
        chosen: list[MRISequence] = []
        if self.options.shows(REPEATED_SEQUENCE.name):
            chosen = [self.sequences[choose(len(self.sequences), generator)] for _ in range(count)]
        families = list(self.families.values())
        while len(chosen) < count:
            for index in torch.randperm(len(families), generator=generator).tolist():
                chosen.append(families[index][choose(len(families[index]), generator)])
        most = self.options.most_redraws
        return [Acquisition(sequence, *draw_valid(sequence, generator, most)) for sequence in chosen[:count]]


def choose(count: int, generator: torch.Generator) -> int:
    """Draw a place among ``count``."""
    return int(torch.randint(count, (), generator=generator).item())
