"""Views that know the class of each voxel: moved as the image is, and images painted by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import ViewRequest

PATCH, SPACING_MM, EDGE = 16, 4.0, 20
Fixture = Callable[..., Any]
ONE = [ViewRequest()]


def ball(batch: int) -> dict[str, Tensor]:
    """Three nested tissues off the middle; the image is 10 times the class, with a skull of 50 around."""
    axis = torch.arange(EDGE, dtype=torch.float32)
    i, j, k = torch.meshgrid(axis, axis, axis, indexing="ij")
    radius = ((i - 8) ** 2 + (j - 10) ** 2 + (k - 11) ** 2).sqrt()
    classes = (radius < 8).float() + (radius < 6) + (radius < 3)
    skull = (radius >= 8) & (radius < 10)
    image = 10 * classes + 50 * skull
    return {name: values.expand(batch, -1, -1, -1).clone() for name, values in
            (("image", image), ("classes", classes))}  # fmt: skip


def test_classes_follow_the_image(generator: Fixture, rngs: Fixture, plain: Fixture) -> None:
    moved = plain(rotation_deg=30.0, flip_probability=0.5, elastic_probability=1.0)
    views = generator("labelled", augment=moved)
    (view,) = views.views(ball(4), ONE, PATCH, SPACING_MM, rngs(4))
    assert view.classes.shape == view.image.shape
    assert view.classes.dtype == torch.int64
    assert set(view.classes.unique().tolist()) == {0, 1, 2, 3}
    for image, classes in zip(view.image, view.classes, strict=True):
        levels = [float(image[classes == number].median()) for number in (1, 2, 3)]
        assert levels[0] < levels[1] < levels[2], "10, 20 and 30 before the image was standardised"
        assert float(image[classes == 2].std()) < 0.35 * (levels[2] - levels[0])


def test_a_labelled_view_is_that_of_augment(generator: Fixture, rngs: Fixture) -> None:
    maps = ball(3)
    (labelled,) = generator("labelled").views(maps, ONE, PATCH, SPACING_MM, rngs(3))
    (plain,) = generator("augment").views({"image": maps["image"]}, ONE, PATCH, SPACING_MM, rngs(3))
    assert torch.equal(labelled.image, plain.image)
    assert torch.equal(labelled.target, plain.target)
    assert plain.classes is None


def test_each_region_has_a_level_of_its_own_and_each_sample_a_contrast(
    generator: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    (view,) = generator("synthseg", augment=plain()).views(ball(64), ONE, PATCH, SPACING_MM, rngs(64))
    levels = torch.tensor(
        [[float(image[classes == n].mean()) for n in (1, 2, 3)]
         for image, classes in zip(view.image, view.classes, strict=True)]
    )  # fmt: skip
    orders = {tuple(row.argsort().tolist()) for row in levels}
    assert len(orders) == 6, "every order of three tissues: nothing of the scan's contrast is left"


def test_the_contrast_is_drawn_and_the_anatomy_is_not(
    generator: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    synthseg = generator("synthseg", augment=plain())
    first, second = (synthseg.views(ball(2), ONE, PATCH, SPACING_MM, rngs(2, start))[0] for start in (0, 50))
    assert torch.equal(first.image, synthseg.views(ball(2), ONE, PATCH, SPACING_MM, rngs(2))[0].image)
    assert not torch.equal(first.image, second.image)
    air = ball(1)["image"][0, :2, :2, :2]
    assert float(air.abs().max()) == 0


def test_more_parts_outside_are_more_levels(generator: Fixture, plain: Fixture) -> None:
    maps = ball(1)
    maps["image"] += 5 * (maps["image"] >= 50) * torch.arange(EDGE)  # a skull that is brighter to one side
    for parts in (1, 4):
        views = generator("synthseg", parts_outside=parts, augment=plain())
        regions = views._find_regions(maps)
        assert set(regions.unique().tolist()) == {0, 1, 2, 3, *range(4, 4 + parts)}


def test_what_is_missing_or_unknown_is_said(generator: Fixture, rngs: Fixture) -> None:
    maps = ball(1)
    with pytest.raises(DataError, match="the map classes is missing; there are only image"):
        generator("labelled").views({"image": maps["image"]}, ONE, PATCH, SPACING_MM, rngs(1))
    with pytest.raises(DataError, match="the label has class 3, and the views know 2"):
        generator("synthseg", classes=2).views(maps, ONE, PATCH, SPACING_MM, rngs(1))
