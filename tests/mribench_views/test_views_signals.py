"""Signal equations: golden values of an independent simulator, a pulse-by-pulse simulation, limits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

SEQUENCES = ("fse", "gre", "spgr", "flair", "mprage", "mp2rage")
NAMES = {
    "te": "te_s", "tr": "tr_s", "ti": "ti_s", "ti1": "ti1_s", "ti2": "ti2_s", "tx": "tx_s",
    "fa": "flip_angle_deg", "n": "n_excitations", "eff": "inversion_efficiency",
}  # fmt: skip
TISSUES = {
    "GM": {"PD": 80, "R1": 0.65, "R2s": 18, "MTsat": 0.80, "R2": 11},
    "WM": {"PD": 70, "R1": 1.00, "R2s": 21, "MTsat": 1.60, "R2": 14},
    "CSF": {"PD": 100, "R1": 0.24, "R2s": 2, "MTsat": 0.02, "R2": 0.7},
    "cavity": {"PD": 98, "R1": 0.26, "R2s": 3, "MTsat": 0.05, "R2": 1.2},
    "rim": {"PD": 85, "R1": 0.58, "R2s": 12, "MTsat": 0.50, "R2": 7},
    "fat": {"PD": 90, "R1": 2.6, "R2s": 20, "MTsat": 0.20, "R2": 14},
}
MPRAGE = {
    "te_s": 0.003, "tr_s": 2.3, "ti_s": 0.9, "tx_s": 0.006, "flip_angle_deg": 9.0,
    "n_excitations": 160.0, "inversion_efficiency": 0.96,
}  # fmt: skip
MP2RAGE = {
    "tr_s": 6.0, "ti1_s": 0.8, "ti2_s": 2.5, "tx_s": 0.006, "flip_angle1_deg": 4.0, "flip_angle2_deg": 5.0,
    "n_excitations": 160.0, "inversion_efficiency": 0.96,
}  # fmt: skip
TYPICAL = {
    "fse": {"te_s": 0.09, "tr_s": 5.0},
    "gre": {"te_s": 0.005, "tr_s": 0.03, "flip_angle_deg": 20.0},
    "spgr": {"te_s": 0.005, "tr_s": 0.03, "flip_angle_deg": 20.0},
    "flair": {"te_s": 0.1, "tr_s": 9.0, "ti_s": 2.5},
    "mprage": MPRAGE,
    "mp2rage": MP2RAGE,
}


def columns(values: dict[str, float], dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {name: torch.tensor(float(value), dtype=dtype).view(1, 1, 1, 1) for name, value in values.items()}


def tissue_maps(*names: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {
        key: torch.tensor([float(TISSUES[name][key]) for name in names], dtype=dtype).view(1, -1, 1, 1)
        for key in ("PD", "R1", "R2s", "MTsat", "R2")
    }


def named(raw: dict[str, Any], name: str) -> dict[str, float]:
    """The simulator's parameters under our names; in its MPRAGE TX is twice TE."""
    parameters: dict[str, float] = {}
    for short, value in raw.items():
        if short == "fa" and isinstance(value, list):
            parameters["flip_angle1_deg"], parameters["flip_angle2_deg"] = value
        else:
            parameters[NAMES[short]] = value
    if name == "mprage":
        parameters["tx_s"] = 2 * raw["te"]
    return parameters


def golden_cases(golden_dir: Path, name: str) -> list[tuple[dict[str, float], pd.DataFrame]]:
    table = pd.read_csv(golden_dir / "physics.csv")
    chosen = table[table["sequence"] == name]
    return [(named(json.loads(raw), name), rows) for raw, rows in chosen.groupby("params")]


def golden_maps(rows: pd.DataFrame, dtype: torch.dtype, with_mt: bool) -> dict[str, Tensor]:
    def column(key: str) -> Tensor:
        return torch.tensor(rows[key].to_numpy(copy=True), dtype=dtype).view(-1, 1, 1, 1)

    return {
        "PD": column("pd_pu"),
        "R1": column("r1_per_s"),
        "R2s": column("r2s_per_s"),
        "R2": column("r2s_per_s"),
        "MTsat": column("mtsat_pu") * float(with_mt),
    }


def magnitude(built: Any, maps: dict[str, Tensor], parameters: dict[str, Tensor]) -> Tensor:
    """What the golden file holds: MP2RAGE's ratio before it is moved to 0..1."""
    levels = built.ratio(maps, parameters) if built.name == "mp2rage" else built.signal(maps, parameters)
    return levels.abs().flatten().double()


@pytest.mark.parametrize("name", SEQUENCES)
def test_golden_values_in_float64(name: str, sequence: Callable[..., Any], golden_dir: Path) -> None:
    cases = golden_cases(golden_dir, name)
    assert sum(len(rows) for _, rows in cases) == 16
    for parameters, rows in cases:
        maps = golden_maps(rows, torch.float64, with_mt=name != "gre")
        found = magnitude(sequence(name), maps, columns(parameters))
        expected = torch.tensor(rows["signal"].to_numpy(copy=True)).abs()
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_golden_values_in_float32(name: str, sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, name):
        maps = golden_maps(rows, torch.float32, with_mt=name != "gre")
        found = magnitude(sequence(name), maps, columns(parameters, torch.float32))
        expected = torch.tensor(rows["signal"].to_numpy(copy=True)).abs()
        assert (found - expected).abs().max() <= 1e-4 * expected.max()


def test_golden_values_of_the_printed_mprage(sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, "mprage"):
        maps = golden_maps(rows, torch.float64, with_mt=True)
        found = sequence("mprage", equation="table4").signal(maps, columns(parameters)).flatten()
        expected = torch.tensor(rows["table4_signal"].to_numpy(copy=True))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_released_gre_ignores_mt_and_spgr_does_not(sequence: Callable[..., Any], golden_dir: Path) -> None:
    parameters, rows = golden_cases(golden_dir, "gre")[0]
    maps = golden_maps(rows, torch.float64, with_mt=True)
    released = sequence("gre", profile="as-released").signal(maps, columns(parameters)).flatten()
    torch.testing.assert_close(released, torch.tensor(rows["signal"].to_numpy(copy=True)), rtol=1e-9, atol=0)
    spgr = sequence("spgr", profile="as-released").signal(maps, columns(parameters)).flatten()
    torch.testing.assert_close(
        spgr, torch.tensor(rows["table4_signal"].to_numpy(copy=True)), rtol=1e-9, atol=0
    )
    assert (released > spgr).sum() >= 7  # all tissues but blood have MT


def run_cycles(tissue: dict[str, float], p: dict[str, float], cycles: int = 40) -> tuple[float, float]:
    """Follow the longitudinal magnetisation pulse by pulse; return the two read-outs of the last cycle."""
    r1, n = tissue["R1"], int(p["n_excitations"])
    trains = [(p.get("ti1_s", p.get("ti_s", 0)), p.get("flip_angle1_deg", p.get("flip_angle_deg", 0)))]
    if "ti2_s" in p:
        trains.append((p["ti2_s"], p["flip_angle2_deg"]))
    m, reads = 1.0, [0.0, 0.0]
    for _ in range(cycles):
        m, clock = -p["inversion_efficiency"] * m, 0.0
        for which, (centre_s, angle_deg) in enumerate(trains):
            start = centre_s - n * p["tx_s"] / 2
            m = 1 + (m - 1) * math.exp(-r1 * (start - clock))
            for pulse in range(n):
                # the first train is read at pulse n/2 (counting from 1), the second just before its half
                if pulse == n // 2 - (1 if which == 0 else 0):
                    reads[which] = m * math.sin(math.radians(angle_deg))
                m = 1 + (m * math.cos(math.radians(angle_deg)) - 1) * math.exp(-r1 * p["tx_s"])
            clock = start + n * p["tx_s"]
        m = 1 + (m - 1) * math.exp(-r1 * (p["tr_s"] - clock))
    return reads[0], reads[1]


@pytest.mark.parametrize("tissue", TISSUES)
def test_mprage_is_what_the_pulses_make(tissue: str, sequence: Callable[..., Any]) -> None:
    read, _ = run_cycles(TISSUES[tissue], MPRAGE)
    expected = abs(read) * TISSUES[tissue]["PD"] * math.exp(-TISSUES[tissue]["R2s"] * MPRAGE["te_s"])
    found = sequence("mprage").signal(tissue_maps(tissue), columns(MPRAGE)).item()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("tissue", TISSUES)
def test_mp2rage_is_what_the_pulses_make(tissue: str, sequence: Callable[..., Any]) -> None:
    first, second = run_cycles(TISSUES[tissue], MP2RAGE)
    found = sequence("mp2rage").ratio(tissue_maps(tissue), columns(MP2RAGE)).item()
    assert found == pytest.approx(first * second / (first**2 + second**2), rel=1e-9)


def test_long_tr_and_short_te_leave_proton_density(sequence: Callable[..., Any]) -> None:
    maps = tissue_maps(*TISSUES)
    fse = sequence("fse").signal(maps, columns({"te_s": 0.0, "tr_s": 1e4}))
    torch.testing.assert_close(fse, maps["PD"])
    flair = sequence("flair").signal(maps, columns({"te_s": 0.0, "tr_s": 1e4, "ti_s": 1e3}))
    torch.testing.assert_close(flair, maps["PD"])
    gre = sequence("gre").signal(
        {**maps, "MTsat": 0 * maps["MTsat"]}, columns({"te_s": 0.0, "tr_s": 1e4, "flip_angle_deg": 90.0})
    )
    torch.testing.assert_close(gre, maps["PD"])


def test_gradient_echo_at_ninety_degrees_is_saturation_recovery(sequence: Callable[..., Any]) -> None:
    maps = tissue_maps(*TISSUES)
    found = sequence("gre").signal(maps, columns({"te_s": 0.01, "tr_s": 0.5, "flip_angle_deg": 90.0}))
    kept = 1 - maps["MTsat"] / 100
    expected = maps["PD"] * kept * (1 - torch.exp(-0.5 * maps["R1"])) * torch.exp(-0.01 * maps["R2s"])
    torch.testing.assert_close(found, expected)


def test_gradient_echo_is_brightest_at_the_ernst_angle(sequence: Callable[..., Any]) -> None:
    maps = {**tissue_maps("WM"), "MTsat": torch.zeros(1, 1, 1, 1, dtype=torch.float64)}
    ernst_deg = math.degrees(math.acos(math.exp(-0.03 * TISSUES["WM"]["R1"])))

    def level(angle_deg: float) -> float:
        return sequence("gre").signal(
            maps, columns({"te_s": 0.0, "tr_s": 0.03, "flip_angle_deg": angle_deg})
        ).item()  # fmt: skip

    assert level(ernst_deg) > max(level(ernst_deg - 0.5), level(ernst_deg + 0.5))


def test_flair_nulls_at_its_inversion_time_and_is_a_magnitude(sequence: Callable[..., Any]) -> None:
    tr_s, r1 = 9.0, TISSUES["CSF"]["R1"]
    null_s = -math.log((1 + math.exp(-tr_s * r1)) / 2) / r1
    maps = tissue_maps("CSF", "WM")
    at_null = sequence("flair").signal(maps, columns({"te_s": 0.1, "tr_s": tr_s, "ti_s": null_s})).flatten()
    assert at_null[0] == pytest.approx(0, abs=1e-9)
    assert at_null[1] > 5
    early = columns({"te_s": 0.1, "tr_s": tr_s, "ti_s": null_s / 2})
    assert sequence("flair").signal(maps, early).min() > 0
    assert sequence("flair", profile="as-released").signal(maps, early).min() < 0


@pytest.mark.parametrize(
    ("name", "parameters", "order"),
    [
        ("mprage", MPRAGE, "fat WM GM rim cavity CSF"),
        ("fse", {"te_s": 0.09, "tr_s": 5.0}, "CSF cavity rim GM WM"),
        ("fse", {"te_s": 0.015, "tr_s": 4.0}, "GM WM"),
        ("flair", {"te_s": 0.1, "tr_s": 9.0, "ti_s": 2.5}, "rim GM WM cavity CSF"),
    ],
    ids=["MPRAGE", "T2w", "PDw", "FLAIR"],
)
def test_tissues_are_ordered_as_in_textbooks(
    name: str, parameters: dict[str, float], order: str, sequence: Callable[..., Any]
) -> None:
    levels = sequence(name).signal(tissue_maps(*order.split()), columns(parameters)).flatten()
    assert torch.all(levels[:-1] > levels[1:]), dict(zip(order.split(), levels.tolist(), strict=True))


def test_printed_mprage_has_hardly_any_contrast(sequence: Callable[..., Any]) -> None:
    maps = tissue_maps("WM", "GM")
    printed = sequence("mprage", equation="table4").signal(maps, columns(MPRAGE)).flatten()
    marques = sequence("mprage").signal(maps, columns(MPRAGE)).flatten()
    assert printed[0] / printed[1] < 1.15 < 1.3 < marques[0] / marques[1]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("profile", ["corrected", "as-released"])
def test_air_is_dark_finite_and_has_a_finite_gradient(
    name: str, profile: str, sequence: Callable[..., Any]
) -> None:
    maps = {
        key: torch.cat([values.float(), torch.zeros(1, 1, 1, 1)], dim=1).requires_grad_()
        for key, values in tissue_maps(*TISSUES).items()
    }
    signal = sequence(name, profile=profile).signal(maps, columns(TYPICAL[name], torch.float32))
    assert signal.shape == (1, 7, 1, 1)
    assert signal[0, -1].item() == 0
    assert torch.isfinite(signal).all()
    signal.sum().backward()
    for key, values in maps.items():
        assert values.grad is None or torch.isfinite(values.grad).all(), key
    assert maps["R1"].grad is not None
    assert maps["R1"].grad[0, :-1].abs().min() > 0


@pytest.mark.parametrize("name", SEQUENCES)
def test_signal_is_never_negative(name: str, sequence: Callable[..., Any]) -> None:
    built = sequence(name)
    rng = torch.Generator().manual_seed(1)
    for _ in range(50):
        assert built.signal(tissue_maps(*TISSUES), columns(built.draw(rng))).min() >= 0


@pytest.mark.parametrize("name", ["fse", "flair"])
def test_r2_falls_back_on_a_share_of_r2s(name: str, sequence: Callable[..., Any]) -> None:
    maps = tissue_maps("GM", "WM")
    without = {key: values for key, values in maps.items() if key != "R2"}
    p = columns(TYPICAL[name])

    def level(used: dict[str, Tensor], **options: Any) -> Tensor:
        return sequence(name, **options).signal(used, p)

    torch.testing.assert_close(level(without), level({**maps, "R2": 0.75 * maps["R2s"]}))
    torch.testing.assert_close(level(without, r2_over_r2s=0.5), level({**maps, "R2": 0.5 * maps["R2s"]}))
    assert not torch.allclose(level(maps), level(without))
    released = level(maps, profile="as-released").abs()
    torch.testing.assert_close(released, level({**maps, "R2": maps["R2s"]}))


@pytest.mark.parametrize("name", SEQUENCES)
def test_fields_multiply_signal_and_angle(name: str, sequence: Callable[..., Any]) -> None:
    built, maps, p = sequence(name), tissue_maps("GM", "WM", "CSF"), columns(TYPICAL[name])
    receive = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).view(1, 3, 1, 1)
    plain = built.signal(maps, p)
    factor = torch.ones_like(receive) if name == "mp2rage" else receive
    torch.testing.assert_close(built.signal(maps, p, receive=receive), plain * factor)

    turned = {key: value * 1.2 if "angle" in key else value for key, value in p.items()}
    field = torch.full((1, 3, 1, 1), 1.2, dtype=torch.float64)
    torch.testing.assert_close(built.signal(maps, p, transmit=field), built.signal(maps, turned))
