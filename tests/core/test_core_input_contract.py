"""What an encoder may ask of its input."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mribench.interfaces import InputContract, Intensity


def test_what_is_written_down_is_read_back() -> None:
    for scale in ("z-score", "percentiles", "min-max"):
        contract = InputContract.model_validate({"intensity": {"scale": scale}, "whole_vox": 96})
        assert InputContract.model_validate_json(contract.model_dump_json()) == contract


def test_nothing_is_asked_by_default() -> None:
    assert not InputContract().asks
    assert InputContract(skull_stripped=True).asks


def test_one_contract_is_laid_over_another_by_what_it_says() -> None:
    declared = InputContract(spacing_mm=1, patch_vox=96, multiple_vox=32)
    own = InputContract(spacing_mm=2)
    assert declared.under(own) == InputContract(spacing_mm=2, patch_vox=96, multiple_vox=32)
    assert declared.under(None) == declared


@pytest.mark.parametrize("letters", ["RAS", "LPS", "SPL", "IAR"])
def test_orientations(letters: str) -> None:
    assert InputContract(orientation=letters).orientation == letters


@pytest.mark.parametrize("letters", ["RA", "RRS", "RLS", "ras", "XYZ", "RASI", ""])
def test_what_is_no_orientation(letters: str) -> None:
    with pytest.raises(ValidationError, match="one of R and L"):
        InputContract(orientation=letters)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"scale": "z-score", "to": (0, 2)}, "'to' has no effect"),
        ({"scale": "min-max", "percentiles": (1, 99)}, "'percentiles' has no effect"),
        ({"scale": "percentiles", "percentiles": (99, 1)}, "smaller one first"),
        ({"scale": "percentiles", "to": (1, 1)}, "smaller one first"),
    ],
)
def test_an_intensity_that_contradicts_itself(values: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Intensity.model_validate(values)


def test_edges_that_are_no_multiples() -> None:
    with pytest.raises(ValidationError, match="multiple of multiple_vox 32, got 90"):
        InputContract(patch_vox=90, multiple_vox=32)
    with pytest.raises(ValidationError, match="whole_vox"):
        InputContract(whole_vox=90, multiple_vox=32)
