"""Checks of MRI sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mribench.interfaces import MRISequence
from mribench.seeding import torch_generator
from mribench.testing.problems import (
    ConformanceError,
    require,
    require_no_global_randomness,
    require_tensor,
)
from mribench.testing.samples import TISSUE_VALUES, make_maps

_DRAWS = 1000


def check_sequence(sequence: MRISequence) -> None:
    """Check a sequence: draws that a scanner can run, a finite signal, samples independent of the batch.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(sequence, MRISequence), f"expected an MRISequence, got {type(sequence).__name__}")
    for name in ("name", "family"):
        require(bool(getattr(sequence, name, "")), f"sequence: the attribute '{name}' is missing")
    draws = [_draw_valid(sequence, seed) for seed in range(2)]
    require(draws[0] == _draw_valid(sequence, 0), "sequence: the same generator draws other parameters")
    maps = make_maps(list(TISSUE_VALUES), 8)
    signal = require_tensor(sequence.signal(maps, _split_columns(draws)), (2, 8, 8, 8), "sequence: signal")
    require(float(signal.std()) > 0, "sequence: the signal is the same everywhere")
    for sample, draw in enumerate(draws):
        own = {name: values[sample : sample + 1] for name, values in maps.items()}
        require(
            torch.allclose(
                signal[sample], sequence.signal(own, _split_columns([draw]))[0], rtol=1e-4, atol=1e-5
            ),
            "sequence: the signal of a sample depends on the other samples of its batch",
        )
    _check_without_r2(sequence, maps, _split_columns(draws))
    _check_voxelwise(sequence, maps, _split_columns(draws), signal)
    _check_transmit(sequence, maps, _split_columns(draws), signal)


def _check_without_r2(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> None:
    measured = {name: values for name, values in maps.items() if name != "R2"}
    try:
        signal = sequence.signal(measured, parameters)
    except KeyError as error:
        raise ConformanceError(
            f"sequence: cannot do without the map {error}, and most cohorts have no R2 map; fall back on a"
            " share of R2s"
        ) from error
    require_tensor(signal, (2, 8, 8, 8), "sequence: signal without an R2 map")


def _check_voxelwise(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor], signal: Tensor
) -> None:
    """A signal is computed part by part: a voxel must not depend on its neighbours."""
    part = {name: values[:, 2:5] for name, values in maps.items()}
    require(
        torch.allclose(signal[:, 2:5], sequence.signal(part, parameters), rtol=1e-4, atol=1e-5),
        "sequence: the signal of a voxel depends on other voxels",
    )


def _check_transmit(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor], signal: Tensor
) -> None:
    field = torch.full((1, 1, 1, 1), 0.8)
    same = torch.allclose(signal, sequence.signal(maps, parameters, 1.0, field), rtol=1e-4, atol=1e-5)
    require(
        same or sequence.reads_transmit,
        "sequence: 'reads_transmit' is False, and the signal depends on the transmit field",
    )


def _draw_valid(sequence: MRISequence, seed: int) -> dict[str, float]:
    generator = torch_generator("conformance", "sequence", seed)
    reason = ""
    for _ in range(_DRAWS):
        parameters = require_no_global_randomness(lambda: sequence.draw(generator), "sequence: draw()")
        for name, value in parameters.items():
            require(math.isfinite(value), f"sequence: draws {name} = {value}")
        reason = sequence.invalid(parameters)
        if not reason:
            return parameters
    require(False, f"sequence: none of {_DRAWS} draws can be run by a scanner; the last: {reason}")
    return {}


def _split_columns(draws: list[dict[str, float]]) -> dict[str, Tensor]:
    """Return each parameter as ``(B, 1, 1, 1)``."""
    columns = {}
    for name in draws[0]:
        columns[name] = torch.tensor([draw[name] for draw in draws]).view(-1, 1, 1, 1)
    return columns
