"""Patches that are larger than the images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mribench.config import PretrainSource
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.split import Split
from mribench.plan.cohorts import Cohort
from mribench.plan.patches import patch_notes
from mribench.volumes import Volume, write_volume


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))


def person(name: str, path: Path, shape: tuple[int, int, int]) -> Subject:
    data = np.random.default_rng(0).random(shape)
    write_volume(path, Volume(data, np.diag([1.0, 1.0, 4.0, 1.0])))
    return Subject("a", name, "here", (Scan("T1w", {"image": path}),))


@pytest.fixture
def cohorts(tmp_path) -> dict[str, Cohort]:
    """Three scans of 1 x 1 x 4 mm; the third one, which tests, has fewer slices."""
    shapes = {"x": (20, 22, 10), "y": (20, 22, 6), "z": (20, 22, 4)}
    people = [person(name, tmp_path / f"{name}.nii.gz", shape) for name, shape in shapes.items()]
    component: Any = SimpleNamespace()
    by_id = {subject.id: subject for subject in people}
    split = Split(("a:x", "a:y"), (), {"here": ("a:z",)})
    missing = Cohort("gone", component, "not there", {}, {}, None, ())
    return {"scans": Cohort("scans", component, "", by_id, {}, split, ("here",)), "gone": missing}


def benchmark(patch_vox: int, spacing_mm: float | None, data: str = "scans") -> Any:
    """Return a benchmark with one task, one pretrained method and invariance on a cohort."""
    size = SimpleNamespace(patch_vox=patch_vox, spacing_mm=spacing_mm)
    task = SimpleNamespace(
        spec=SimpleNamespace(data=data, trained_on=[Channels(("T1w",))], learning=size, learning_key="adapt"),
        task=SimpleNamespace(make=lambda: SimpleNamespace(label=None)),
    )
    pretrain = SimpleNamespace(patch_vox=patch_vox, spacing_mm=spacing_mm, data=[PretrainSource(cohort=data)])
    methods = {"m": SimpleNamespace(pretrain=SimpleNamespace(model_fields_set=set()))}
    embedded = SimpleNamespace(sequences=["T1w"], patch_vox=patch_vox, spacing_mm=spacing_mm)
    config = SimpleNamespace(methods=methods, invariance={data: embedded})
    return SimpleNamespace(
        config=config, tasks={"t": task}, pretrained=lambda: {"m": SimpleNamespace(options=pretrain)}
    )


def test_a_patch_that_fits_is_no_note(cohorts):
    assert patch_notes(benchmark(4, None), cohorts) == []
    assert patch_notes(benchmark(10, 1.5), cohorts) == []  # 16 mm at 1.5 mm are 11 voxels
    assert patch_notes(benchmark(400, None, "gone"), cohorts) == []


def test_a_patch_that_is_larger_is_noted_with_the_smallest_image(cohorts):
    assert patch_notes(benchmark(8, None), cohorts) == [
        f"{where}: 8 voxels are more than {count} scans have along some axis (the smallest: {smallest}):"
        " what is beyond an image is padded"
        for where, count, smallest in (
            ("defaults.pretrain.patch_vox", "1 of 2", "20 x 22 x 6"),
            ("tasks.t.adapt.patch_vox", "1 of 2", "20 x 22 x 6"),
            ("invariance.scans.patch_vox", "1 of 1", "20 x 22 x 4"),
        )
    ]


def test_the_working_grid_counts(cohorts):
    first = patch_notes(benchmark(16, 2.0), cohorts)[0]
    assert "16 voxels are more than 2 of 2 scans have along some axis (the smallest: 10 x 11 x 12)" in first
