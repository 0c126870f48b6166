"""Where voxels lie, and what is doubtful about it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mribench.volumes.grids import find_grid_remarks, read_grid_of, share_outside, sheared
from mribench.volumes.nifti_file import Grid

AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -22], [0, 0, 2, -18], [0, 0, 0, 1]])
SHAPE = (8, 9, 10)


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))


def moved(*by: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, 3] += by
    return affine


def put(
    path: Path, affine: np.ndarray = AFFINE, qform: np.ndarray | None = None, codes: tuple[int, int] = (1, 1),
    shape: tuple[int, int, int] = SHAPE,
) -> Path:  # fmt: skip
    image = nib.Nifti1Image(np.random.default_rng(0).random(shape, np.float32), affine)
    image.set_sform(affine, codes[1])
    image.set_qform(affine if qform is None else qform, codes[0])
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("codes", "qform", "words"),
    [
        ((1, 1), AFFINE, ""),
        ((1, 1), moved(0.2, 0, 0), ""),  # a fifth of a voxel
        ((1, 0), AFFINE, ""),
        ((0, 2), moved(10, 0, 0), ""),  # nobody reads a qform without a code
        ((1, 2), moved(10, -5, 3), "qform and an sform that lie up to 11.6 mm apart: the sform is used"),
        ((0, 0), AFFINE, "neither qform nor sform"),
    ],
)
def test_qform_and_sform(tmp_path, codes, qform, words):
    path = put(tmp_path / "a.nii", qform=qform, codes=codes)
    said = list(find_grid_remarks([path], [], []).values())
    if not words:
        assert said == []
        return
    (sentence,) = said
    assert sentence.startswith(f"{path} has ")
    assert words in sentence
    assert sentence in find_grid_remarks([put(tmp_path / "b.nii")], [path], []).values()


@pytest.mark.parametrize(
    ("affine", "distance"),
    [
        (np.diag([1.0, 1.0, 2.0, 1.0]), "34.8"),
        (AFFINE @ np.diag([-1.0, 1.0, 1.0, 1.0]) + np.eye(4)[0][:, None] * [0, 0, 0, -7.0], "7.0"),
        (moved(0, 5, 0), "5.0"),
    ],
    ids=["no affine", "mirrored", "moved"],
)
def test_a_label_of_the_images_shape_that_lies_elsewhere(tmp_path, affine, distance):
    image, label = put(tmp_path / "i.nii"), put(tmp_path / "m.nii", affine)
    (sentence,) = find_grid_remarks([image], [label], []).values()
    assert sentence.startswith(f"{label} has the shape of {image}, and lies up to {distance} mm elsewhere")


def test_a_label_on_another_images_grid_or_of_another_shape_is_where_it_says(tmp_path):
    image, label = put(tmp_path / "t1.nii"), put(tmp_path / "m.nii", moved(0, 5, 0))
    drawn_on = put(tmp_path / "t2.nii", moved(0, 5, 0))
    assert find_grid_remarks([image], [label], [image, drawn_on]) == {}
    other = put(tmp_path / "n.nii", moved(0, 5, 0), shape=(8, 9, 5))
    assert find_grid_remarks([image], [other], []) == {}
    almost = put(tmp_path / "o.nii", moved(0, 0.1, 0))
    assert find_grid_remarks([image], [almost], []) == {}


@pytest.mark.parametrize(("degrees", "refused"), [(90, False), (89.8, False), (89, True), (60, True)])
def test_distances_need_perpendicular_axes(tmp_path, degrees, refused):
    affine = np.eye(4)
    affine[:2, 1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(np.random.default_rng(0).random(SHAPE, np.float32), affine)
    image.set_sform(affine, 2)
    nib.save(image, path)
    problem = read_grid_of([path], [])
    if refused:
        assert problem.startswith(f"{path} has a sheared grid, axes that are {degrees:.1f}° apart")
        assert sheared(affine) in problem
    else:
        assert problem == ""
    assert read_grid_of([path], [], measured=False) == ""
    turned = np.diag([1.0, 1.0, 1.0, 1.0])
    turned[:3, :3] = np.linalg.qr(np.random.default_rng(1).random((3, 3)))[0] @ np.diag([1, 2, 3])
    assert sheared(turned) == ""


def test_the_share_outside_of_a_field_of_view():
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 3:5, 2:8] = True
    half = AFFINE.copy()
    half[2, 3] += 2 * 5  # begins five voxels higher
    assert share_outside(mask, AFFINE, Grid(SHAPE, AFFINE)) == 0
    assert share_outside(mask, AFFINE, Grid((8, 9, 5), half)) == pytest.approx(0.5)
    assert share_outside(mask, AFFINE, Grid(SHAPE, moved(500, 0, 0))) == 1
    assert share_outside(np.zeros(SHAPE, bool), AFFINE, Grid(SHAPE, AFFINE)) == 0
