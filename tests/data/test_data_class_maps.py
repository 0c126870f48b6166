"""Labels beside the images of pretraining: class numbers on the grid of the crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mribench.config import load_benchmark, resolve
from mribench.data.class_maps import CLASSES, number_classes
from mribench.data.maps import MapSource
from mribench.data.showing import Showing
from mribench.errors import DataError
from mribench.interfaces import Dataset, Scan, Subject
from mribench.plan import make_missing
from mribench.plugins import load_registry
from mribench.seeding import torch_generator


def test_the_largest_share_counts_and_what_is_left_is_the_background() -> None:
    shares = np.array([[0.2, 0.6, 0.3, 0.45, 0.0], [0.1, 0.3, 0.4, 0.45, 1.0]]).reshape(2, 5, 1, 1)
    assert number_classes(shares).ravel().tolist() == [0, 1, 2, 1, 2]
    assert number_classes(np.array([[[[0.0, 3.0, 2.0]]]])).ravel().tolist() == [0, 3, 2], "numbers stay"
    assert number_classes(shares).dtype == np.float32


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The labelled cohort of the tiny benchmark."""
    file = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
    resolved = resolve(load_benchmark(file, ()), load_registry())
    make_missing(resolved, lambda *_: None)
    made: Dataset = resolved.datasets["ixi"].make()
    return made


@pytest.mark.parametrize("spacing_mm", [None, 6.0])
def test_classes_are_cut_where_the_image_is(cohort: Dataset, spacing_mm: float | None) -> None:
    subject = cohort.subjects()[0]
    source = MapSource(cohort, [subject], spacing_mm, ["image"], sequences=["T1w"], label="tissue")
    (scan,) = [scan for scan in subject.scans if scan.sequence == "T1w"]
    native = cohort.read_labels(scan, "tissue")
    seen = set()
    for seed in range(4):
        cut = source.crops([0], 10, [torch_generator("x", seed)], torch.device("cpu"))
        assert set(cut.maps) == {"image", CLASSES}
        classes = cut.maps[CLASSES][0]
        assert classes.shape == cut.maps["image"][0].shape
        seen |= set(classes.unique().tolist())
        if spacing_mm is None:
            i, j, k = cut.origins[0].corner_vox
            expected = number_classes(native.data)[i : i + 10, j : j + 10, k : k + 10]
            inside = tuple(slice(0, n) for n in expected.shape)
            np.testing.assert_array_equal(classes[inside].numpy(), expected)
    assert seen == {0.0, 1.0, 2.0, 3.0}


def test_a_scan_without_the_label_is_not_shown() -> None:
    image = {"image": Path("t1.nii")}
    labelled = Scan("T1w", image, labels={"tissue": (Path("c1.nii"),)})
    subject = Subject("here", "one", "site", (labelled, Scan("T2w", image)))
    assert Showing(("image",), label="tissue").groups(subject) == [(labelled,)]
    assert len(Showing(("image",)).groups(subject)) == 2
    with pytest.raises(DataError, match="no scan with the maps image and a lesion label"):
        Showing(("image",), label="lesion").require_groups(subject)
