"""Gradients of every signal, and float32 over everything that can be drawn: finite, and right to 1e-4."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from mribench_views import sampling
from mribench_views.acquisition import draw_valid
from support_physics import MAPS, PROFILES, SEQUENCES, TISSUES, TYPICAL, columns, tissue_maps
from torch import Tensor

Build = Callable[..., Any]
VARIANTS = (*SEQUENCES, "table4")
USED = {
    "fse": {"PD", "R1", "R2", "receive"},
    "gre": {"PD", "R1", "R2s", "MTsat", "receive", "transmit"},
    "spgr": {"PD", "R1", "R2s", "MTsat", "receive", "transmit"},
    "flair": {"PD", "R1", "R2", "receive"},
    "mprage": {"PD", "R1", "R2s", "receive", "transmit"},
    "mp2rage": {"R1", "transmit"},
    "table4": {"PD", "R1", "receive", "transmit"},
}
"""What each signal depends on."""


def made(variant: str, sequence: Build, **options: Any) -> Any:
    return sequence("mprage", equation="table4") if variant == "table4" else sequence(variant, **options)


def usual(variant: str) -> Mapping[str, float]:
    return TYPICAL["mprage" if variant == "table4" else variant]


def inputs(maps: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Maps and both fields, with gradients."""
    one = torch.ones_like(maps["PD"])
    values = {**maps, "receive": 0.9 * one, "transmit": 1.1 * one}
    return {name: value.to(dtype).requires_grad_() for name, value in values.items()}


def signal_of(built: Any, parameters: Mapping[str, Tensor]) -> Callable[..., Tensor]:
    """The signal as a function of the five maps and the two fields."""

    def signal(*values: Tensor) -> Tensor:
        maps = dict(zip(MAPS, values[:5], strict=True))
        result: Tensor = built.signal(maps, parameters, *values[5:])
        return result

    return signal


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_are_those_of_finite_differences(variant: str, seed: int, sequence: Build) -> None:
    built = made(variant, sequence)
    drawn, _ = draw_valid(built, torch.Generator().manual_seed(seed), 1000)
    given_values = inputs(tissue_maps("GM", "WM", "CSF"), torch.float64)
    assert torch.autograd.gradcheck(
        signal_of(built, columns(drawn)), tuple(given_values.values()), eps=1e-7, atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_signal_depends_on_its_maps_and_fields_and_on_nothing_else(variant: str, sequence: Build) -> None:
    built = made(variant, sequence)
    values = inputs(tissue_maps(*TISSUES), torch.float64)
    signal_of(built, columns(usual(variant)))(*values.values()).sum().backward()
    moved = {name for name, value in values.items() if value.grad is not None and bool(value.grad.any())}
    assert moved == USED[variant]
    assert built.reads_transmit == ("transmit" in moved)


AIR = [set(names) for count in range(1, 6) for names in itertools.combinations(MAPS, count)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_gradients_are_finite_where_any_maps_are_zero(
    variant: str, dtype: torch.dtype, sequence: Build
) -> None:
    """Each column is grey matter with another set of maps at 0; all of them at 0 is air."""
    maps = {
        name: torch.tensor([0.0 if name in zero else TISSUES["GM"][name] for zero in AIR]).view(1, -1, 1, 1)
        for name in MAPS
    }
    profiles = ("corrected",) if variant == "table4" else PROFILES
    for profile in profiles:
        values = inputs(maps, dtype)
        signal = signal_of(made(variant, sequence, profile=profile), columns(usual(variant), dtype))(
            *values.values()
        )
        assert signal.dtype == dtype
        assert torch.isfinite(signal).all()
        signal.sum().backward()
        for name, value in values.items():
            assert value.grad is None or torch.isfinite(value.grad).all(), (profile, name)
        assert signal[0, -1].item() == 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_nearly_no_recovery_is_bounded_with_finite_gradients(
    variant: str, dtype: torch.dtype, sequence: Build
) -> None:
    """Maps that were interpolated into air hold any small number, down to the smallest there is."""
    smallest = torch.finfo(dtype).smallest_normal
    rates = torch.logspace(math.log10(smallest) - 5, -3, 400, dtype=torch.float64).to(dtype)
    maps = {name: torch.full((1, 400, 1, 1), TISSUES["GM"][name], dtype=dtype) for name in MAPS}
    maps["R1"] = rates.view(1, -1, 1, 1)
    values = inputs(maps, dtype)
    built = made(variant, sequence)
    signal = signal_of(built, columns(usual(variant), dtype))(*values.values())
    signal.sum().backward()
    for name, value in values.items():
        assert value.grad is None or torch.isfinite(value.grad).all(), name
    if variant == "mp2rage":
        assert (signal - 0.5).abs().max() <= 0.5 * (1 + 1e-6)


# float32 over the whole range of the tables

RARE_SD = 6.0
"""Normal draws further out than this many standard deviations come once in 500 million."""


def whole_range(distribution: sampling.Distribution) -> st.SearchStrategy[float]:
    """Everything that a distribution can give, the ends included."""
    match distribution:
        case sampling.Constant(value):
            return st.just(value)
        case sampling.Uniform(low, high) | sampling.LogUniform(low, high):
            return st.floats(low, high)
        case sampling.WholeUniform(low, high):
            return st.integers(low, high).map(float)
        case sampling.Normal(mean, sd, ceiling, _):
            return st.floats(max(0.0, mean - RARE_SD * sd), min(ceiling, mean + RARE_SD * sd))
        case sampling.TenToNormal(median, sd):
            return st.floats(median * 10 ** (-RARE_SD * sd), median * 10 ** (RARE_SD * sd))
    raise TypeError(f"no range known of {distribution}")


RATE = st.one_of(st.just(0.0), st.floats(0, 1000), st.floats(-44, 3).map(lambda power: 10.0**power))
TISSUE = st.fixed_dictionaries(
    {
        "PD": st.floats(0, 200),
        "R1": st.one_of(st.just(0.0), st.floats(0, 20), st.floats(-44, 1).map(lambda power: 10.0**power)),
        "R2s": RATE,
        "R2": RATE,
        "MTsat": st.floats(0, 100),
    }
)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SEQUENCES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), tissue=TISSUE, transmit=st.floats(0.1, 1.9))
def test_float32_is_finite_whatever_is_drawn(
    name: str, profile: str, data: st.DataObject, tissue: dict[str, float], transmit: float, sequence: Build
) -> None:
    """Transmit fields are kept between 0.1 and 1.9 where they are drawn."""
    table = sampling.TABLES[name][profile]  # type: ignore[index]
    p = {key: data.draw(whole_range(distribution), key) for key, distribution in table.items()}
    p.setdefault("tx_s", 2 * p.get("te_s", 0.0))
    maps = {key: torch.full((1, 1, 1, 1), value) for key, value in tissue.items()}
    field = torch.full((1, 1, 1, 1), transmit)
    built = sequence(name, profile=profile)
    signal = built.signal(maps, columns(p, torch.float32), 1.0, field)
    assert signal.dtype == torch.float32
    assert torch.isfinite(signal).all()
    if not built.timing_problem(p):  # no more than what is there; MP2RAGE's 0..1 has no unit
        assert signal.abs().item() <= 1.001 * (1 if name == "mp2rage" else tissue["PD"])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SEQUENCES)
def test_float32_is_right_to_a_ten_thousandth(name: str, profile: str, sequence: Build) -> None:
    """Of the largest value over the tissues, for everything that a scanner could run."""
    built = sequence(name, profile=profile)
    rng = torch.Generator().manual_seed(11)
    for _ in range(150):
        drawn = built.draw(rng)
        if built.problem(drawn):
            continue
        exact = built.signal(tissue_maps(*TISSUES), columns(drawn))
        rounded = built.signal(tissue_maps(*TISSUES, dtype=torch.float32), columns(drawn, torch.float32))
        assert (rounded.double() - exact).abs().max() <= 1e-4 * exact.abs().max(), drawn
