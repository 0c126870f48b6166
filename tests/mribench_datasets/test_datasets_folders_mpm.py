"""MPM cohorts as users have them, and what reading does to quantitative maps."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import imitated
import numpy as np
import pytest
from imitated import HEAD, HMRI, SHAPE, WHITE, head, maps, put_map, quantity
from mribench_datasets.mpm_names import SUFFIXES, map_of

from mribench.data.inspection import find_problems, find_unusable, inspect_file, inspect_values
from mribench.errors import DataError
from mribench.testing import check_dataset


def kinds(entries):
    return Counter((entry.kind, entry.subject) for entry in entries)


def by_name(dataset):
    return {subject.name: subject for subject in dataset.subjects()}


def only_scan(dataset):
    (subject,) = dataset.subjects()
    (scan,) = subject.scans
    return scan


@pytest.fixture(scope="module")
def mpm_root(tmp_path_factory) -> Path:
    return imitated.mpm(tmp_path_factory.mktemp("mpm"))


@pytest.fixture
def mpm(build, mpm_root):
    return build("mpm", root=mpm_root)


# ---- what is found -------------------------------------------------------------------------------------


def test_subjects_maps_sites_and_covariates(mpm):
    found = {
        name: (
            subject.site,
            dict(subject.covariates),
            sorted(subject.scans[0].images),
            subject.scans[0].session,
        )
        for name, subject in by_name(mpm).items()
    }
    four = ["MTsat", "PD", "R1", "R2s"]
    assert found == {
        "anna": ("London", {"age": 30, "sex": "F"}, four, ""),
        "bert": ("Leipzig", {"age": 41, "sex": "M"}, four, ""),
        "05": ("London", {"age": 29}, ["MTsat", "PD", "R1", "R2", "R2s"], "a"),
    }
    check_dataset(mpm)


def test_everything_left_out_has_its_reason(mpm):
    assert kinds(mpm.excluded()) == {
        ("another R2s map of the same set", "anna"): 1,
        ("uncalibrated A map in place of PD", "carl"): 1,
        ("no R2s, MTsat map", "dora"): 1,
    }
    assert kinds(mpm.remarks()) == {("different fits of R2*", ""): 1}
    (remark,) = mpm.remarks()
    assert "*_R2s_OLS of 1, *_R2s_WLS1 of 1, *_R2starmap of 1" in remark.reason
    assert dict(mpm.ignored()) == {
        "*_MTR": 1, "*_param_error": 1, "*_mSNR": 1, "*_errorESTATICS": 1, "*_B1map": 1, "*_TEzero": 1,
        "Supplementary/*": 1, "*_T1w": 1, "*_probe": 1,
    }  # fmt: skip


def test_every_file_is_accounted_for(mpm, mpm_root):
    on_disk = set(mpm_root.rglob("*.nii"))
    used = {path for subject in mpm.subjects() for scan in subject.scans for path in scan.files()}
    of_left_out_sets = set((mpm_root / "carl").rglob("*.nii")) | set((mpm_root / "dora").rglob("*.nii"))
    second_fit = 1
    assert len(on_disk) == len(used) + len(of_left_out_sets) + second_fit + sum(mpm.ignored().values())


def test_the_order_of_r2s_fits(build, tmp_path):
    order = SUFFIXES["R2s"]
    assert order[:2] == ("R2s_OLS", "R2s_WLS1")
    assert order[-2:] == ("R2s", "T2starmap")
    maps(tmp_path, "s", {key: value for key, value in HMRI.items() if key != "R2s"})
    for ending in reversed(order):
        put_map(tmp_path / f"s_{ending}.nii", quantity("R2s", power=-1 if ending.startswith("T") else 1))
        dataset = build("mpm", root=tmp_path)
        assert only_scan(dataset).images["R2s"].name == f"s_{ending}.nii"
    assert kinds(dataset.excluded()) == {("another R2s map of the same set", "s"): len(order) - 1}


@pytest.mark.parametrize(
    "name", ["s_MTR", "s_R1_param_error", "s_mSNR", "s_PDw", "s_R2s_OLS_error", "PD", "s_T1w"]
)
def test_names_that_are_no_maps(name):
    assert map_of(Path(f"{name}.nii")) is None


def test_unicort_and_both_compressions(build, tmp_path):
    maps(tmp_path, "s", HMRI | {"R1": "R1_UNICORT"})
    maps(tmp_path, "s", {"PD": "PD"})
    put_map(tmp_path / "s_PD.nii.gz", quantity("PD"))
    dataset = build("mpm", root=tmp_path)
    assert only_scan(dataset).images["R1"].name == "s_R1_UNICORT.nii"
    assert kinds(dataset.excluded()) == {("file that is there twice", "s"): 1}


# ---- voxels that are not finite, and clipping ----------------------------------------------------------


def test_what_reading_changed_is_in_the_volumes(mpm):
    outside = int((~head()).sum())
    volumes = mpm.read_images(by_name(mpm)["bert"].scans[0])
    assert {name: (v.repaired_vox, v.clipped_vox) for name, v in volumes.items()} == {
        "PD": (outside, 0), "R1": (outside, 3), "R2s": (outside, 0), "MTsat": (outside, 0),
    }  # fmt: skip
    assert all(not volume.data[~head()].any() for volume in volumes.values())
    np.testing.assert_allclose(volumes["R1"].data[5, 5, 5:8], (0, 10, 10))


def test_maps_may_have_holes_and_images_may_not(mpm):
    scan = by_name(mpm)["anna"].scans[0]
    path = scan.images["R1"]
    assert "not finite" in inspect_file(path).problem
    assert inspect_file(path, repair=True).problem == ""
    assert inspect_file(path, repair=True).digest == inspect_file(path).digest
    assert find_problems(by_name(mpm)["anna"]) == []


def test_more_than_half_of_the_head_is_refused(build, tmp_path):
    maps(tmp_path, "s")
    data = quantity("MTsat", outside=np.nan)
    inside = np.flatnonzero(head())
    dataset = build("mpm", root=tmp_path)
    scan = only_scan(dataset)
    for share, refused in ((0.45, False), (0.55, True), (0.95, True)):
        holes = data.copy()
        holes.flat[inside[: int(share * inside.size)]] = np.nan
        put_map(scan.images["MTsat"], holes)
        problem = dataset.check_values(scan).problem
        assert ("has no finite value in" in problem) is refused, (share, problem)
        assert problem.startswith(str(scan.images["MTsat"])) is refused


def test_a_map_without_any_finite_voxel_is_refused(build, tmp_path):
    maps(tmp_path, "s")
    dataset = build("mpm", root=tmp_path)
    put_map(tmp_path / "s_R1.nii", np.full(SHAPE, np.nan))
    (problem,) = find_unusable(dataset, dataset.subjects()[0], "reader")
    assert "s_R1.nii has 2184 voxels that are not finite" in problem


# ---- units ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scale", "words"),
    [
        ("R1", 1e-3, "R1 in 1/ms"),
        ("MTsat", 0.01, "a fraction"),
        ("PD", 0.01, "a fraction"),
        ("R2s", 1e-3, "1/ms"),
    ],
)
def test_other_units_are_found_before_any_job(build, tmp_path, name, scale, words):
    maps(tmp_path, "s")
    put_map(tmp_path / f"s_{HMRI[name]}.nii", quantity(name, scale))
    dataset = build("mpm", root=tmp_path)
    (problem,) = find_unusable(dataset, dataset.subjects()[0], "reader")
    assert problem.startswith(f"{tmp_path / f's_{HMRI[name]}.nii'} has a median of")
    assert words in problem


@pytest.mark.parametrize(
    ("ending", "name"), [("T1map", "R1"), ("T2starmap", "R2s"), ("T2map", "R2")], ids=["T1", "T2star", "T2"]
)
def test_times_in_seconds_become_rates_and_others_are_refused(build, tmp_path, ending, name):
    maps(tmp_path, "s", {**{key: value for key, value in HMRI.items() if key != name}})
    put_map(tmp_path / f"s_{ending}.nii", quantity(name, power=-1))
    dataset = build("mpm", root=tmp_path)
    read = dataset.read_images(only_scan(dataset))[name].data
    np.testing.assert_allclose(read, quantity(name), rtol=1e-5)
    put_map(tmp_path / f"s_{ending}.nii", quantity(name, scale=1000, power=-1))
    problem = dataset.check_values(only_scan(dataset)).problem
    assert "in s: it looks like T" in problem
    assert "in ms" in problem
    assert ending in problem


def test_a_rate_goes_before_a_time(build, tmp_path):
    maps(tmp_path, "s")
    put_map(tmp_path / "s_T1map.nii", quantity("R1", power=-1))
    dataset = build("mpm", root=tmp_path)
    assert only_scan(dataset).images["R1"].name == "s_R1.nii"
    assert kinds(dataset.excluded()) == {("another R1 map of the same set", "s"): 1}


# ---- A maps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 20.0, 4000.0])
def test_an_a_map_is_calibrated_on_request(build, tmp_path, scale):
    maps(tmp_path, "s", {key: value for key, value in HMRI.items() if key != "PD"})
    put_map(tmp_path / "s_A.nii", quantity("PD", scale, outside=np.nan))
    with pytest.raises(DataError, match="calibrate: true"):
        build("mpm", root=tmp_path).subjects()
    dataset = build("mpm", root=tmp_path, calibrate=True)
    protons = dataset.read_images(only_scan(dataset))["PD"]
    white = np.zeros(SHAPE, bool)
    white[4:-4, 4:-4, 4:-4] = True
    assert np.median(protons.data[white]) == pytest.approx(69, rel=1e-5)
    rest = head() & ~white
    assert np.median(protons.data[rest]) == pytest.approx(69 * HEAD["PD"] / WHITE["PD"], rel=0.01)
    assert protons.repaired_vox == int((~head()).sum())
    assert dataset.reading_options() == {"calibrate": True}
    assert build("mpm", root=tmp_path).reading_options() == {}


def test_without_white_matter_nothing_is_calibrated(build, tmp_path):
    maps(tmp_path, "s", {key: value for key, value in HMRI.items() if key not in ("PD", "MTsat")})
    put_map(tmp_path / "s_A.nii", quantity("PD", 20))
    put_map(tmp_path / "s_MTsat.nii", np.minimum(quantity("MTsat"), 1.0))
    dataset = build("mpm", root=tmp_path, calibrate=True)
    with pytest.raises(DataError, match=r"s_A\.nii cannot be calibrated: 0 voxels") as caught:
        dataset.read_images(only_scan(dataset))
    assert caught.value.hint


def test_a_pd_map_goes_before_an_a_map(build, tmp_path):
    maps(tmp_path, "s")
    put_map(tmp_path / "s_A.nii", quantity("PD", 20))
    for calibrate in (False, True):
        dataset = build("mpm", root=tmp_path, calibrate=calibrate)
        assert only_scan(dataset).images["PD"].name == "s_PD.nii"
        assert dict(dataset.ignored()) == {"*_A beside a PD map": 1}


# ---- remembering ---------------------------------------------------------------------------------------


def test_values_are_looked_at_once_for_each_version(build, mpm_root, tmp_path, monkeypatch):
    root = Path(shutil.copytree(mpm_root, tmp_path / "mpm"))
    dataset = build("mpm", root=root)
    scan = by_name(dataset)["bert"].scans[0]
    first = inspect_values(dataset, scan, "reader")
    assert first.clipped_vox == {"R1": 3}
    calls = []
    monkeypatch.setattr(type(dataset), "check_values", lambda self, scan: calls.append(scan) or first)
    assert inspect_values(dataset, scan, "reader") == first
    assert calls == []
    inspect_values(dataset, scan, "another version of the reader")
    put_map(scan.images["MTsat"], quantity("MTsat", 1.01))
    inspect_values(dataset, scan, "reader")
    assert len(calls) == 2
    scan.images["PD"].unlink()
    assert "cannot be opened" in inspect_values(dataset, scan, "reader").problem
