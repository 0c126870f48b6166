"""MP2RAGE's ratio: bounds, oddness about its null, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mribench_views import signals
from support_physics import MP2RAGE, TISSUES, columns, tissue_maps

Build = Callable[..., Any]


def test_mp2rage_is_bounded_and_half_the_sine_of_twice_an_angle(sequence: Build) -> None:
    """i1 i2 / (i1² + i2²) = sin(2 atan2(i1, i2)) / 2, odd in either image, so from -0.5 to 0.5."""
    rates = torch.logspace(-2, 2, 4001, dtype=torch.float64).view(1, -1, 1, 1)
    p = columns(MP2RAGE)
    ratio = sequence("mp2rage").ratio({"R1": rates}, p).flatten()
    assert ratio.abs().max() <= 0.5
    assert ratio.min() < -0.49  # and the bound is nearly met
    signs = torch.unique_consecutive(ratio.sign()).tolist()
    assert signs == [-1, 1]  # slow tissue is still inverted in the first image, never in the second


def test_mp2rage_of_two_equal_images_is_a_half(sequence: Build) -> None:
    """Without inversion and with the trains in their steady state both images are one; R1 then has no say."""
    p = {**MP2RAGE, "tr_s": 80.0, "ti1_s": 13.0, "ti2_s": 40.0}
    p |= {"n_excitations": 4000.0, "inversion_efficiency": 1e-12}
    p |= {"flip_angle1_deg": 9.0, "flip_angle2_deg": 9.0}
    equal = sequence("mp2rage").ratio(tissue_maps(*TISSUES), columns(p)).flatten()
    torch.testing.assert_close(equal, torch.full_like(equal, 0.5), rtol=1e-9, atol=0)


def test_mp2rage_vanishes_and_changes_sign_where_the_first_image_does() -> None:
    def ratio(r1: float) -> float:
        p = columns(MP2RAGE)
        angles = (torch.deg2rad(p[key]) for key in ("flip_angle1_deg", "flip_angle2_deg"))
        times = (p[key] for key in ("tr_s", "ti1_s", "ti2_s", "tx_s"))
        rate = torch.tensor(r1, dtype=torch.float64)
        return signals.mp2rage(rate, *times, *angles, p["n_excitations"], p["inversion_efficiency"]).item()

    low, high = 0.6, 2.0  # the second image is positive in between
    assert ratio(low) < 0 < ratio(high)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) < 0 else (low, middle)
    assert ratio(low) == pytest.approx(0, abs=1e-12)
    assert ratio(low - 1e-4) == pytest.approx(-ratio(low + 1e-4), rel=1e-3)  # odd about its null


def test_mp2rage_is_shown_from_zero_to_one_and_as_released_folded(sequence: Build) -> None:
    maps, p = tissue_maps(*TISSUES), columns(MP2RAGE)
    ratio = sequence("mp2rage").ratio(maps, p)
    assert ratio.min() < 0 < ratio.max()
    torch.testing.assert_close(sequence("mp2rage").signal(maps, p), ratio + 0.5)
    torch.testing.assert_close(sequence("mp2rage", profile="as-released").signal(maps, p), ratio.abs())
