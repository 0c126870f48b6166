"""Odd files in a user's own cohorts: each is used as it is meant, or named in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from imitated import AFFINE, SHAPE, image, mask

from mribench.data.inspection import find_unusable
from mribench.data.task_recipes import load_task_volume
from mribench.interfaces import TaskRef
from mribench.volumes import Volume, write_volume

SMALL = (6, 7, 7)
SMALL_AFFINE = np.diag([8.0, 8.0, 8.0, 1.0])
SMALL_AFFINE[:3, 3] = 2.0


def put(folder: Path, label: Any = None) -> dict[str, Any]:
    """Write a person's image, and return the options of a table and of a BIDS folder that have the label."""
    image(folder / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    seg = folder / "derivatives" / "seg" / "sub-1_dseg.nii.gz"
    seg.parent.mkdir(parents=True, exist_ok=True)
    if callable(label):
        label(seg)
    (folder / "scans.csv").write_text(
        "subject,sequence,image,label\n1,T1w,sub-1/anat/sub-1_T1w.nii.gz,derivatives/seg/sub-1_dseg.nii.gz\n"
    )
    return {
        "table": {"table": str(folder / "scans.csv")},
        "bids": {"root": str(folder), "labels": {"label": "*_dseg"}},
    }


def several_volumes(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 3), np.float32) / 3, AFFINE), path)


def elsewhere(path: Path) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] = 5000
    write_volume(path, Volume(np.eye(6)[None].repeat(6, 0), affine), np.uint8)


@pytest.mark.parametrize("kind", ["table", "bids"])
@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (several_volumes, "sub-1_dseg.nii.gz holds more than one volume, shape 12x13x14x3"),
        (elsewhere, "do not overlap"),
        (lambda path: path.write_bytes(b""), "sub-1_dseg.nii.gz is empty"),
        (lambda path: path.write_bytes(b"no NIfTI at all"), "sub-1_dseg.nii.gz cannot be read as NIfTI"),
        (lambda path: mask(path, 0.4), "no voxel belongs to a class"),
    ],
    ids=["several volumes", "elsewhere", "empty file", "no image", "below one half"],
)
def test_a_label_that_cannot_be_used_is_named(build, tmp_path, kind, label, sentence):
    dataset = build(kind, **put(tmp_path, label)[kind])
    (subject,) = dataset.subjects()
    (said,) = find_unusable(dataset, subject, "test")
    assert sentence in said


@pytest.mark.parametrize("kind", ["table", "bids"])
def test_an_empty_mask_is_no_problem_and_remarked(build, tmp_path, kind):
    dataset = build(kind, **put(tmp_path, lambda path: mask(path, 0.0))[kind])
    (subject,) = dataset.subjects()
    assert find_unusable(dataset, subject, "test") == []
    values = dataset.check_values(subject.scans[0])
    assert list(values.remarks) == ["empty label"]
    assert values.numbers == {"label": ()}


@pytest.mark.parametrize("kind", ["table", "bids"])
def test_a_label_on_another_grid_is_brought_to_the_images(build, registry, tmp_path, kind):
    numbers = np.zeros(SMALL)
    numbers[1:3, 1:3, 1:3], numbers[4, 4, 4] = 3, 41
    options = put(tmp_path, lambda path: write_volume(path, Volume(numbers, SMALL_AFFINE), np.int16))
    dataset = build(kind, **options[kind])
    (subject,) = dataset.subjects()
    assert find_unusable(dataset, subject, "test") == []
    reference = TaskRef.model_validate({"name": "segmentation", "classes": {"a": 3, "b": 41}})
    task = registry.resolve(reference, "test", "corrected").make()
    volume, source = load_task_volume(dataset, subject, subject.scans[0], task, None)
    assert source == "own"
    assert volume.native_label is not None
    assert volume.native_label.shape == SHAPE
    assert np.bincount(volume.native_label.ravel()).tolist() == [int(np.prod(SHAPE)) - 72, 64, 8]
    assert volume.native_label[2:6, 2:6, 2:6].min() == volume.native_label[2:6, 2:6, 2:6].max() == 1
