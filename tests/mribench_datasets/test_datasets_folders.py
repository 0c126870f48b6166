"""The loaders of IXI, ARC and MPM on small folders made by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mribench.data.inspection import compute_fingerprint
from mribench.errors import ConfigError, DataError
from mribench.interfaces import ScanValues


def by_name(dataset):
    return {subject.name: subject for subject in dataset.subjects()}


def sequences(subject):
    return [(scan.session, scan.sequence) for scan in subject.scans]


def reasons(dataset):
    return [(excluded.subject, excluded.reason) for excluded in dataset.excluded()]


# ---- where it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "licence", "source"),
    [
        ("ixi", "CC BY-SA 3.0", "brain-development.org"),
        ("arc", "CC0", "ds004884"),
        ("mpm", "your cohort", "hMRI"),
    ],
)
def test_what_is_missing_is_one_sentence(build, tmp_path, monkeypatch, name, licence, source):
    for variable in (f"MRIBENCH_{name.upper()}", "MRIBENCH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    for root, word in (
        (None, "no folder given"),
        ("", "no folder given"),
        (str(tmp_path / "none"), "there is no folder"),
    ):
        dataset = build(name, root=root)
        sentence = dataset.missing()
        assert word in sentence
        assert licence in sentence
        assert source in sentence
        assert "\n" not in sentence
        with pytest.raises(DataError, match=word):
            dataset.subjects()
    with pytest.raises(DataError, match="no usable scan"):
        build(name, root=tmp_path).subjects()
    assert f"MRIBENCH_{name.upper()}" in build(name).missing()
    assert list(build(name).excluded()) == []


def test_the_environment_says_where(build, tmp_path, monkeypatch, put):
    put(tmp_path / "ixi" / "IXI002-Guys-0828-T1.nii.gz")
    monkeypatch.delenv("MRIBENCH_IXI", raising=False)
    monkeypatch.setenv("MRIBENCH_DATA", str(tmp_path))
    assert list(by_name(build("ixi"))) == ["IXI002"]
    monkeypatch.setenv("MRIBENCH_IXI", str(tmp_path / "other"))
    assert "other" in build("ixi").missing()
    assert list(by_name(build("ixi", root=tmp_path / "ixi"))) == ["IXI002"]


@pytest.mark.parametrize("name", ["ixi", "arc", "mpm", "labelmap"])
def test_a_home_folder_that_is_not_known_is_named_with_its_place(build, monkeypatch, name):
    with pytest.raises(ConfigError, match=r"test\.root.*no such home folder: ~nobody-of-this-name/x"):
        build(name, root="~nobody-of-this-name/x")
    for variable in ("MRIBENCH_DATA", f"MRIBENCH_{name.upper()}"):
        monkeypatch.setenv(variable, "~nobody-of-this-name")
        with pytest.raises(DataError, match=f"{variable} is '~nobody-of-this-name'"):
            build(name)


def test_a_home_folder_is_found(build, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ixi", "labelmap"):
        assert build(name, root="~/x").where() == str(tmp_path / "x")
        assert build(name, root=" ").root is None or "MRIBENCH" in str(dict(os.environ))


def test_unknown_options_are_refused(build):
    with pytest.raises(ConfigError, match="rot"):
        build("ixi", rot="x")


# ---- IXI -----------------------------------------------------------------------------------------------


@pytest.fixture
def ixi(tmp_path, put) -> Path:
    root = tmp_path / "IXI"
    for core in ("IXI002-Guys-0828-T1", "IXI012-HH-1211-T1", "IXI035-IOP-0873-T1"):
        put(root / "IXI-T1" / f"{core}.nii.gz")
        for tissue in "123":
            put(root / "IXI-T1" / f"c{tissue}{core}.nii", seed=int(tissue))
    put(root / "some" / "where" / "IXI002-Guys-0828-T2.nii.gz")
    put(root / "IXI-PD" / "IXI002-Guys-0828-PD.nii.gz")
    return root


def test_ixi_by_subject_with_its_site(build, ixi):
    subjects = by_name(build("ixi", root=ixi))
    assert {name: subject.site for name, subject in subjects.items()} == {
        "IXI002": "Guys",
        "IXI012": "HH",
        "IXI035": "IOP",
    }
    assert sequences(subjects["IXI002"]) == [("", "PDw"), ("", "T1w"), ("", "T2w")]
    assert sequences(subjects["IXI012"]) == [("", "T1w")]
    assert subjects["IXI002"].id == "ixi:IXI002"


def test_ixi_posteriors_beside_the_image_are_the_tissue_label(build, ixi):
    dataset = build("ixi", root=ixi)
    pdw, t1w, t2w = by_name(dataset)["IXI002"].scans
    assert [path.name[:2] for path in t1w.labels["tissue"]] == ["c1", "c2", "c3"]
    assert pdw.labels == t2w.labels == {}
    label = dataset.read_labels(t1w, "tissue")
    assert label.data.shape == (3, 6, 7, 8)
    for place, seed in enumerate((1, 2, 3)):
        expected = np.random.default_rng(seed).random((6, 7, 8))
        np.testing.assert_allclose(label.data[place], expected, atol=1e-6)
    assert dataset.check_scan(t1w) == ""
    with pytest.raises(DataError, match="no label 'tissue'"):
        dataset.read_labels(t2w, "tissue")


@pytest.mark.parametrize("pattern", ["c{}{}", "p_c{}{}", "c{}p_{}"])
def test_ixi_label_prefixes(build, tmp_path, put, pattern):
    core = "IXI002-Guys-0828-T2.nii"
    put(tmp_path / core)
    for tissue in "123":
        put(tmp_path / pattern.format(tissue, core))
    (subject,) = build("ixi", root=tmp_path).subjects()
    assert len(subject.scans[0].labels["tissue"]) == 3


def test_ixi_leaves_derived_files_alone(build, ixi, put):
    for prefix in ("y_", "mwc1", "wc2", "m", "c4", "._"):
        put(ixi / "IXI-T1" / f"{prefix}IXI002-Guys-0828-T1.nii.gz", seed=9)
    put(ixi / "notes-IXI002.nii.gz")
    put(ixi / "IXI-T1" / "IXI999-Mars-0001-T1.nii.gz")
    dataset = build("ixi", root=ixi)
    assert len(dataset.subjects()) == 3
    assert by_name(dataset)["IXI002"].scans[1].images["image"].name == "IXI002-Guys-0828-T1.nii.gz"


def test_ixi_incomplete_posteriors_are_left_out_with_a_reason(build, ixi):
    (ixi / "IXI-T1" / "c2IXI012-HH-1211-T1.nii").unlink()
    dataset = build("ixi", root=ixi)
    assert by_name(dataset)["IXI012"].scans[0].labels == {}
    assert [name for name, reason in reasons(dataset) if "c1, c3 of c1, c2, c3" in reason] == ["IXI012"]


def test_ixi_twice_the_same_scan_or_two_sites(build, ixi, put):
    put(ixi / "copy" / "IXI002-Guys-0828-T1.nii.gz", seed=4)
    put(ixi / "IXI-T2" / "IXI012-Guys-0001-T2.nii.gz")
    dataset = build("ixi", root=ixi)
    assert len(dataset.subjects()) == 3
    texts = dict(reasons(dataset))
    assert "there twice" in texts["IXI002"]
    assert "left out" in texts["IXI012"]


def test_ixi_demographics(build, ixi):
    (ixi / "IXI.csv").write_text('IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n2,2,35.8\n12,1,\n12,1,\n')
    subjects = by_name(build("ixi", root=ixi))
    assert subjects["IXI002"].covariates == {"sex": "f", "age": 35.8}
    assert subjects["IXI012"].covariates == {"sex": "m"}
    assert subjects["IXI035"].covariates == {}


def test_a_label_that_is_not_a_membership_is_refused(build, ixi, put):
    path = put(ixi / "IXI-T1" / "c2IXI002-Guys-0828-T1.nii", data=np.arange(336).reshape(6, 7, 8))
    dataset = build("ixi", root=ixi)
    with pytest.raises(DataError, match=r"expected 0\.\.1") as caught:
        dataset.read_labels(by_name(dataset)["IXI002"].scans[1], "tissue")
    assert str(path) in caught.value.message


def test_posteriors_on_other_grids_are_named(build, ixi, put):
    put(ixi / "IXI-T1" / "c3IXI002-Guys-0828-T1.nii", shape=(6, 7, 9))
    dataset = build("ixi", root=ixi)
    scan = by_name(dataset)["IXI002"].scans[1]
    assert "not on one grid" in dataset.check_scan(scan)
    with pytest.raises(DataError, match="not on one grid"):
        dataset.read_labels(scan, "tissue")


def test_fingerprints_do_not_depend_on_the_folder(build, ixi):
    before = [compute_fingerprint(subject) for subject in build("ixi", root=ixi).subjects()]
    (ixi / "IXI-T1").rename(ixi / "t1 images")
    moved = ixi.rename(ixi.parent / "elsewhere")
    assert [compute_fingerprint(subject) for subject in build("ixi", root=moved).subjects()] == before


# ---- ARC -----------------------------------------------------------------------------------------------


@pytest.fixture
def arc(tmp_path, put) -> Path:
    root = tmp_path / "ds004884"

    def scan(subject, session, rest, folder=root):
        name = f"sub-{subject}_ses-{session}{rest}.nii.gz"
        return put(folder / f"sub-{subject}" / f"ses-{session}" / "anat" / name)

    def mask(subject, session, rest=""):
        path = scan(subject, session, f"{rest}_desc-lesion_mask", root / "derivatives" / "lesion_masks")
        return put(path, data=np.eye(8)[None, 1:].repeat(6, 0))

    scan("M1", "10", "_T1w")
    scan("M1", "10", "_acq-spc3_T2w")
    scan("M1", "10", "_FLAIR")
    mask("M1", "10", "_acq-spc3")
    scan("M1", "99", "_T1w")
    scan("M2", "5", "_acq-spc3p2_run-1_T2w")
    scan("M2", "5", "_acq-spc3p2_run-2_T2w")
    scan("M2", "5", "_T1w")
    mask("M2", "5", "_acq-spc3p2_run-1")
    mask("M2", "5", "_acq-spc3p2_run-2")
    scan("M3", "7", "_T1w")
    scan("M3", "7", "_dwi")
    put(root / "sub-M3" / "ses-7" / "dwi" / "sub-M3_ses-7_dwi.nii.gz")
    put(root / "sub-M3" / "ses-7" / "anat" / "odd.nii.gz")
    (root / "participants.tsv").write_text(
        "participant_id\tsex\tage_at_stroke\twab_aq\twab_type\nsub-M1\tF\t38\t87.1\tAnomic\nsub-M2\tM\tn/a\tn/a\tn/a\n"
    )
    return root


def test_arc_attaches_the_sessions_mask_to_every_scan(build, arc):
    subjects = by_name(build("arc", root=arc))
    assert sequences(subjects["M1"]) == [("10", "FLAIR"), ("10", "T1w"), ("10", "T2w")]
    masks = {scan.labels["lesion"][0].name for scan in subjects["M1"].scans}
    assert masks == {"sub-M1_ses-10_acq-spc3_desc-lesion_mask.nii.gz"}
    assert {subject.site for subject in subjects.values()} == {"ARC"}


def test_arc_runs_are_told_apart_and_find_their_mask(build, arc):
    subject = by_name(build("arc", root=arc))["M2"]
    assert sequences(subject) == [("5", "T1w"), ("5_acq-spc3p2_run-1", "T2w"), ("5_acq-spc3p2_run-2", "T2w")]
    first, second = (scan.labels["lesion"][0].name for scan in subject.scans[1:])
    assert "run-1" in first
    assert "run-2" in second


def test_arc_sessions_without_mask_are_left_out_and_their_subjects_known(build, arc):
    dataset = build("arc", root=arc)
    subjects = by_name(dataset)
    assert list(subjects) == ["M1", "M2", "M3"]
    assert sequences(subjects["M3"]) == [("7", "T1w")]
    assert subjects["M3"].scans[0].labels == {}
    texts = dict(reasons(dataset))
    assert "session '99' has no lesion mask" in texts["M1"]
    assert list(texts) == ["M1"]
    assert ["unlabelled" in remark.reason for remark in dataset.remarks() if remark.subject == "M3"] == [
        True,
        False,
    ]


def test_arc_participants(build, arc):
    subjects = by_name(build("arc", root=arc))
    assert subjects["M1"].covariates == {
        "sex": "F",
        "age_at_stroke": 38,
        "wab_aq": 87.1,
        "wab_type": "Anomic",
    }
    assert subjects["M2"].covariates == {"sex": "M"}
    assert subjects["M3"].covariates == {}


def test_arc_masks_are_read_as_memberships(build, arc):
    dataset = build("arc", root=arc)
    label = dataset.read_labels(by_name(dataset)["M1"].scans[0], "lesion")
    assert label.data.shape == (1, 6, 7, 8)
    assert set(np.unique(label.data)) == {0, 1}


def test_bids_without_sessions(build, tmp_path, put):
    put(tmp_path / "sub-1" / "anat" / "sub-1_T2w.nii.gz")
    folder = tmp_path / "derivatives" / "lesion_masks" / "sub-1" / "anat"
    put(folder / "sub-1_desc-lesion_mask.nii.gz")
    (subject,) = build("arc", root=tmp_path).subjects()
    assert sequences(subject) == [("", "T2w")]
    assert "lesion" in subject.scans[0].labels


# ---- MPM -----------------------------------------------------------------------------------------------

PLAUSIBLE = {"PD": 75.0, "R1": 0.8, "R2s": 20.0, "MTsat": 1.2, "R2": 12.0}
HMRI = {"PD": "PD", "R1": "R1", "R2s": "R2s_OLS", "MTsat": "MTsat"}
BIDS = {"PD": "PDmap", "R1": "R1map", "R2s": "R2starmap", "MTsat": "MTsat", "R2": "R2map"}


@pytest.fixture
def maps(put):
    def _maps(folder: Path, prefix: str, names=HMRI, suffix=".nii", **scale: float) -> None:
        for name, ending in names.items():
            if ending:
                data = (
                    PLAUSIBLE.get(name, 1.0)
                    * scale.get(name, 1.0)
                    * np.random.default_rng(1).normal(1, 0.1, (6, 7, 8))
                )
                put(folder / f"{prefix}_{ending}{suffix}", data=data)

    return _maps


def test_hmri_maps_by_prefix(build, tmp_path, maps, put):
    maps(tmp_path, "s01_2020")
    maps(tmp_path, "s02_2020", HMRI | {"R2s": "R2s_WLS1", "MTsat": "MT"}, ".nii.gz")
    for ending in ("MTR", "R1_param_error", "PDw_WLS1fit_TEzero", "mSNR", "R2s_errorESTATICS", "B1map"):
        put(tmp_path / f"s01_2020_{ending}.nii")
    subjects = by_name(build("mpm", root=tmp_path))
    assert list(subjects) == ["s01_2020", "s02_2020"]
    for subject in subjects.values():
        assert sequences(subject) == [("", "qmri")]
        assert sorted(subject.scans[0].images) == ["MTsat", "PD", "R1", "R2s"]


def test_bids_maps_with_r2(build, tmp_path, maps):
    maps(tmp_path / "sub-01" / "ses-a" / "anat", "sub-01_ses-a", BIDS)
    maps(tmp_path / "sub-01" / "ses-b" / "anat", "sub-01_ses-b", BIDS)
    maps(tmp_path / "sub-02" / "anat", "sub-02", BIDS)
    subjects = by_name(build("mpm", root=tmp_path))
    assert sequences(subjects["01"]) == [("a", "qmri"), ("b", "qmri")]
    assert sequences(subjects["02"]) == [("", "qmri")]
    assert "R2" in subjects["02"].scans[0].images


def test_maps_by_folder(build, tmp_path, maps):
    for name in ("anna", "bert"):
        maps(tmp_path / name / "Results", "anon_s-0004")
    assert list(by_name(build("mpm", root=tmp_path))) == ["anna", "bert"]
    maps(tmp_path / "bert" / "later", "anon_s-0009")
    bert = by_name(build("mpm", root=tmp_path))["bert"]
    assert [scan.session for scan in bert.scans] == ["Results", "later"]


def test_uncalibrated_and_incomplete_sets_are_left_out(build, tmp_path, maps):
    maps(tmp_path, "good")
    maps(tmp_path, "uncalibrated", {**HMRI, "PD": "A"})
    maps(tmp_path, "both", {**HMRI, "A": "A"})
    maps(tmp_path, "partial", {**HMRI, "R1": "", "MTsat": ""})
    dataset = build("mpm", root=tmp_path)
    assert list(by_name(dataset)) == ["both", "good"]
    assert "A" not in by_name(dataset)["both"].scans[0].images
    texts = dict(reasons(dataset))
    assert "calibrate" in texts["uncalibrated"]
    assert "has no R1, MTsat map" in texts["partial"]


def test_a_folder_of_unusable_maps_says_why(build, tmp_path, maps):
    maps(tmp_path, "s", {**HMRI, "PD": "A"})
    with pytest.raises(DataError, match="uncalibrated A map"):
        build("mpm", root=tmp_path).subjects()


def test_maps_are_read_in_their_units(build, tmp_path, maps):
    maps(tmp_path, "s")
    dataset = build("mpm", root=tmp_path)
    (scan,) = dataset.subjects()[0].scans
    for name, volume in dataset.read_images(scan).items():
        assert abs(np.median(volume.data) / PLAUSIBLE[name] - 1) < 0.05


@pytest.mark.parametrize(
    ("name", "factor", "guess"),
    [
        ("R1", 1e-3, "R1 in 1/ms"),
        ("R1", 1250, "T1 in ms"),
        ("MTsat", 0.01, "a fraction"),
        ("PD", 0.01, "a fraction"),
        ("R2s", 1e-3, "1/ms"),
    ],
)
def test_other_units_are_refused(build, tmp_path, maps, name, factor, guess):
    maps(tmp_path, "s", **{name: factor})
    dataset = build("mpm", root=tmp_path)
    with pytest.raises(DataError, match=guess) as caught:
        dataset.read_images(dataset.subjects()[0].scans[0])
    assert f"s_{HMRI[name]}.nii" in caught.value.message
    assert "does not guess" in caught.value.hint


def test_values_outside_physical_ranges_are_clipped_and_counted(build, tmp_path, maps, put):
    maps(tmp_path, "s")
    data = np.full((6, 7, 8), 0.8)
    data[0, 0, :3] = (-5, 400, 1e6)
    put(tmp_path / "s_R1.nii", data=data)
    dataset = build("mpm", root=tmp_path)
    (scan,) = dataset.subjects()[0].scans
    read = dataset.read_images(scan)
    np.testing.assert_allclose(read["R1"].data[0, 0, :4], (0, 10, 10, 0.8))
    assert {name: volume.clipped_vox for name, volume in read.items()} == {
        "PD": 0,
        "R1": 3,
        "R2s": 0,
        "MTsat": 0,
    }
    found = dataset.check_values(scan)
    assert replace(found, levels={}) == ScanValues(voxels=336, clipped_vox={"R1": 3})
    assert found.levels["R1 in 1/s"] == 0.8


def test_maps_on_other_grids_are_refused(build, tmp_path, maps, put):
    maps(tmp_path, "s")
    put(tmp_path / "s_R1.nii", data=np.random.default_rng(0).normal(0.8, 0.1, (6, 7, 9)))
    dataset = build("mpm", root=tmp_path)
    (scan,) = dataset.subjects()[0].scans
    assert "not on one grid" in dataset.check_scan(scan)
    with pytest.raises(DataError, match="not on one grid"):
        dataset.read_images(scan)


def test_the_namespace_can_be_told(build, tmp_path, maps):
    maps(tmp_path, "s")
    assert build("mpm", root=tmp_path).subjects()[0].id == "mpm:s"
    assert build("mpm", root=tmp_path, namespace="lab").subjects()[0].id == "lab:s"
