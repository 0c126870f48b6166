"""Draws which sequence a view shows, with which parameters, and simulates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mribench.augmentation import FIELD_SD, splines
from mribench.errors import ConfigError
from mribench.interfaces import MRISequence
from mribench_views.level_table import LevelTable
from mribench_views.sequence_base import PreparedSequence

TRANSMIT_SPACING_MM = 80.0
"""Distance of the transmit field's control points: B1+ at 3T varies over about the head's radius."""

_CACHE_VOXELS = 65536
"""On a CPU a signal is computed by slabs of about this size: its many intermediates stay in the cache."""


@dataclass(frozen=True)
class Acquisition:
    """One simulated scan.

    Attributes:
        sequence: which sequence.
        parameters: as ``MRISequence.draw`` gives them.
        redraws: draws that were rejected before this one.
        transmit: ``(1, a, b, c)`` spline coefficients of B1+ minus 1, or None for a perfect field.
    """

    sequence: MRISequence
    parameters: dict[str, float]
    redraws: int = 0
    transmit: Tensor | None = None

    @property
    def name(self) -> str:
        """Of the sequence."""
        return self.sequence.name


def draw_valid(
    sequence: MRISequence, generator: torch.Generator, most_redraws: int
) -> tuple[dict[str, float], int]:
    """Draw parameters until a scanner could run them.

    Returns:
        The parameters, and how many draws were rejected.

    Raises:
        ConfigError: after ``most_redraws`` rejections in a row.
    """
    for redraws in range(most_redraws + 1):
        parameters = sequence.draw(generator)
        problem = sequence.invalid(parameters)
        if not problem:
            return parameters, redraws
    raise ConfigError(
        f"sequence '{sequence.name}' drew {most_redraws + 1} impossible acquisitions in a row: {problem}",
        "check the sequence's parameter ranges, or raise the view generator's most_redraws",
    )


def draw_transmit(
    sd: float, source_vox: Sequence[int], spacing_mm: float, generator: torch.Generator
) -> Tensor | None:
    """Draw the coefficients of a smooth transmit field (B1+) around 1, or None where ``sd`` is 0."""
    if sd == 0:
        return None
    control_vox = TRANSMIT_SPACING_MM / spacing_mm
    shape = [splines.control_points(length, control_vox) for length in source_vox]
    return torch.randn(1, *shape, generator=generator).mul_(sd / FIELD_SD).clamp_(-0.9, 0.9)


def simulate(maps: Mapping[str, Tensor], acquisitions: Sequence[Acquisition], spacing_mm: float) -> Tensor:
    """Return the signal ``(B, I, J, K)``: samples that share a sequence are computed together.

    Args:
        maps: each ``(B, I, J, K)``.
        acquisitions: one per sample.
        spacing_mm: isotropic voxel size.
    """
    groups: dict[int, list[int]] = {}
    for index, acquisition in enumerate(acquisitions):
        groups.setdefault(id(acquisition.sequence), []).append(index)
    if len(groups) == 1:
        return _simulate_one(maps, acquisitions, spacing_mm)
    first = next(iter(maps.values()))
    signal = torch.empty_like(first)
    for rows in groups.values():
        chosen = {name: values[rows] for name, values in maps.items()}
        signal[rows] = _simulate_one(chosen, [acquisitions[row] for row in rows], spacing_mm)
    return signal


def _simulate_one(
    maps: Mapping[str, Tensor], acquisitions: Sequence[Acquisition], spacing_mm: float
) -> Tensor:
    first = next(iter(maps.values()))
    sequence = acquisitions[0].sequence
    names = list(acquisitions[0].parameters)
    rows = [[acquisition.parameters[name] for acquisition in acquisitions] for name in names]
    columns = torch.tensor(rows, dtype=torch.float64).to(first).view(len(names), -1, 1, 1, 1)
    parameters = dict(zip(names, columns, strict=True))
    field = _TransmitField(acquisitions, first, spacing_mm) if sequence.reads_transmit else None
    planes = first.shape[1]
    if first.device.type == "cpu":
        planes = max(1, _CACHE_VOXELS // max(1, first[:, 0].numel()))
    table = None if field is None else _make_table(acquisitions, parameters, maps, field)
    signal = torch.empty_like(first)
    for start in range(0, first.shape[1], planes):
        slab = slice(start, start + planes)
        part = {name: values[:, slab] for name, values in maps.items()}
        transmit = 1.0 if field is None else field.planes(slab)
        if table is not None and isinstance(sequence, PreparedSequence) and isinstance(transmit, Tensor):
            level = table.read(part["R1"], transmit)
            signal[:, slab] = sequence.finish(part, parameters, 1.0, level)
        else:
            signal[:, slab] = sequence.signal(part, parameters, 1.0, transmit)
    return signal


def _make_table(
    acquisitions: Sequence[Acquisition],
    parameters: Mapping[str, Tensor],
    maps: Mapping[str, Tensor],
    field: _TransmitField,
) -> LevelTable | None:
    """Return the table that one scan is read from; an accelerator needs none, nor do several scans."""
    first, bounds = acquisitions[0], field.bounds()
    if len(acquisitions) > 1 or bounds is None or "R1" not in maps or maps["R1"].device.type != "cpu":
        return None
    # of impossible times the released code made signals with poles, which no table has
    if not isinstance(first.sequence, PreparedSequence) or first.sequence.timing_problem(first.parameters):
        return None
    return LevelTable.make(first.sequence, parameters, maps["R1"], bounds)


class _TransmitField:
    """B1+ of a few samples that share a sequence: 1 everywhere, or 1 plus a spline.

    Args:
        acquisitions: one per sample, all with a field or all without.
        like: ``(B, I, J, K)``, a map.
        spacing_mm: isotropic voxel size.
    """

    def __init__(self, acquisitions: Sequence[Acquisition], like: Tensor, spacing_mm: float) -> None:
        self._shape = like.shape
        fields = [acquisition.transmit for acquisition in acquisitions if acquisition.transmit is not None]
        self._spline = (
            splines.expand_planes(
                torch.stack(fields).to(like), like.shape[1:], TRANSMIT_SPACING_MM / spacing_mm
            )
            if fields
            else None
        )
        self._fields = fields

    def bounds(self) -> tuple[float, float] | None:
        """Return what B1+ lies between: a spline never leaves its coefficients; None where it is 1."""
        if not self._fields:
            return None
        low, high = zip(*(field.aminmax() for field in self._fields), strict=True)
        return 1 + float(min(low)), 1 + float(max(high))

    def planes(self, slab: slice) -> Tensor | float:
        """Return the field on a few planes along I: ``(B, i, J, K)``, or 1."""
        if self._spline is None:
            return 1.0
        planes, basis = self._spline
        return (basis[slab] @ planes[:, 0]).unflatten(-1, tuple(self._shape[2:])).add_(1)
