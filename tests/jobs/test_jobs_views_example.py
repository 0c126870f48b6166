"""The picture of a pretraining's first views: what is in it, how large it is, and that it fails nothing."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
import torch

from mribench.interfaces.views import SampleOrigin, View
from mribench.jobs.example import MAX_BYTES
from mribench.jobs.views_example import views_file


def views(samples: int = 6, count: int = 2, edge: int = 12) -> list[View]:
    """Views whose middle slice is a ramp along the first axis, brighter than the slices around it."""
    found = []
    for number in range(count):
        image = torch.zeros(samples, 1, edge, edge, edge)
        image[:, 0, :, :, edge // 2] = torch.arange(edge, dtype=torch.float32)[:, None] * (1 + number)
        names = [f"seq{number}{sample}" for sample in range(samples)]
        found.append(
            View(image, image, sequences=names, origins=[SampleOrigin(f"sub-{k}") for k in range(samples)])
        )
    return found


def read(content: bytes | None) -> dict[str, np.ndarray]:
    assert content is not None
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def test_the_middle_axial_slices_of_the_first_samples_are_kept() -> None:
    found = read(views_file(views, 2.0))
    assert sorted(found) == ["pixel_mm", "sequences", "subjects", "view0", "view1"]
    assert found["view0"].shape == found["view1"].shape == (4, 12, 12)
    assert found["subjects"].tolist() == ["sub-0", "sub-1", "sub-2", "sub-3"]
    assert found["sequences"].tolist()[2] == ["seq02", "seq12"]
    assert found["pixel_mm"].tolist() == [2.0, 2.0]
    # the first axis points to the patient's left, which is shown on the right of a mirrored picture
    plane = found["view0"][0].astype(int)
    assert (plane == plane[0]).all(), "the ramp runs along the columns"
    assert plane[0, 0] > plane[0, -1]
    np.testing.assert_array_equal(found["view0"], found["view1"], "each slice has its own grey scale")


def test_local_views_of_another_size_and_more_than_four_are_bounded() -> None:
    def many() -> list[View]:
        return [*views(3, 2, 16), *views(3, 6, 8)]

    found = read(views_file(many, 1.0))
    assert [name for name in sorted(found) if name.startswith("view")] == ["view0", "view1", "view2", "view3"]
    assert found["view0"].shape == (3, 16, 16)
    assert found["view2"].shape == (3, 8, 8)
    assert found["sequences"].shape == (3, 4)


@pytest.mark.parametrize("edge", [24, 160])
def test_a_file_is_small_even_of_noise(edge: int) -> None:
    def noisy() -> list[View]:
        image = torch.rand(4, 1, edge, edge, 3, generator=torch.Generator().manual_seed(0))
        return [View(image, image, sequences=["fse"] * 4, origins=list(map(SampleOrigin, "abcd")))] * 2

    content = views_file(noisy, 1.0)
    assert len(content or b"") <= MAX_BYTES
    found = read(content)
    stride = found["pixel_mm"][0]
    assert found["view0"].shape == (4, -(-edge // int(stride)), -(-edge // int(stride)))
    assert (stride == 1) == (edge == 24)


def test_a_generator_that_names_nothing_still_has_a_picture() -> None:
    def unnamed() -> list[View]:
        image = torch.rand(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
        return [View(image, image, origins=[SampleOrigin("a"), SampleOrigin("b")])]

    assert read(views_file(unnamed, 1.0))["sequences"].tolist() == [[""], [""]]


def test_a_picture_that_cannot_be_made_is_said_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[View]:
        raise RuntimeError("out of voxels")

    with caplog.at_level(logging.WARNING):
        assert views_file(broken, 1.0) is None
    assert "no picture of the views: out of voxels" in caplog.text
    flat = torch.zeros(2, 1, 8, 8)  # a 2D method's
    assert views_file(lambda: [View(flat, flat)], 1.0) is None


def test_nothing_is_changed_in_what_is_trained_on() -> None:
    made = views()
    before = made[0].image.clone()
    views_file(lambda: made, 1.0)
    torch.testing.assert_close(made[0].image, before, rtol=0, atol=0)


def test_not_finite_values_are_drawn_black() -> None:
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    image[0, 0, 0, 0, 4] = float("nan")
    found = read(views_file(lambda: [View(image, image, origins=[SampleOrigin("a")])], 1.0))
    assert found["view0"].dtype == np.uint8
