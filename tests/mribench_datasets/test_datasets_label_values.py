"""Labels that fit no class, or of which part is lost."""

from __future__ import annotations

import numpy as np
import pytest
from imitated import AFFINE, SHAPE, image, mask

from mribench.data.check import check_cohort
from mribench.volumes import Volume, write_volume

STEM = "sub-M1_ses-1"


@pytest.fixture
def arc(build, tmp_path):
    """An ARC folder of one subject, whose mask is to be written."""
    image(tmp_path / "sub-M1" / "ses-1" / "anat" / f"{STEM}_T2w.nii.gz")
    path = (
        tmp_path
        / "derivatives"
        / "lesion_masks"
        / "sub-M1"
        / "ses-1"
        / "anat"
        / f"{STEM}_desc-lesion_mask.nii.gz"
    )
    mask(path)
    return tmp_path, path, lambda: check_cohort("arc", build("arc", root=tmp_path))


def kinds(check):
    return [reason.kind for reason in check.remarks]


def test_a_sound_mask_is_no_remark(arc):
    _, _, check = arc
    found = check()
    assert found.usable
    assert kinds(found) == []


def test_a_mask_whose_values_fit_no_class_is_refused(arc):
    _, path, check = arc
    data = np.zeros(SHAPE)
    data[3:6, 3:6, 3:6] = 1 / 255  # a slope that was applied twice
    write_volume(path, Volume(data, AFFINE))
    (problem,) = check().problems
    assert problem == f"{path} has no value above 0.00392: no voxel belongs to a class (above 0.5)"


def test_an_empty_mask_and_one_turned_inside_out_are_remarked(arc):
    _, path, check = arc
    write_volume(path, Volume(np.zeros(SHAPE), AFFINE))
    assert kinds(check()) == ["empty label"]
    mask(path)
    inverted = np.ones(SHAPE)
    inverted[3:6, 3:6, 3:6] = 0
    write_volume(path, Volume(inverted, AFFINE))
    found = check()
    assert kinds(found) == ["label of most of the volume"]
    assert "covers 99% of its field of view" in found.remarks[0].sentences[0]


def test_what_is_lost_of_a_mask_beyond_an_image_is_said(arc):
    root, path, check = arc
    higher = AFFINE.copy()
    higher[2, 3] += 4 * 4.0  # the lesion reaches from voxel 3 to 5, the image begins at 4
    flair = image(
        root / "sub-M1" / "ses-1" / "anat" / f"{STEM}_FLAIR.nii.gz", affine=higher, shape=(12, 13, 6)
    )
    found = check()
    assert found.usable
    (sentence,) = found.remarks[0].sentences
    assert sentence == f"33% of the label {path} lies outside of the field of view of {flair}"
    higher[2, 3] += 2 * 4.0
    image(flair, affine=higher, shape=(12, 13, 6))
    (problem,) = check().problems
    assert problem == f"no voxel of the label {path} lies in the field of view of {flair}"


def test_posteriors_of_one_class_three_times_are_refused(build, tmp_path):
    core = "IXI002-Guys-0828-T1"
    image(tmp_path / f"{core}.nii.gz")
    share = np.full(SHAPE, 0.9)
    for tissue in "123":
        write_volume(tmp_path / f"c{tissue}{core}.nii", Volume(share, AFFINE))
    (problem,) = check_cohort("ixi", build("ixi", root=tmp_path)).problems
    assert "add up to 2.7 in a voxel" in problem
