"""Signal equations: golden values of an independent simulator, Bloch simulations, order of tissues."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from mribench_views.acquisition import draw_valid
from support_physics import BLOCH, MPRAGE, SEQUENCES, TISSUES, TYPICAL, columns, tissue_maps
from torch import Tensor

from mribench.errors import ConfigError

NAMES = {
    "te": "te_s", "tr": "tr_s", "ti": "ti_s", "ti1": "ti1_s", "ti2": "ti2_s", "tx": "tx_s",
    "fa": "flip_angle_deg", "n": "n_excitations", "eff": "inversion_efficiency",
}  # fmt: skip


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
    """The two settings of a sequence, each with its eight tissues."""
    table = pd.read_csv(golden_dir / "physics.csv")
    chosen = table[table["sequence"] == name]
    cases = [(named(json.loads(raw), name), rows) for raw, rows in chosen.groupby("params")]
    assert [len(rows) for _, rows in cases] == [8, 8]
    assert all(rows["setting"].nunique() == 1 and rows["tissue"].is_unique for _, rows in cases)
    return cases


def test_the_golden_file_has_96_rows_of_the_six_sequences(golden_dir: Path) -> None:
    table = pd.read_csv(golden_dir / "physics.csv")
    assert len(table) == 96
    assert set(table["sequence"]) == set(SEQUENCES)
    assert table["signal"].abs().min() > 1e-6, "a value of 0 would be matched by nothing"


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


def signed(name: str, sequence: Callable[..., Any], maps: dict[str, Tensor], p: dict[str, Tensor]) -> Tensor:
    """What the golden file holds: FLAIR with its sign, MP2RAGE's ratio as a magnitude."""
    if name == "flair":
        built = sequence("flair", defects=["signed-flair"])
        assert torch.equal(built.signal(maps, p).abs(), sequence("flair").signal(maps, p))
        return built.signal(maps, p).flatten()
    if name == "mp2rage":
        return sequence(name).ratio(maps, p).abs().flatten()
    return sequence(name).signal(maps, p).flatten()


def expected_of(rows: pd.DataFrame, column: str = "signal") -> Tensor:
    return torch.tensor(rows[column].to_numpy(copy=True))


@pytest.mark.parametrize("name", SEQUENCES)
def test_golden_values_in_float64(name: str, sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, name):
        maps = golden_maps(rows, torch.float64, with_mt=name != "gre")
        found = signed(name, sequence, maps, columns(parameters))
        # the simulator rounds MP2RAGE's angle; the others agree to the last digits
        rtol = 1e-6 if name == "mp2rage" else 1e-10
        torch.testing.assert_close(found, expected_of(rows), rtol=rtol, atol=0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_golden_values_in_float32(name: str, sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, name):
        maps = golden_maps(rows, torch.float32, with_mt=name != "gre")
        found = signed(name, sequence, maps, columns(parameters, torch.float32))
        assert found.dtype == torch.float32
        expected = expected_of(rows)
        assert found.shape == expected.shape
        assert (found.double() - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_golden_values_of_the_printed_mprage(sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, "mprage"):
        maps = golden_maps(rows, torch.float64, with_mt=True)
        found = sequence("mprage", equation="table4").signal(maps, columns(parameters)).flatten()
        torch.testing.assert_close(found, expected_of(rows, "table4_signal"), rtol=1e-12, atol=0)


def test_released_gre_ignores_mt_and_spgr_does_not(sequence: Callable[..., Any], golden_dir: Path) -> None:
    for parameters, rows in golden_cases(golden_dir, "gre"):
        maps = golden_maps(rows, torch.float64, with_mt=True)
        released = sequence("gre", profile="as-released").signal(maps, columns(parameters)).flatten()
        torch.testing.assert_close(released, expected_of(rows), rtol=1e-12, atol=0)
        with_mt = expected_of(rows, "table4_signal")
        for name, profile in (("spgr", "as-released"), ("spgr", "corrected"), ("gre", "corrected")):
            found = sequence(name, profile=profile).signal(maps, columns(parameters)).flatten()
            torch.testing.assert_close(found, with_mt, rtol=1e-12, atol=0)
        assert (released > with_mt).sum() == 7  # all tissues but blood have MT


def bloch(name: str, tissue: str, parameters: dict[str, float], transmit: float) -> float:
    """What the pulses make of a tissue, by the displayed signal's own convention."""
    level = BLOCH[name](TISSUES[tissue], parameters, transmit)
    return level if name == "mp2rage" else abs(level) * TISSUES[tissue]["PD"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SEQUENCES)
def test_signal_is_what_the_pulses_make(name: str, seed: int, sequence: Callable[..., Any]) -> None:
    """Usual parameters, then drawn ones; the flip angle turned by B1⁺ where the sequence knows of it."""
    built = sequence(name)
    rng = torch.Generator().manual_seed(seed)
    p = dict(TYPICAL[name]) if seed == 0 else draw_valid(built, rng, 1000)[0]
    if seed == 1 and "n_excitations" in p:
        p["n_excitations"] = 2 * (p["n_excitations"] // 2) - 1  # odd: ⌊n/2⌋ is not the middle
    transmit = 1 + 0.1 * seed
    field = torch.full((1, len(TISSUES), 1, 1), transmit, dtype=torch.float64)
    maps = tissue_maps(*TISSUES)
    if name == "mp2rage":
        found = built.ratio(maps, columns(p), field)
    else:
        found = built.signal(maps, columns(p), 1.0, field)
    expected = torch.tensor([bloch(name, tissue, p, transmit) for tissue in TISSUES], dtype=torch.float64)
    torch.testing.assert_close(found.flatten(), expected, rtol=1e-9, atol=1e-12)


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


def test_printed_mprage_has_hardly_any_contrast(sequence: Callable[..., Any], golden_dir: Path) -> None:
    """White over grey matter: 1.08 as the paper prints it, 1.54 by Marques' equation."""
    (parameters, rows) = next(case for case in golden_cases(golden_dir, "mprage") if case[0]["tr_s"] == 2.3)
    maps, p = golden_maps(rows, torch.float64, with_mt=True), columns(parameters)
    white, grey = (rows["tissue"].tolist().index(name) for name in ("WM", "GM"))
    printed = sequence("mprage", equation="table4").signal(maps, p).flatten()
    marques = sequence("mprage").signal(maps, p).flatten()
    assert (printed[white] / printed[grey]).item() == pytest.approx(1.08, abs=0.005)
    assert (marques[white] / marques[grey]).item() == pytest.approx(1.54, abs=0.005)


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


@pytest.mark.parametrize("share", [0.0, 1.01])
def test_r2_is_a_share_of_r2s_above_nothing_and_at_most_all(
    share: float, sequence: Callable[..., Any]
) -> None:
    """R2* = R2 + R2' cannot be below R2."""
    with pytest.raises(ConfigError, match="r2_over_r2s"):
        sequence("fse", r2_over_r2s=share)
