"""Draws of the acquisition parameters by profile, reasons of impossible ones, and the redraw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from mribench_views import sampling
from mribench_views.acquisition import draw_valid
from mribench_views.sequences import Mprage, MprageOptions
from scipy import stats

from mribench.errors import ConfigError

N = 1500


def log_uniform(low: float, high: float) -> Any:
    return stats.loguniform(low, high)


def uniform(low: float, high: float) -> Any:
    return stats.uniform(low, high - low)


EXPECTED: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("corrected", "fse"): {"te_s": log_uniform(0.005, 0.15), "tr_s": log_uniform(0.5, 8)},
    ("paper", "fse"): {"te_s": log_uniform(0.001, 3), "tr_s": log_uniform(0.001, 3)},
    ("as-released", "fse"): {"te_s": log_uniform(0.02, 0.15), "tr_s": log_uniform(2, 8)},
    ("corrected", "gre"): {
        "te_s": log_uniform(0.002, 0.04), "tr_s": log_uniform(0.005, 2), "flip_angle_deg": uniform(5, 60),
    },
    ("paper", "gre"): {
        "te_s": log_uniform(0.002, 0.08), "tr_s": log_uniform(0.005, 5), "flip_angle_deg": uniform(5, 50),
    },
    ("as-released", "spgr"): {
        "te_s": log_uniform(0.002, 0.08), "tr_s": log_uniform(0.005, 0.8), "flip_angle_deg": uniform(5, 50),
    },
    ("corrected", "flair"): {
        "te_s": log_uniform(0.02, 0.15), "tr_s": uniform(4, 11), "ti_s": uniform(1.2, 3),
    },
    ("paper", "flair"): {
        "te_s": log_uniform(0.02, 0.1), "tr_s": log_uniform(0.001, 5), "ti_s": log_uniform(0.001, 3),
    },
    ("as-released", "flair"): {
        "te_s": stats.lognorm(s=0.1 * math.log(10), scale=0.02), "tr_s": log_uniform(0.001, 5),
        "ti_s": log_uniform(0.001, 3),
    },
    ("corrected", "mprage"): {
        "te_s": uniform(0.002, 0.004), "tr_s": uniform(1.8, 2.6), "ti_s": uniform(0.6, 1.2),
        "tx_s": uniform(0.005, 0.01), "flip_angle_deg": uniform(5, 12),
        "inversion_efficiency": uniform(0.8, 1),
    },
    ("paper", "mprage"): {
        "te_s": uniform(0.002, 0.004), "tr_s": stats.norm(2.3, 0.23), "ti_s": uniform(0.6, 0.9),
        "tx_s": uniform(0.004, 0.008), "flip_angle_deg": uniform(5, 12),
    },
    ("as-released", "mprage"): {
        "te_s": uniform(0.002, 0.004), "tr_s": uniform(1.9, 2.5), "ti_s": uniform(0.6, 1.2),
        "tx_s": uniform(0.004, 0.008), "flip_angle_deg": uniform(5, 12), "n_excitations": uniform(100, 200),
        "inversion_efficiency": uniform(0.8, 1),
    },
    ("corrected", "mp2rage"): {
        "tr_s": uniform(4.5, 8.25), "ti1_s": uniform(0.6, 1), "ti2_s": uniform(2.2, 3.2),
        "tx_s": uniform(0.005, 0.0075), "flip_angle1_deg": uniform(3, 7), "flip_angle2_deg": uniform(3, 7),
        "inversion_efficiency": uniform(0.9, 1),
    },
    ("as-released", "mp2rage"): {
        "tr_s": stats.norm(2.3, 0.23), "ti1_s": uniform(0.6, 0.9), "ti2_s": stats.norm(2.2, 0.22),
        "tx_s": stats.lognorm(s=0.5 * math.log(10), scale=0.0058), "flip_angle1_deg": uniform(3, 6),
        "flip_angle2_deg": uniform(3, 6),
    },
}  # fmt: skip


def draws(built: Any, count: int = N) -> list[dict[str, float]]:
    rng = torch.Generator().manual_seed(7)
    return [built.draw(rng) for _ in range(count)]


@pytest.mark.parametrize(("profile", "name"), EXPECTED)
def test_parameters_have_the_stated_distributions(
    profile: str, name: str, sequence: Callable[..., Any]
) -> None:
    drawn = draws(sequence(name, profile=profile))
    for parameter, distribution in EXPECTED[profile, name].items():
        values = np.array([draw[parameter] for draw in drawn])
        assert stats.kstest(values, distribution.cdf).pvalue > 1e-4, parameter
        low, high = distribution.support()
        assert low <= values.min(), parameter
        assert values.max() <= high, parameter


def test_whole_and_constant_parameters(sequence: Callable[..., Any]) -> None:
    def values(name: str, profile: str, parameter: str) -> set[float]:
        return {draw[parameter] for draw in draws(sequence(name, profile=profile))}

    assert values("mprage", "corrected", "n_excitations") == {float(n) for n in range(100, 201)}
    assert values("mp2rage", "corrected", "n_excitations") == {float(n) for n in range(100, 177)}
    assert values("mprage", "paper", "n_excitations") == {160.0}
    assert values("mprage", "paper", "inversion_efficiency") == {0.96}
    assert len(values("mprage", "as-released", "n_excitations")) == N
    released = values("mp2rage", "as-released", "n_excitations")
    assert all(value == int(value) for value in released)
    assert np.mean(list(released)) == pytest.approx(160, abs=8)
    assert max(values("mp2rage", "as-released", "inversion_efficiency")) <= 1


def test_normal_reflects_at_zero_and_at_its_ceiling() -> None:
    rng = torch.Generator().manual_seed(0)
    near_zero = [sampling.Normal(0.0, 1.0).draw(rng) for _ in range(500)]
    assert min(near_zero) >= 0
    assert np.mean(near_zero) == pytest.approx(math.sqrt(2 / math.pi), abs=0.12)
    below_one = [sampling.Normal(1.0, 0.05, ceiling=1.0).draw(rng) for _ in range(500)]
    assert max(below_one) <= 1
    assert 1 - np.mean(below_one) == pytest.approx(0.05 * math.sqrt(2 / math.pi), abs=0.006)


@pytest.mark.parametrize("name", ["fse", "gre", "flair", "mprage", "mp2rage"])
def test_corrected_draws_are_nearly_all_possible(name: str, sequence: Callable[..., Any]) -> None:
    built = sequence(name)
    drawn = draws(built, 400)
    assert sum(bool(built.invalid(draw)) for draw in drawn) < 0.2 * len(drawn)
    if name in ("fse", "flair"):
        assert not any(built.timing_problem(draw) for draw in drawn)


def test_as_released_checks_nothing(sequence: Callable[..., Any]) -> None:
    impossible = {"te_s": 2.0, "tr_s": 0.1, "ti_s": 3.0}
    assert sequence("flair", profile="as-released").invalid(impossible) == ""
    assert sequence("flair", profile="as-released").problem(impossible) != ""
    assert "te_s 2 is not below tr_s 0.1" in sequence("flair", profile="paper").invalid(impossible)


GOOD = {
    "te_s": 0.003, "tr_s": 2.3, "ti_s": 0.9, "tx_s": 0.006, "flip_angle_deg": 9.0,
    "n_excitations": 160.0, "inversion_efficiency": 0.96,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"te_s": 2.4}, "te_s"),
        ({"ti_s": 2.4}, "ti_s"),
        ({"te_s": 0.007}, "tx_s"),
        ({"ti_s": 0.4}, "preparation"),
        ({"ti_s": 2.0}, "recovery"),
    ],
)
def test_each_reason_of_an_impossible_mprage(
    changes: dict[str, float], reason: str, sequence: Callable[..., Any]
) -> None:
    problem = sequence("mprage").invalid({**GOOD, **changes})
    assert reason in problem
    assert bool(problem) == bool(reason)


def test_each_reason_of_an_impossible_mp2rage(sequence: Callable[..., Any]) -> None:
    good = {
        "tr_s": 6.0, "ti1_s": 0.8, "ti2_s": 2.5, "tx_s": 0.006, "flip_angle1_deg": 4.0,
        "flip_angle2_deg": 5.0, "n_excitations": 160.0, "inversion_efficiency": 0.96,
    }  # fmt: skip
    built = sequence("mp2rage")
    assert built.invalid(good) == ""
    assert "preparation" in built.invalid({**good, "ti1_s": 0.4})
    assert "waiting" in built.invalid({**good, "ti2_s": 1.7})
    assert "recovery" in built.invalid({**good, "tr_s": 2.9})


def test_flat_images_are_rejected(sequence: Callable[..., Any]) -> None:
    """PD 80 / 70 / 100 differ by 30 %; a short gradient echo at the right angle makes them alike."""
    gre = sequence("gre")
    reasons = [gre.contrast_problem(draw) for draw in draws(gre, 400) if not gre.timing_problem(draw)]
    flat = [reason for reason in reasons if reason]
    assert flat
    assert len(flat) < 0.1 * len(reasons)
    assert all("contrast" in reason for reason in flat)
    dead = {"te_s": 1e6, "tr_s": 1e7}  # no signal left at all
    assert "contrast" in sequence("fse").invalid(dead)


def test_draw_valid_counts_and_gives_up(sequence: Callable[..., Any]) -> None:
    built = sequence("flair", profile="paper")
    rng = torch.Generator().manual_seed(3)
    counts = [draw_valid(built, rng, 1000)[1] for _ in range(300)]
    # geometric: mean rejections p / (1 - p) with p near 0.59
    assert np.mean(counts) == pytest.approx(0.59 / 0.41, abs=0.45)

    class Never(Mprage):
        def invalid(self, parameters: Mapping[str, float]) -> str:
            return "the scanner is switched off"

    never = Never(MprageOptions())
    with pytest.raises(ConfigError, match="6 impossible acquisitions in a row: the scanner is switched off"):
        draw_valid(never, rng, 5)


def test_draws_depend_on_the_generator_alone(sequence: Callable[..., Any]) -> None:
    built = sequence("mprage")
    torch.manual_seed(1)
    first = built.draw(torch.Generator().manual_seed(4))
    torch.manual_seed(2)
    assert built.draw(torch.Generator().manual_seed(4)) == first
    assert built.draw(torch.Generator().manual_seed(5)) != first
