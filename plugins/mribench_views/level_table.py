"""The costly part of a signal equation from a table, where there are many more voxels than it has entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mribench_views.sequence_base import PreparedSequence

N_R1, N_TRANSMIT = 1024, 64
WORTH_VOX = 4 * N_R1 * N_TRANSMIT
"""From so many voxels on a table is used."""


@dataclass(frozen=True)
class LevelTable:
    """The level of a scan over ``1 / (1 s + R1)`` and B1+, read by bilinear interpolation.

    Entries are close where tissue is: 1 / 300 per s apart at R1 of 1 per s. What is read differs from the
    equation by some 0.00005 of the largest signal, and 0.0002 at most (``test_views_level_table.py``).

    Attributes:
        values: ``(1, 1, N_TRANSMIT, N_R1)``.
        share: first and last ``1 / (1 + R1)``.
        transmit: first and last B1+.
    """

    values: Tensor
    share: tuple[float, float]
    transmit: tuple[float, float]

    @classmethod
    def make(
        cls,
        sequence: PreparedSequence,
        parameters: Mapping[str, Tensor],
        r1_per_s: Tensor,
        transmit: tuple[float, float],
    ) -> LevelTable | None:
        """Return the table of one scan; None where one is of no use, or R1 is nothing that is measured.

        Args:
            sequence: of the scan.
            parameters: each ``(1, 1, 1, 1)``.
            r1_per_s: map of a single sample ``(1, I, J, K)``, float32.
            transmit: bounds of B1+.
        """
        if r1_per_s.numel() < WORTH_VOX or r1_per_s.dtype != torch.float32:
            return None
        low, high = (float(bound) for bound in r1_per_s.aminmax())
        if not 0 <= low < high < torch.inf or transmit[0] >= transmit[1]:
            return None
        share = 1 / (1 + low), 1 / (1 + high)
        at = torch.linspace(*share, N_R1, dtype=torch.float64).reciprocal_().sub_(1).float()
        fields = torch.linspace(*transmit, N_TRANSMIT)[:, None]
        return cls(sequence.level(at, parameters, fields), share, transmit)

    def read(self, r1_per_s: Tensor, transmit: Tensor) -> Tensor:
        """Return the level at R1 and B1+, both ``(1, I, J, K)``."""
        places = torch.stack(
            (
                _to_unit((r1_per_s + 1).reciprocal_(), self.share),
                _to_unit(transmit.clone(), self.transmit),
            ),
            dim=-1,
        )
        flat = places.view(1, 1, -1, 2)
        found = F.grid_sample(self.values, flat, padding_mode="border", align_corners=True)
        return found.view(r1_per_s.shape)


def _to_unit(values: Tensor, ends: Sequence[float]) -> Tensor:
    """Bring values between two ends to -1..1, in place."""
    first, last = ends
    return values.mul_(2 / (last - first)).add_(-(last + first) / (last - first))
