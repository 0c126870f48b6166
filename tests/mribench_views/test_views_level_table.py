"""Signals that are read from a table, beside the equation in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mribench_views import level_table
from mribench_views.acquisition import Acquisition, draw_transmit, draw_valid, simulate
from mribench_views.level_table import LevelTable
from torch import Tensor

from mribench.seeding import torch_generator

EDGE_VOX, SPACING_MM = 34, 4.0


@pytest.fixture
def maps() -> dict[str, Tensor]:
    """Return tissue, and some voxels of what is none."""
    generator = torch_generator("level-table")
    shape = (1, EDGE_VOX, EDGE_VOX, EDGE_VOX)
    scales = {"PD": (60, 100), "R1": (0.15, 2.0), "R2s": (1, 30), "MTsat": (0, 2)}
    found = {
        name: low + (high - low) * torch.rand(shape, generator=generator)
        for name, (low, high) in scales.items()
    }
    found["R1"].view(-1)[:40] = torch.linspace(0, 40, 40)
    return found


def draws(sequence: Any, count: int) -> list[Acquisition]:
    generator = torch_generator("level-table", sequence.name)
    shape = (EDGE_VOX,) * 3
    return [
        Acquisition(
            sequence,
            *draw_valid(sequence, generator, 1000),
            draw_transmit(0.1, shape, SPACING_MM, generator),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("profile", ["corrected", "paper"])
@pytest.mark.parametrize("name", ["mprage", "mp2rage"])
def test_a_table_is_as_good_as_the_equation(
    sequence: Callable[..., Any], maps: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, name, profile
) -> None:
    for scan in draws(sequence(name, profile=profile), 12):
        exact = simulate({key: values.double() for key, values in maps.items()}, [scan], SPACING_MM)
        direct = simulate(maps, [scan], SPACING_MM)
        with monkeypatch.context() as patch:
            patch.setattr(level_table, "WORTH_VOX", 1)
            found = simulate(maps, [scan], SPACING_MM)
        error = ((found - exact).abs() / exact.abs().max()).double()
        assert error.max() < 2e-4
        assert error.mean() < 5e-5
        assert not torch.equal(found, direct), "it is read from a table"


def test_few_voxels_and_impossible_times_are_left_to_the_equation(
    sequence: Callable[..., Any], maps: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    make = LevelTable.make.__func__
    monkeypatch.setattr(
        LevelTable, "make", classmethod(lambda *given: asked.append(1) or make(*given))
    )  # fmt: skip
    (scan,) = draws(sequence("mp2rage"), 1)
    direct = scan.sequence.signal(
        maps, {name: torch.tensor(value) for name, value in scan.parameters.items()}
    )
    none = Acquisition(scan.sequence, scan.parameters)
    torch.testing.assert_close(simulate(maps, [none], SPACING_MM), direct)
    assert not asked, "without a field there is little to save"
    simulate(maps, [scan], SPACING_MM)
    assert asked.pop()
    monkeypatch.setattr(level_table, "WORTH_VOX", 1)
    late = {**scan.parameters, "ti1_s": 0.1}
    assert scan.sequence.timing_problem(late)
    simulate(maps, [Acquisition(scan.sequence, late, transmit=scan.transmit)], SPACING_MM)
    assert not asked


@pytest.mark.parametrize("odd", [-1.0, torch.inf, torch.nan])
def test_rates_that_are_none_are_left_to_the_equation(
    sequence: Callable[..., Any], maps: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, odd: float
) -> None:
    monkeypatch.setattr(level_table, "WORTH_VOX", 1)
    maps["R1"].view(-1)[7] = odd
    (scan,) = draws(sequence("mprage"), 1)
    parameters = {name: torch.tensor(value) for name, value in scan.parameters.items()}
    assert LevelTable.make(scan.sequence, parameters, maps["R1"], (0.8, 1.2)) is None
