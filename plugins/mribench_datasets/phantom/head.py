"""A head on a grid, whoever made it: the phantom or a label map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mribench_datasets.phantom.covariates import Traits

if TYPE_CHECKING:
    from mribench_datasets.phantom.lesions import Lesion

Box = tuple[slice, slice, slice]
NERVOUS = ("gm", "wm", "striatum", "thalamus", "pallidum", "brainstem", "wm_lesion")
"""Tissues that a stroke destroys."""


@dataclass(frozen=True, eq=False)
class Part:
    """One kind of tissue in a head, with values of its own.

    Attributes:
        tissue: a name in ``TISSUES``; several parts may be of one tissue.
        values_3t: ``(properties,)`` in the order of ``PROPERTIES``.
        box: the voxels of the grid that ``share`` covers; it is zero elsewhere.
        share: of each voxel in the box ``(i, j, k)``, 0..1, float32.
    """

    tissue: str
    values_3t: np.ndarray
    box: Box
    share: np.ndarray


@dataclass(frozen=True, eq=False)
class Head:
    """A head on a grid.

    Attributes:
        affine: voxel to world ``(4, 4)``, mm.
        shape: ``(I, J, K)``.
        parts: their shares add up to 1 and less; air is what is missing to 1.
        texture: smooth variation within the tissues ``(I, J, K)``, zero mean, about unit variance.
    """

    affine: np.ndarray
    shape: tuple[int, int, int]
    parts: tuple[Part, ...]
    texture: np.ndarray

    def mix(self, weights: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the sum of the shares ``(I, J, K)``, each part weighted by a number of its own."""
        total = np.zeros(self.shape, dtype=np.float32)
        for part, weight in zip(self.parts, weights, strict=True):
            total[part.box] += np.float32(weight) * part.share
        return total

    def share(self, *tissues: str) -> np.ndarray:
        """Return the share ``(I, J, K)`` of the named tissues together; of all when none is named."""
        return self.mix([float(not tissues or part.tissue in tissues) for part in self.parts])

    @property
    def values_3t(self) -> np.ndarray:
        """Values of each part, ``(parts, properties)``."""
        return np.stack([part.values_3t for part in self.parts])

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissue of each part."""
        return tuple(part.tissue for part in self.parts)


class Anatomy(ABC):
    """A person's head, independent of any grid.

    Attributes:
        lesion: a chronic stroke, or None.
        spacing_mm: nominal voxel edge of what is made of it.
    """

    lesion: Lesion | None
    spacing_mm: float

    @property
    def has_lesion(self) -> bool:
        """Whether the person had a stroke."""
        return self.lesion is not None

    def traits(self) -> Traits | None:
        """Return what of the head goes with age and sex; None where nobody can say."""
        return None

    @abstractmethod
    def grid(
        self, edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Return the grid of an acquisition that holds the head: affine ``(4, 4)`` in mm and ``(I, J, K)``.

        Args:
            edge_scale: voxel edges as multiples of ``spacing_mm``; the axes run to R, A, S.
        """

    @abstractmethod
    def on_grid(self, affine: np.ndarray, shape: tuple[int, int, int]) -> Head:
        """Return the head on a grid.

        Args:
            affine: voxel to world ``(4, 4)``, mm, with axes along those of ``grid``.
            shape: ``(I, J, K)``.
        """


def injure(parts: Sequence[Part], cavity: np.ndarray, rim: np.ndarray, values: np.ndarray) -> list[Part]:
    """Replace nervous tissue by cavity and rim.

    Args:
        parts: of the healthy head.
        cavity: share ``(I, J, K)`` of the nervous tissue in each voxel that became a cavity.
        rim: share that became gliotic.
        values: ``(2, properties)`` of cavity and rim.

    Returns:
        All parts, cavity and rim the last two; every voxel's total stays as it was.
    """
    lost = [np.zeros_like(cavity), np.zeros_like(rim)]
    left: list[Part] = []
    for part in parts:
        if part.tissue not in NERVOUS:
            left.append(part)
            continue
        for total, share in zip(lost, (cavity, rim), strict=True):
            total[part.box] += share[part.box] * part.share
        kept = part.share * (1 - cavity[part.box] - rim[part.box]).clip(0)
        left.append(Part(part.tissue, part.values_3t, part.box, kept))
    whole = (slice(None), slice(None), slice(None))
    new = [Part(name, values[i], whole, lost[i]) for i, name in enumerate(("cavity", "rim"))]
    return [*left, *new]
