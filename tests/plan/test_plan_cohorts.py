"""Cohorts with scans that cannot be used, or that are there twice."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mribench.errors import DataError
from mribench.interfaces import DatasetRef
from mribench.interfaces.dataset import Dataset
from mribench.plan.cohorts import Cohort, cohort_notes, open_cohorts
from mribench.plugins import load_registry
from mribench.volumes import Volume, write_volume


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))


def scan_of(root: Path, name: str, suffix: str = "T2w") -> Path:
    return root / f"sub-{name}" / "ses-1" / "anat" / f"sub-{name}_ses-1_{suffix}.nii.gz"


@pytest.fixture
def root(tmp_path) -> Path:
    """Three people; ``M1 [a]`` has characters in its folder that patterns know."""
    folder = tmp_path / "arc [a]"
    for seed, name in enumerate(("M1", "M2", "M3")):
        for more, suffix in enumerate(("T2w", "T1w")):
            data = np.random.default_rng(10 * seed + more).random((6, 7, 8))
            write_volume(scan_of(folder, name, suffix), Volume(data, np.eye(4)))
    return folder


def opened(root: Path) -> Cohort:
    component = load_registry().resolve(DatasetRef(name="arc", root=str(root)), "test", "corrected")
    benchmark: Any = SimpleNamespace(
        datasets={"arc": component}, splits={}, config=SimpleNamespace(unset=lambda _: "")
    )
    return open_cohorts(benchmark)["arc"]


def test_jobs_leave_out_what_the_plan_leaves_out(root):
    scan_of(root, "M1").write_bytes(b"")  # one of two scans
    for suffix in ("T2w", "T1w"):
        scan_of(root, "M3", suffix).write_bytes(b"")  # all of them
    cohort = opened(root)
    assert {name: len(subject.scans) for name, subject in cohort.subjects.items()} == {
        "arc:M1": 1,
        "arc:M2": 2,
    }
    dataset: Dataset = cohort.resolved.make()
    assert list(dataset.subjects()) == list(cohort.subjects.values())
    assert [entry.subject for entry in cohort.left_out] == ["M1", "M3", "M3"]
    notes = cohort_notes({"arc": cohort})
    assert notes[0] == (
        f"data.arc: M1: a scan is left out, it cannot be used: {scan_of(root, 'M1')} is empty"
    )
    assert len(notes) == 3
    assert cohort.fingerprints["arc:M2"] == opened_sound(root).fingerprints["arc:M2"]


def opened_sound(root: Path) -> Cohort:
    for name in ("M1", "M3"):
        shutil.rmtree(root / f"sub-{name}")
    return opened(root)


def test_where_no_scan_can_be_used_the_cohort_is_refused(root):
    for path in root.rglob("*.nii.gz"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"data\.arc: .*is empty.*and 3 more") as caught:
        opened(root)
    assert "no scan is left" in caught.value.hint


def test_a_dataset_that_cannot_do_without_a_scan_is_refused(root, monkeypatch):
    scan_of(root, "M1").write_bytes(b"")
    monkeypatch.setattr("mribench_datasets.arc.ARC.without", Dataset.without)
    with pytest.raises(DataError, match=r"data\.arc: .*is empty\n") as caught:
        opened(root)
    assert "repair or remove the file" in caught.value.hint


def test_images_that_are_there_twice_are_warned_of(root, caplog):
    shutil.copy(scan_of(root, "M1"), scan_of(root, "M2"))
    shutil.copy(scan_of(root, "M1", "T1w"), scan_of(root, "M2", "T1w"))
    with caplog.at_level(logging.WARNING):
        cohort = opened(root)
    assert len(cohort.subjects) == 3
    (record,) = caplog.records
    assert "is the same image as arc:M1's" in record.getMessage()
    assert "(and 1 more; `mribench data check` has all)" in record.getMessage()
