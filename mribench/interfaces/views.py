"""View generators and MRI sequences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class ViewRequest:
    """One view that an objective wants.

    Attributes:
        role: ``global``, ``local``, … as the objective calls it.
        patch_scale: edge of the view as a share of the pretraining patch; 1 for a global view.
    """

    role: str = "global"
    patch_scale: float = 1.0


@dataclass(frozen=True)
class SampleOrigin:
    """Where a sample of a batch comes from.

    Attributes:
        subject: its id.
        session: of the scan; empty where there is one only.
        sequence: of the scan, ``qmri`` for a set of maps.
        corner_vox: first voxel along I, J, K of the crop that all views of the sample are cut from, on the
            working grid of the scan.
        shape_vox: edges I, J, K of the scan on that grid.
        covariates: of the subject: age, sex … as the archive gives them.
        paired: sequences of the other images of the sample, ``image_2`` and on, which are of the same session
            and lie on the grid of the first.
    """

    subject: str
    session: str = ""
    sequence: str = ""
    corner_vox: tuple[int, int, int] = (0, 0, 0)
    shape_vox: tuple[int, int, int] = (0, 0, 0)
    covariates: Mapping[str, object] = field(default_factory=dict)
    paired: tuple[str, ...] = ()


@dataclass
class View:
    """One view of each subject of a batch.

    Attributes:
        image: what the network sees, ``(B, 1, i, j, k)``, z-scored.
        target: the same anatomy before the artefacts, ``(B, 1, i, j, k)``, on the same scale.
        role: the request's role.
        sequences: the sequence that each sample shows, length B; that of the scan where it is left empty.
        parameters: the drawn acquisition and augmentation parameters of each sample, with units in
            their names, length B.
        origins: whose scan each sample shows, and which part of it, length B; set by the harness.
        redraws: impossible acquisition draws that were rejected.
        classes: class number of each voxel, ``(B, 1, i, j, k)`` int64; None where no label is read.
    """

    image: Tensor
    target: Tensor
    role: str = "global"
    sequences: list[str] = field(default_factory=list)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    origins: list[SampleOrigin] = field(default_factory=list)
    redraws: int = 0
    classes: Tensor | None = None

    @property
    def subjects(self) -> list[str]:
        """Subject ids, length B."""
        return [origin.subject for origin in self.origins]


@dataclass(frozen=True)
class ParameterLabel:
    """How figures write a parameter that a view generator draws, its unit by the end of its name.

    Attributes:
        word: before the value; neighbours of one word are written together, as in ``TI 700/2500 ms``.
        acquisition: whether a scanner is set to it; such parameters come first, in the order of their labels.
        captioned: whether it is written under a view: not what hardly shows in a picture.
        neutral: the value that leaves the image as it is, and is not written.
        write: makes the text from the value, in place of word, value and unit; nothing for an empty text.
    """

    word: str
    acquisition: bool = False
    captioned: bool = True
    neutral: float | None = None
    write: Callable[[Any], str] | None = None


class ViewGenerator(ABC):
    """Makes the views of a batch of subjects; pure given the generators."""

    needs: Sequence[str] = ()
    """Names of the maps that it reads, e.g. ``("PD", "R1", "R2s", "MTsat")``; ``R2`` is used where known."""
    images: int = 1
    """Images of a sample, each of another sequence of one session, on one grid. More than one: ``needs`` is
    ``("image",)``, and ``views`` gets ``image``, ``image_2`` and so on, in a random order."""
    needs_label: str = ""
    """Name of a label that each scan must have: ``views`` gets its class numbers as the map ``classes``, 0
    for the background. Empty: none is read."""
    labels: Mapping[str, ParameterLabel] = MappingProxyType({})
    """How figures write what it draws, by name of the parameter; one without a label is shown by its name."""

    def source_vox(self, patch_vox: int) -> int:
        """Return the edge of the crop (voxels) that views of ``patch_vox`` are cut from."""
        return patch_vox

    @abstractmethod
    def views(
        self,
        maps: Mapping[str, Tensor],
        requests: Sequence[ViewRequest],
        patch_vox: int,
        spacing_mm: float,
        generators: Sequence[torch.Generator],
    ) -> list[View]:
        """Return one ``View`` per request.

        Args:
            maps: named crops ``(B, I, J, K)``, units as in ``MRISequence.signal``.
            requests: what the objective wants, in order.
            patch_vox: edge of a view with ``patch_scale`` 1, in voxels.
            spacing_mm: isotropic voxel size.
            generators: one CPU generator per sample, length B; nothing else is random.
        """

    def views_from(
        self,
        origins: Sequence[SampleOrigin],
        maps: Mapping[str, Tensor],
        requests: Sequence[ViewRequest],
        patch_vox: int,
        spacing_mm: float,
        generators: Sequence[torch.Generator],
    ) -> list[View]:
        """Return ``views``, knowing where each sample is from; this is what the harness calls.

        Override it where views depend on the sequence, the session, the covariates or the place of the crop.

        Args:
            origins: where each sample is from, length B.
            maps: as in ``views``.
            requests: as in ``views``.
            patch_vox: as in ``views``.
            spacing_mm: as in ``views``.
            generators: as in ``views``.
        """
        del origins
        return self.views(maps, requests, patch_vox, spacing_mm, generators)


class MRISequence(ABC):
    """A pulse sequence: parameters with units and ranges, signal equation, validity.

    Attributes:
        name: e.g. ``fse``.
        family: sequences with one signal equation share a family (GRE and SPGR) and count as one.
        reads_transmit: whether the signal depends on B1⁺; where not, no field is computed for it.
    """

    name: str
    family: str
    reads_transmit: bool = True

    @abstractmethod
    def draw(self, generator: torch.Generator) -> dict[str, float]:
        """Draw acquisition parameters: times in s (``te_s``), angles in degrees (``flip_angle_deg``)."""

    def invalid(self, parameters: Mapping[str, float]) -> str:
        """Return why a scanner could not run these parameters, or an empty string."""
        del parameters
        return ""

    @abstractmethod
    def signal(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float = 1.0,
        transmit: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)``, each voxel's from its own values: it is computed part by part.

        Args:
            maps: PD (p.u.), R1, R2s (1/s), MTsat (p.u.), each ``(B, I, J, K)``; R2 (1/s) where the cohort
                has it.
            parameters: each ``(B, 1, 1, 1)``, in the units of ``draw``.
            receive: B1⁻, multiplies the signal.
            transmit: B1⁺, multiplies the flip angles.
        """
