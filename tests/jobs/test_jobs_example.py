"""The example slice of an evaluate job: what is in it, how large it is, and that it fails nothing."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
import torch

from mribench.interfaces.task import Task, TaskVolume
from mribench.jobs.example import MAX_BYTES, example_file


class Painted(Task):
    """A task whose label is a painting; nothing of it is called."""

    label = "tissue"

    def build_head(self, encoder):
        raise NotImplementedError

    training_sample = loss = predict = score = build_head


class Restored(Painted):
    """A task whose target is the image."""

    label = None


def volume(shape=(20, 24, 10), label=None, spacing_mm=(1.0, 2.0, 3.0), image=None, fails=False) -> TaskVolume:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, *shape), generator=generator) if image is None else image
    foreground = torch.zeros(image.shape[1:], dtype=torch.bool)
    foreground[3:-3, 3:-3, 1:-1] = True

    def to_native(found: torch.Tensor) -> torch.Tensor:
        if fails:
            raise RuntimeError("no such grid")
        size = label.shape if label is not None else shape
        return torch.nn.functional.interpolate(found[None], size=tuple(size))[0]

    return TaskVolume(
        "sub-01", "ses-1", "T1w", image, foreground, None, label, spacing_mm, spacing_mm, to_native, {}
    )


def read(content: bytes | None) -> dict[str, np.ndarray]:
    assert content is not None
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def painting(shape=(20, 24, 10)) -> np.ndarray:
    """Return classes of which most stand in axial slice 6."""
    classes = np.zeros(shape, np.int64)
    classes[5:8, 5:9, 3] = 1
    classes[5:12, 5:15, 6] = 2
    return classes


def test_a_segmentation_shows_the_slice_with_most_of_the_label():
    classes = painting()
    found = read(example_file(Painted(), volume(label=classes), [], torch.from_numpy(classes)))
    assert bool(found["classes"])
    # the head and two voxels around it; anterior up, the patient's right on the left
    expected = classes[1:19, 1:23, 6].T[::-1, ::-1]
    np.testing.assert_array_equal(found["reference"], expected)
    np.testing.assert_array_equal(found["prediction"], expected)
    assert {found[name].dtype for name in ("input", "reference", "prediction")} == {np.dtype(np.uint8)}
    assert (found["subject"], found["session"], found["sequence"]) == ("sub-01", "ses-1", "T1w")
    np.testing.assert_array_equal(found["pixel_mm"], [2.0, 1.0])


def test_an_image_is_on_the_grey_scale_of_its_reference():
    here = volume()
    noisy = here.image + 0.5
    found = read(example_file(Restored(), here, [noisy], here.image[0]))
    assert not bool(found["classes"])
    np.testing.assert_array_equal(found["reference"], found["prediction"])
    assert found["input"].mean() > found["reference"].mean() + 50
    assert found["reference"].min() == 0
    assert found["reference"].max() == 252


def test_without_a_model_the_prediction_is_the_input():
    here = volume()
    found = read(example_file(Restored(), here, [], here.image[0] * 0.5))
    np.testing.assert_array_equal(found["input"], found["prediction"])


def test_what_the_model_saw_is_brought_to_the_grid_of_the_label():
    here = volume(label=painting(), image=torch.rand((1, 10, 12, 5)))
    found = read(example_file(Painted(), here, [here.image], torch.from_numpy(painting())))
    assert found["input"].shape == found["reference"].shape


@pytest.mark.parametrize("task", [Painted(), Restored()])
def test_a_file_is_small_even_of_noise(task):
    shape = (256, 256, 4)
    label = np.random.default_rng(0).integers(0, 4, shape)
    prediction = torch.from_numpy(label) if task.label else torch.rand(shape)
    content = example_file(task, volume(shape, label=label), [torch.rand((1, *shape))], prediction)
    assert len(content) <= MAX_BYTES
    found = read(content)
    assert found["input"].shape[0] >= 60
    stride = found["pixel_mm"][0] / 2.0
    assert stride == round(stride) > 1
    assert found["pixel_mm"][1] == stride


def test_the_same_scan_makes_the_same_bytes():
    contents = {example_file(Restored(), here, [], here.image[0]) for here in (volume(), volume())}
    assert len(contents) == 1


def test_an_empty_label_shows_the_middle_and_no_head_the_whole():
    classes = np.zeros((20, 24, 10), np.int64)
    here = volume(label=classes)
    here.foreground[:] = False
    found = read(example_file(Painted(), here, [], torch.from_numpy(classes)))
    assert found["reference"].shape == (24, 20)
    np.testing.assert_array_equal(np.unique(found["input"]).size > 10, True)


@pytest.mark.parametrize("prediction", [torch.tensor([0.3, 0.7]), torch.zeros(3, 3, 3)])
def test_a_prediction_that_is_no_picture_makes_none(prediction):
    assert example_file(Restored(), volume(), [], prediction) is None


def test_not_finite_values_are_drawn_black():
    here = volume()
    prediction = here.image[0].clone()
    prediction[:] = torch.nan
    assert read(example_file(Restored(), here, [here.image], prediction))["prediction"].max() == 0


def test_a_picture_that_cannot_be_made_is_said_and_fails_nothing(caplog):
    here = volume(label=painting(), image=torch.rand((1, 10, 12, 5)), fails=True)
    with caplog.at_level(logging.WARNING):
        assert example_file(Painted(), here, [here.image], torch.from_numpy(painting())) is None
    assert "no example of sub-01 T1w: no such grid" in caplog.text


def test_nothing_is_changed_in_what_is_scored():
    classes = painting()
    here = volume(label=classes)
    image, prediction = here.image.clone(), torch.from_numpy(classes.copy())
    example_file(Painted(), here, [here.image], prediction)
    assert torch.equal(here.image, image)
    np.testing.assert_array_equal(prediction.numpy(), painting())
    np.testing.assert_array_equal(classes, painting())
