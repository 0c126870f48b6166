"""Views of two real sequences of one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mribench.errors import DataError
from mribench.interfaces import SampleOrigin, ViewRequest

PATCH, SPACING_MM = 12, 4.0
PAIR = [ViewRequest(), ViewRequest()]
Fixture = Callable[..., Any]


def images(edge: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(3, edge, edge, edge, generator=generator) for name in ("image", "image_2")}


def test_each_view_is_that_of_its_own_image(generator: Fixture, rngs: Fixture) -> None:
    """The first view is that of ``augment`` on the first image, the second on the second, bit for bit."""
    paired, single = generator("seqinv-real"), generator("augment")
    maps = images(paired.source_vox(PATCH))
    made = paired.views(maps, PAIR, PATCH, SPACING_MM, rngs(3))
    for number, name in enumerate(("image", "image_2")):
        alone = single.views({"image": maps[name]}, PAIR, PATCH, SPACING_MM, rngs(3))[number]
        assert torch.equal(made[number].image, alone.image)
        assert torch.equal(made[number].target, alone.target)
        assert made[number].parameters == alone.parameters


def test_views_say_which_sequence_they_show(generator: Fixture, rngs: Fixture) -> None:
    paired = generator("seqinv-real")
    origins = [
        SampleOrigin(f"here:{place}", sequence=first, paired=(second,))
        for place, (first, second) in enumerate([("T1w", "T2w"), ("T2w", "T1w"), ("PDw", "T1w")])
    ]
    maps, requests = images(paired.source_vox(PATCH)), [*PAIR, ViewRequest("local", 0.5)]
    made = paired.views_from(origins, maps, requests, PATCH, SPACING_MM, rngs(3))
    assert [view.sequences for view in made] == [
        ["T1w", "T2w", "PDw"], ["T2w", "T1w", "T1w"], ["T1w", "T2w", "PDw"],
    ]  # fmt: skip


def test_one_image_is_not_enough(generator: Fixture, rngs: Fixture) -> None:
    paired = generator("seqinv-real")
    maps = {"image": images(paired.source_vox(PATCH))["image"]}
    with pytest.raises(DataError, match="the map image_2 is missing; there are only image"):
        paired.views(maps, PAIR, PATCH, SPACING_MM, rngs(3))
