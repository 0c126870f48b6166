"""Closed-form limits of every sequence: TR, TE, angle, MT, PD, R1 and both fields at their ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from support_physics import SEQUENCES, TISSUES, TYPICAL, angles_of, columns, tissue_maps
from torch import Tensor

Build = Callable[..., Any]
VARIANTS = (*SEQUENCES, "table4")
"""The sequences, and MPRAGE by the equation that the paper prints."""


def made(variant: str, sequence: Build) -> Any:
    return sequence("mprage", equation="table4") if variant == "table4" else sequence(variant)


def usual(variant: str, **changes: float) -> dict[str, float]:
    return {**TYPICAL["mprage" if variant == "table4" else variant], **changes}


def level(built: Any, maps: Mapping[str, Tensor], p: Mapping[str, float]) -> Tensor:
    """The signal, for MP2RAGE its ratio, ``(N,)``."""
    p = columns(p)
    signal: Tensor = built.ratio(maps, p) if built.name == "mp2rage" else built.signal(maps, p)
    return signal.flatten()


def with_map(name: str, value: float) -> dict[str, Tensor]:
    maps = tissue_maps(*TISSUES)
    return {**maps, name: torch.full_like(maps[name], value)}


def flat(name: str) -> Tensor:
    return tissue_maps(*TISSUES)[name].flatten()


PD, R1, R2S, R2 = (flat(name) for name in ("PD", "R1", "R2s", "R2"))
KEPT = 1 - flat("MTsat") / 100
NINE, FOUR, FIVE = (math.radians(angle) for angle in (9, 4, 5))


# TR → ∞: the magnetisation before the cycle is 1


def train(m: Tensor, pulses: int, angle: float, tx_s: float = 0.006) -> Tensor:
    for _ in range(pulses):
        m = 1 + (m * math.cos(angle) - 1) * torch.exp(-R1 * tx_s)
    return m


def recovered(m: Tensor | float, time_s: float) -> Tensor:
    return 1 + (m - 1) * torch.exp(-R1 * time_s)


def long_mp2rage() -> Tensor:
    before = recovered(-0.96, 0.8 - 0.48)
    one = train(before, 79, FOUR) * math.sin(FOUR)
    two = train(recovered(train(before, 160, FOUR), 2.5 - 0.8 - 0.96), 80, FIVE) * math.sin(FIVE)
    return one * two / (one**2 + two**2)


LONG_TR = {
    "fse": lambda: PD * torch.exp(-0.09 * R2),
    "gre": lambda: PD * math.sin(math.radians(20)) * KEPT * torch.exp(-0.005 * R2S),
    "spgr": lambda: PD * math.sin(math.radians(20)) * KEPT * torch.exp(-0.005 * R2S),
    "flair": lambda: PD * (1 - 2 * torch.exp(-2.5 * R1)).abs() * torch.exp(-0.1 * R2),
    "mprage": lambda: (
        PD * math.sin(NINE) * train(recovered(-0.96, 0.42), 79, NINE).abs() * torch.exp(-0.003 * R2S)
    ),
    "mp2rage": long_mp2rage,
    "table4": lambda: PD,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_long_tr(variant: str, sequence: Build) -> None:
    found = level(made(variant, sequence), tissue_maps(*TISSUES), usual(variant, tr_s=1e4))
    torch.testing.assert_close(found, LONG_TR[variant](), rtol=1e-12, atol=0)


# TE → 0: nothing has decayed, and TE acts through one exponential only


@pytest.mark.parametrize("variant", VARIANTS)
def test_echo_time_decays_with_one_rate_alone(variant: str, sequence: Build) -> None:
    built, maps = made(variant, sequence), tissue_maps(*TISSUES)
    at_once, later = (level(built, maps, usual(variant, te_s=te_s)) for te_s in (0.0, 0.03))
    rate = {"fse": R2, "flair": R2, "mp2rage": 0 * R2, "table4": 0 * R2}.get(variant, R2S)
    torch.testing.assert_close(later, at_once * torch.exp(-0.03 * rate), rtol=1e-12, atol=0)
    undecayed = {key: 0 * values if key in ("R2", "R2s") else values for key, values in maps.items()}
    torch.testing.assert_close(at_once, level(built, undecayed, usual(variant)), rtol=1e-12, atol=0)


# 90 degrees: every excitation starts from nothing


RIGHT_ANGLE = {
    "gre": lambda: PD * KEPT * -torch.expm1(-0.03 * R1) * torch.exp(-0.005 * R2S),
    "spgr": lambda: PD * KEPT * -torch.expm1(-0.03 * R1) * torch.exp(-0.005 * R2S),
    "mprage": lambda: PD * -torch.expm1(-0.006 * R1) * torch.exp(-0.003 * R2S),
    "mp2rage": lambda: torch.full_like(PD, 0.5),
    # printed: [(1 - E(TR)) E(TD) + 1 - E(TD)] with TD = 2.3 - 0.9 - 0.48 s
    "table4": lambda: PD * (1 - torch.exp(-(2.3 + 0.92) * R1)),
}


@pytest.mark.parametrize("variant", RIGHT_ANGLE)
def test_ninety_degrees(variant: str, sequence: Build) -> None:
    angles = dict.fromkeys(angles_of("mprage" if variant == "table4" else variant), 90.0)
    found = level(made(variant, sequence), tissue_maps(*TISSUES), usual(variant, **angles))
    torch.testing.assert_close(found, RIGHT_ANGLE[variant](), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["fse", "flair"])
def test_spin_echoes_have_their_ninety_degrees_built_in(name: str, sequence: Build) -> None:
    """TI → ∞ makes FLAIR a fast spin echo, and TI = TR the same with its sign turned."""
    maps = tissue_maps(*TISSUES)
    fse = level(sequence("fse"), maps, {"te_s": 0.1, "tr_s": 9.0})
    if name == "flair":
        found = level(sequence("flair"), maps, {"te_s": 0.1, "tr_s": 9.0, "ti_s": 9.0})
        torch.testing.assert_close(found, fse, rtol=1e-12, atol=0)
    saturated = PD * (1 - torch.exp(-9.0 * R1)) * torch.exp(-0.1 * R2)
    torch.testing.assert_close(fse, saturated, rtol=1e-12, atol=0)


# Small angles


@pytest.mark.parametrize("variant", ["gre", "spgr", "table4"])
def test_small_angles_excite_in_proportion(variant: str, sequence: Build) -> None:
    """Without pulses a gradient echo's magnetisation is full: S = PD sin α (1-δ)(1-E)/(1-(1-δ)E)."""
    angle = 1e-4
    found = level(made(variant, sequence), tissue_maps(*TISSUES), usual(variant, flip_angle_deg=angle))
    e = torch.exp(-0.03 * R1)
    expected = PD * math.radians(angle) * KEPT * (1 - e) / (1 - KEPT * e) * torch.exp(-0.005 * R2S)
    if variant == "table4":
        expected = PD * (1 - torch.exp(-0.92 * R1))  # the printed one keeps a signal without excitation
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("n_excitations", [2, 3, 8, 160])
def test_mprage_with_weak_or_few_pulses_is_inversion_recovery(n_excitations: int, sequence: Build) -> None:
    """1 - 2 E(TI) / (1 + E(TR)), at the pulse that is read, one TX before the train's middle."""
    p = usual("mprage", flip_angle_deg=1e-3, inversion_efficiency=1.0, n_excitations=n_excitations)
    read_s = p["ti_s"] - (n_excitations / 2 - n_excitations // 2 + 1) * p["tx_s"]
    free = 1 - 2 * torch.exp(-read_s * R1) / (1 + torch.exp(-p["tr_s"] * R1))
    expected = PD * math.radians(1e-3) * free.abs() * torch.exp(-0.003 * R2S)
    torch.testing.assert_close(
        level(sequence("mprage"), tissue_maps(*TISSUES), p), expected, rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("tissue", TISSUES)
def test_mprage_of_two_weak_pulses_is_null_at_its_inversion_time(tissue: str, sequence: Build) -> None:
    r1, tr_s, tx_s = TISSUES[tissue]["R1"], 20.0, 1e-6
    null_s = math.log(2 / (1 + math.exp(-tr_s * r1))) / r1
    p = usual("mprage", n_excitations=2, tx_s=tx_s, tr_s=tr_s, inversion_efficiency=1.0, flip_angle_deg=0.01)

    def at(ti_s: float) -> float:
        return level(sequence("mprage"), tissue_maps(tissue), {**p, "ti_s": ti_s + tx_s}).item()

    assert at(null_s) < 1e-6 * min(at(0.8 * null_s), at(1.2 * null_s))


def test_mprage_without_inversion_is_a_saturation_recovery(sequence: Build) -> None:
    """As η → 0 every cycle starts from nothing; a long enough train then ends in the Ernst steady state."""
    p = usual("mprage", inversion_efficiency=1e-12, n_excitations=4000.0, ti_s=12.1, tr_s=24.3)
    e = torch.exp(-p["tx_s"] * R1)
    steady = math.sin(NINE) * (1 - e) / (1 - math.cos(NINE) * e)
    expected = PD * steady * torch.exp(-0.003 * R2S)
    torch.testing.assert_close(
        level(sequence("mprage"), tissue_maps(*TISSUES), p), expected, rtol=1e-9, atol=0
    )


# Magnetisation transfer


@pytest.mark.parametrize("name", ["gre", "spgr"])
def test_no_mt_is_the_ernst_equation_and_full_mt_is_dark(name: str, sequence: Build) -> None:
    e, angle = torch.exp(-0.03 * R1), math.radians(20)
    ernst = PD * math.sin(angle) * (1 - e) / (1 - math.cos(angle) * e) * torch.exp(-0.005 * R2S)
    built, p = sequence(name), usual(name)
    torch.testing.assert_close(level(built, with_map("MTsat", 0), p), ernst, rtol=1e-12, atol=0)
    assert level(built, with_map("MTsat", 100), p).abs().max() == 0
    assert torch.all(level(built, tissue_maps(*TISSUES), p) < ernst)


@pytest.mark.parametrize("variant", ["fse", "flair", "mprage", "mp2rage", "table4"])
def test_mt_reaches_the_gradient_echo_alone(variant: str, sequence: Build) -> None:
    built, maps = made(variant, sequence), tissue_maps(*TISSUES)
    without = {key: values for key, values in maps.items() if key != "MTsat"}
    assert torch.equal(level(built, maps, usual(variant)), level(built, without, usual(variant)))


# Proton density


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_protons_no_signal_and_else_in_proportion(variant: str, sequence: Build) -> None:
    built, p = made(variant, sequence), columns(usual(variant))
    assert built.signal(with_map("PD", 0), p).abs().max() == 0
    one, three = (built.signal(with_map("PD", value), p) for value in (30, 90))
    factor = 1 if variant == "mp2rage" else 3
    torch.testing.assert_close(three, factor * one, rtol=1e-14, atol=0)
    assert one.min() > 0


# R1 → 0 and R1 → ∞


SLOW = {
    "fse": 5.0,
    "gre": math.sin(math.radians(20)) * 0.992 * 0.03 / (1 - math.cos(math.radians(20)) * 0.992),
    "spgr": math.sin(math.radians(20)) * 0.992 * 0.03 / (1 - math.cos(math.radians(20)) * 0.992),
    "flair": 9.0 - 2 * 2.5,
    "table4": math.sin(NINE) * 2.3 / (1 - math.cos(NINE)) * (1 - math.cos(NINE) ** 160) + 0.92,
}
"""Signal / (PD R1) of tissue that recovers very slowly and does not decay, with MTsat 0.8."""


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_never_recovers_has_no_signal(variant: str, sequence: Build) -> None:
    built = made(variant, sequence)

    def at(r1: float) -> float:
        values = {"PD": 80.0, "R1": r1, "R2s": 0.0, "R2": 0.0, "MTsat": 0.8}
        return level(built, columns(values), usual(variant)).item()

    assert at(0.0) == 0
    if variant == "mp2rage":
        assert at(1e-6) == pytest.approx(at(1e-5), rel=1e-3)  # both trains fade alike: the ratio stays
        return
    assert at(1e-7) / at(1e-6) == pytest.approx(0.1, rel=1e-3)
    if variant in SLOW:
        assert at(1e-7) == pytest.approx(80 * 1e-7 * SLOW[variant], rel=1e-3)


FAST = {
    "fse": lambda: PD * torch.exp(-0.09 * R2),
    "gre": lambda: PD * math.sin(math.radians(20)) * KEPT * torch.exp(-0.005 * R2S),
    "spgr": lambda: PD * math.sin(math.radians(20)) * KEPT * torch.exp(-0.005 * R2S),
    "flair": lambda: PD * torch.exp(-0.1 * R2),
    "mprage": lambda: PD * math.sin(NINE) * torch.exp(-0.003 * R2S),
    "mp2rage": lambda: (
        torch.full_like(PD, math.sin(FOUR) * math.sin(FIVE)) / (math.sin(FOUR) ** 2 + math.sin(FIVE) ** 2)
    ),
    "table4": lambda: PD,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_recovers_at_once_is_always_full(variant: str, sequence: Build) -> None:
    found = level(made(variant, sequence), with_map("R1", 1e5), usual(variant))
    torch.testing.assert_close(found, FAST[variant](), rtol=1e-10, atol=0)


# B1: receive and transmit


@pytest.mark.parametrize("variant", VARIANTS)
def test_receive_field_multiplies_and_transmit_field_turns(variant: str, sequence: Build) -> None:
    built, maps, p = made(variant, sequence), tissue_maps(*TISSUES), usual(variant)
    receive = torch.linspace(0, 2, len(TISSUES), dtype=torch.float64).view(1, -1, 1, 1)
    transmit = torch.linspace(0.7, 1.3, len(TISSUES), dtype=torch.float64).view(1, -1, 1, 1)
    plain = built.signal(maps, columns(p))
    factor = torch.ones_like(receive) if variant == "mp2rage" else receive
    torch.testing.assert_close(built.signal(maps, columns(p), receive=receive), plain * factor)
    found = built.signal(maps, columns(p), transmit=transmit)
    for index, share in enumerate(transmit.flatten().tolist()):
        turned = {key: value * share if "angle" in key else value for key, value in p.items()}
        expected = built.signal(maps, columns(turned))
        torch.testing.assert_close(found[:, index], expected[:, index], rtol=1e-12, atol=0)
