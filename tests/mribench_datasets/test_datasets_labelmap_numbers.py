"""FreeSurfer's finer numbers, and label maps whose left is right."""

from __future__ import annotations

import numpy as np
import pytest
from mribench_datasets.labelmap.labels import TISSUE_OF, flipped, read_labelmap
from test_datasets_labelmap import put_map, toy_head

from mribench.errors import DataError


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        (1024, 2024, (3, 42)),
        (11175, 12175, (3, 42)),
        (13101, 14101, (2, 41)),
        (601, 602, (8, 47)),
        (626, 628, (8, 47)),
        (606, 606, (8, 8)),
        (801, 806, (28, 60)),
        (8103, 8203, (10, 49)),
        (203, 246, (203, 246)),
        (7001, 7015, (7001, 7015)),
        (194, 199, (194, 199)),
    ],
    ids=[
        "aparc", "a2009s", "its white matter", "lobules", "last lobules", "vermis", "hypothalamus",
        "thalamic nuclei", "subfields", "amygdala", "older subfields",
    ],
)  # fmt: skip
def test_finer_numbers_are_read_as_their_tissue(tmp_path, left, right, merged):
    labels = toy_head().astype(np.int32)
    labels[labels == 11], labels[labels == 50] = left, right
    read = read_labelmap(put_map(tmp_path / "map.nii.gz", labels, dtype=np.int32))
    assert set(merged) <= set(np.unique(read.labels))
    assert {11, 50}.isdisjoint(np.unique(read.labels))
    assert TISSUE_OF[merged[0]] == TISSUE_OF[merged[1]]


@pytest.mark.parametrize(
    ("number", "tissue"), [(203, "gm"), (226, "gm"), (212, "wm"), (215, "csf"), (7008, "gm"), (201, "wm")]
)
def test_the_tissue_of_subfields(number, tissue):
    assert TISSUE_OF[number] == tissue


@pytest.mark.parametrize("number", [29, 61, 224, 640, 811, 7020, 8300, 15000])
def test_a_number_without_a_tissue_is_named_whosever_it_is(tmp_path, number):
    labels = toy_head().astype(np.int32)
    labels[labels == 11] = number
    path = put_map(tmp_path / "map.nii.gz", labels, dtype=np.int32)
    with pytest.raises(DataError, match=f"mribench knows no tissue for: {number}\n"):
        read_labelmap(path)
    assert number not in read_labelmap(path, "background").labels


@pytest.mark.parametrize("codes", ["RAS", "LIA"])
@pytest.mark.parametrize("lesions", [True, False])
def test_a_map_whose_left_is_right_is_refused_before_anything_is_made(build, tmp_path, codes, lesions):
    put_map(tmp_path / "sound.nii.gz", toy_head(), codes=codes)
    put_map(tmp_path / "turned.nii.gz", toy_head()[::-1], codes=codes)
    assert flipped(read_labelmap(tmp_path / "sound.nii.gz")) == ""
    dataset = build("labelmap", root=tmp_path, layout="arc", lesions=lesions)
    (problem,) = dataset.check_sources()
    assert problem.startswith(f"{tmp_path / 'turned.nii.gz'} has its left hemisphere's labels at x = ")
    assert "the header has lost its left-right flip (restore the header" in problem
    with pytest.raises(DataError, match="left-right flip"):
        dataset.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_a_head_has_no_wrong_side(tmp_path):
    labels = toy_head()
    labels[: labels.shape[0] // 2] = 0
    assert flipped(read_labelmap(put_map(tmp_path / "half.nii.gz", labels))) == ""
