"""Images that are there more than once."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mribench.data.inspection import digest_voxels, inspect_file
from mribench.data.twins import SeenImages
from mribench.interfaces import Scan, Subject
from mribench.volumes import Volume, write_volume


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))


def image(path: Path, seed: int = 0, affine: np.ndarray | None = None, dtype: type = np.int16) -> Path:
    data = np.random.default_rng(seed).integers(0, 500, (6, 7, 8))
    write_volume(path, Volume(data, np.eye(4) if affine is None else affine), dtype)
    return path


def person(name: str, *paths: Path) -> Subject:
    scans = tuple(Scan(f"s{i}", {"image": path}) for i, path in enumerate(paths))
    return Subject("a", name, "here", scans)


def test_voxels_are_the_same_whatever_the_file_is_like(tmp_path):
    first = inspect_file(image(tmp_path / "a.nii.gz"))
    turned = np.diag([-2.0, 1.0, 1.0, 1.0])
    moved = nib.load(tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(moved.dataobj[::-1], turned), tmp_path / "turned.nii.gz")
    for path in (
        image(tmp_path / "b.nii"),
        image(tmp_path / "c.nii.gz", dtype=np.float32),
        image(tmp_path / "d.nii.gz", affine=np.diag([2.0, 2.0, 2.0, 1.0])),
        tmp_path / "turned.nii.gz",
    ):
        found = inspect_file(path)
        assert found.voxels == first.voxels
        assert found.digest != first.digest
    assert inspect_file(image(tmp_path / "e.nii.gz", seed=1)).voxels != first.voxels
    assert inspect_file(tmp_path / "a.nii.gz", is_label=True).voxels == ""


def test_a_subjects_images_by_their_voxels(tmp_path):
    one, two = image(tmp_path / "a.nii"), image(tmp_path / "b.nii", seed=1)
    digests = digest_voxels(person("x", one, two))
    assert digests == {inspect_file(path).voxels: path for path in (one, two)}


def test_twins_are_remarked_by_both_names(tmp_path):
    one, other = image(tmp_path / "one.nii"), image(tmp_path / "other.nii", seed=1)
    copy = Path(shutil.copy(one, tmp_path / "copy.nii"))
    seen = SeenImages()
    assert seen.remarks("first", [person("x", one), person("y", other)]) == []
    assert seen.remarks("again", [person("x", one)]) == []  # one person in two cohorts of an archive
    (remark,) = seen.remarks("second", [person("z", copy)])
    assert remark.subject == "z"
    assert remark.reason == f"{copy} is the same image as a:x's {one} in cohort 'first'"
    assert "under another name" in remark.kind


def test_one_file_as_two_scans_of_a_subject_is_remarked(tmp_path):
    one = image(tmp_path / "IXI002-T2.nii")
    copy = Path(shutil.copy(one, tmp_path / "IXI002-PD.nii"))
    (remark,) = SeenImages().remarks("ixi", [person("x", one, copy)])
    assert remark.reason == f"{copy} is the same image as its own {one}"
    assert "two scans of a subject" in remark.kind
