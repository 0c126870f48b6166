"""What plugins share: positions of tokens, factors of strides."""

from __future__ import annotations

import math

import pytest
import torch

from mribench.networks import embed_positions, list_prime_factors


def test_positions_by_hand() -> None:
    embedded = embed_positions((2, 3, 4), 12)
    assert embedded.shape == (24, 12)
    i, j, k = 1, 2, 3
    slow = 1e4**-0.5
    expected = [
        part
        for place in (i, j, k)
        for part in (math.sin(place), math.sin(place * slow), math.cos(place), math.cos(place * slow))
    ]
    assert embedded[i * 12 + j * 4 + k].tolist() == pytest.approx(expected, abs=1e-6)


def test_every_place_has_its_own_embedding_and_larger_grids_go_on() -> None:
    small, large = embed_positions((2, 2, 2), 18), embed_positions((2, 2, 4), 18)
    assert torch.cdist(large, large).fill_diagonal_(1).min() > 0.1
    assert torch.equal(small.view(2, 2, 2, -1), large.view(2, 2, 4, -1)[:, :, :2])


def test_channels_that_three_axes_do_not_fill_are_0() -> None:
    embedded = embed_positions((2, 2, 2), 16)
    assert torch.equal(embedded[:, :12], embed_positions((2, 2, 2), 12))
    assert not embedded[:, 12:].any()


@pytest.mark.parametrize(
    ("number", "factors"), [(1, []), (2, [2]), (12, [2, 2, 3]), (49, [7, 7]), (97, [97])]
)
def test_prime_factors(number: int, factors: list[int]) -> None:
    assert list_prime_factors(number) == factors
