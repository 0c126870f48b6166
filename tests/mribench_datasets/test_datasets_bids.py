"""Any BIDS folder: which file is what, which label is whose, and what is said of the rest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imitated import AFFINE, SHAPE, image, mask, put_map, quantity

from mribench.errors import ConfigError, DataError
from mribench.testing import check_dataset
from mribench.volumes import Volume, write_volume

LESIONS = {"lesion": "derivatives/lesions/*_desc-lesion_mask"}
MAPS = {"PD": "PDmap", "R2s": "R2starmap", "MTsat": "MTsat", "R1": "R1map"}


def name(subject: str, rest: str, session: str = "", folder: str = "anat") -> str:
    """Return the path of a file below a BIDS root or pipeline."""
    people = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    return "/".join([*people, *([folder] if folder else []), "_".join([*people, rest])])


def by_name(dataset: Any) -> dict[str, Any]:
    return {subject.name: subject for subject in dataset.subjects()}


def sequences(subject: Any) -> list[tuple[str, str]]:
    return [(scan.session, scan.sequence) for scan in subject.scans]


def labels(subject: Any, label: str) -> dict[str, str]:
    """Return the name of a label's file by that of the image."""
    return {
        scan.images["image"].name.removesuffix(".nii.gz"): scan.labels[label][0].name.removesuffix(".nii.gz")
        for scan in subject.scans
        if label in scan.labels
    }


def reasons(entries: Any) -> list[str]:
    return [entry.reason for entry in entries]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two people; one with two sessions, the other with a label for one image only."""
    root = tmp_path / "my study ü"
    for seed, session in enumerate(("a", "b")):
        image(root / name("01", "T1w.nii.gz", session), seed)
        image(root / name("01", "FLAIR.nii.gz", session), seed + 10)
    image(root / name("02", "T1w.nii"), 5)
    mask(root / "derivatives/lesions" / name("01", "space-T1w_desc-lesion_mask.nii.gz", "a"))
    (root / "participants.tsv").write_bytes(
        "\ufeffparticipant_id\tage\tsex\tsite\r\nsub-01\t63\tf\t01\r\nsub-02\tn/a\tm\tn/a\r\n".encode()
    )
    return root


def test_a_bids_folder_is_a_cohort(build, study):
    dataset = build("bids", root=str(study), labels=LESIONS)
    check_dataset(dataset)
    people = by_name(dataset)
    assert sequences(people["01"]) == [("a", "FLAIR"), ("a", "T1w"), ("b", "FLAIR"), ("b", "T1w")]
    assert sequences(people["02"]) == [("", "T1w")]
    drawn = "sub-01_ses-a_space-T1w_desc-lesion_mask"
    assert labels(people["01"], "lesion") == {"sub-01_ses-a_T1w": drawn, "sub-01_ses-a_FLAIR": drawn}
    assert [one.site for one in people.values()] == ["01", "bids"]
    assert [one.covariates for one in people.values()] == [{"age": 63, "sex": "f"}, {"sex": "m"}]
    assert dataset.excluded() == []
    assert dataset.remarks() == []


def test_what_is_no_scan_is_counted(build, study):
    for rest, folder in (
        ("bold.nii.gz", "func"), ("dwi.nii.gz", "dwi"), ("part-phase_T1w.nii.gz", "anat"),
        ("space-MNI152_T1w.nii.gz", "anat"), ("defacemask.nii.gz", "anat"), ("MTRmap.nii.gz", "anat"),
        ("T1map.nii.gz", "anat"),
    ):  # fmt: skip
        image(study / name("02", rest, folder=folder))
    image(study / "derivatives/fmriprep/sub-02/anat/sub-02_desc-preproc_T1w.nii.gz")
    image(study / "sourcedata/sub-02/x/sub-02_T1w.nii.gz")
    image(study / "sub-02/anat/localiser.nii.gz")
    dataset = build("bids", root=str(study))
    assert sequences(by_name(dataset)["02"]) == [("", "T1w")]
    assert dataset.ignored() == {
        "func/*": 1, "dwi/*": 1, "part-phase and the like: no magnitude": 1, "space-*: in another space": 1,
        "*_defacemask": 1, "*_MTRmap": 1, "*_T1map: no set of PD, R1, R2s, MTsat": 1,
        "derivatives/fmriprep/*": 1, "derivatives/lesions/*": 1, "sourcedata/sub-02/*": 1,
        "names that are not BIDS": 1,
    }  # fmt: skip


def test_sequences_are_suffixes_or_patterns(build, study):
    for seed, rest in enumerate(("acq-mp2rage_T1w.nii.gz", "acq-mprage_T1w.nii.gz", "rec-norm_T2w.nii.gz")):
        image(study / name("03", rest), seed)
    image(study / "derivatives/strip" / name("03", "acq-mprage_desc-brain_T1w.nii.gz"), 7)
    everything = by_name(build("bids", root=str(study)))["03"]
    assert sequences(everything) == [("", "T2w"), ("acq-mp2rage", "T1w"), ("acq-mprage", "T1w")]
    assert sequences(by_name(build("bids", root=str(study), sequences=["T2w"]))["03"]) == [("", "T2w")]
    chosen = {"T1w": ["*_acq-mprage_*T1w", "sub-0[12]*_T1w"], "MP2RAGE": "*_acq-mp2rage_*"}
    people = by_name(build("bids", root=str(study), sequences=chosen))
    assert sequences(people["03"]) == [("", "MP2RAGE"), ("", "T1w")]
    assert sequences(people["02"]) == [("", "T1w")]
    derived = {"brain": "derivatives/strip/*_desc-brain_T1w.nii.gz"}
    assert sequences(by_name(build("bids", root=str(study), sequences=derived))["03"]) == [("", "brain")]


def test_a_suffix_of_maps_is_an_image_where_it_is_asked_for(build, study):
    image(study / name("02", "T1map.nii.gz"))
    people = by_name(build("bids", root=str(study), sequences={"T1": "*_T1map"}))
    assert {name: sequences(one) for name, one in people.items()} == {"02": [("", "T1")]}


@pytest.mark.parametrize(
    ("images", "drawn", "expected"),
    [
        (("run-1_T1w", "run-2_T1w"), ("run-1_dseg", "run-2_dseg"),
         {"run-1_T1w": "run-1_dseg", "run-2_T1w": "run-2_dseg"}),
        (("run-1_T1w", "run-2_T1w"), ("run-2_dseg",), {"run-2_T1w": "run-2_dseg"}),
        (("acq-a_T1w", "T2w"), ("acq-a_dseg",), {"acq-a_T1w": "acq-a_dseg", "T2w": "acq-a_dseg"}),
        (("acq-a_run-1_T1w",), ("run-1_dseg", "acq-a_run-1_dseg", "dseg"),
         {"acq-a_run-1_T1w": "acq-a_run-1_dseg"}),
        (("T1w", "acq-b_T2w"), ("dseg", "acq-b_dseg"), {"T1w": "dseg", "acq-b_T2w": "acq-b_dseg"}),
        (("T1w",), ("space-MNI152_dseg", "space-orig_dseg"), {"T1w": "space-orig_dseg"}),
        (("T1w",), ("desc-aseg_dseg",), {"T1w": "desc-aseg_dseg"}),
    ],
    ids=["runs", "one run", "one acquisition", "closest", "own and common", "space", "desc"],
)  # fmt: skip
def test_a_label_is_that_of_the_image_whose_name_fits_best(build, tmp_path, images, drawn, expected):
    for seed, rest in enumerate(images):
        image(tmp_path / name("1", f"{rest}.nii.gz"), seed)
    for rest in drawn:
        mask(tmp_path / "derivatives/fs" / name("1", f"{rest}.nii.gz"))
    (subject,) = build("bids", root=str(tmp_path), labels={"seg": "*_dseg"}).subjects()
    assert labels(subject, "seg") == {f"sub-1_{key}": f"sub-1_{value}" for key, value in expected.items()}


def test_labels_beside_others_and_of_nobody_are_named(build, tmp_path):
    image(tmp_path / name("1", "run-1_T1w.nii.gz"))
    for pipeline, rest in (("a", "run-1_dseg"), ("b", "run-1_dseg"), ("a", "run-2_dseg")):
        mask(tmp_path / "derivatives" / pipeline / name("1", f"{rest}.nii.gz"))
    mask(tmp_path / "derivatives/a" / name("2", "dseg.nii.gz"))
    dataset = build("bids", root=str(tmp_path), labels={"seg": "*_dseg"})
    (subject,) = dataset.subjects()
    assert subject.scans[0].labels["seg"][0].parts[-4] == "a"
    first, second, third = sorted(reasons(dataset.excluded()))
    assert "a/sub-1/anat/sub-1_run-2_dseg.nii.gz: no image fits this label 'seg'" in first
    assert "a/sub-2/anat/sub-2_dseg.nii.gz: no image fits this label 'seg'" in second
    assert "b/sub-1/anat/sub-1_run-1_dseg.nii.gz: sub-1_run-1_dseg.nii.gz is used as label 'seg'" in third


def test_a_label_without_session_is_that_of_an_only_session(build, tmp_path):
    image(tmp_path / name("1", "T1w.nii.gz", "x"))
    for session in "xy":
        image(tmp_path / name("2", "T1w.nii.gz", session), ord(session))
    for subject in "12":
        mask(tmp_path / "derivatives/fs" / name(subject, "dseg.nii.gz"))
    dataset = build("bids", root=str(tmp_path), labels={"seg": "*_dseg"})
    assert [list(scan.labels) for s in dataset.subjects() for scan in s.scans] == [["seg"], [], []]
    assert "sub-2_dseg.nii.gz: no image fits this label" in reasons(dataset.excluded())[0]


def test_shares_of_classes_are_one_label_where_all_are_there(build, tmp_path):
    share = np.random.default_rng(0).dirichlet(np.ones(3), SHAPE).astype(np.float32)
    patterns = ["*_label-GM_probseg", "*_label-WM_probseg"]
    for subject, tissues in (("1", ("GM", "WM")), ("2", ("WM",))):
        image(tmp_path / name(subject, "T1w.nii.gz"), int(subject))
        for place, tissue in enumerate(tissues):
            path = tmp_path / "derivatives/fp" / name(subject, f"label-{tissue}_probseg.nii.gz")
            write_volume(path, Volume(share[..., place], AFFINE))
    dataset = build("bids", root=str(tmp_path), labels={"tissue": patterns})
    check_dataset(dataset)
    first, second = dataset.subjects()
    assert [path.name for path in first.scans[0].labels["tissue"]] == [
        "sub-1_label-GM_probseg.nii.gz", "sub-1_label-WM_probseg.nii.gz",
    ]  # fmt: skip
    assert second.scans[0].labels == {}
    assert "1 of the 2 files of its label 'tissue' are there" in reasons(dataset.excluded())[0]


def test_a_set_of_maps_is_a_scan_in_mribenchs_units(build, tmp_path):
    anat = tmp_path / "sub-1" / "anat"
    for quantity_name, suffix in MAPS.items():
        put_map(anat / f"sub-1_{suffix}.nii.gz", quantity(quantity_name, outside=np.nan))
    put_map(anat / "sub-1_T1map.nii.gz", quantity("R1", power=-1))
    image(anat / "sub-1_T1w.nii.gz")
    mask(tmp_path / "derivatives/fs" / name("1", "dseg.nii.gz"))
    dataset = build("bids", root=str(tmp_path), labels={"seg": "*_dseg"})
    check_dataset(dataset)
    (subject,) = dataset.subjects()
    assert sequences(subject) == [("", "T1w"), ("", "qmri")]
    maps = subject.scans[1]
    assert sorted(maps.images) == ["MTsat", "PD", "R1", "R2s"]
    assert list(maps.labels) == ["seg"]
    values = dataset.check_values(maps)
    assert values.problem == ""
    assert values.levels["R1 in 1/s"] == pytest.approx(0.8, abs=0.3)
    assert values.numbers == {"seg": (1,)}
    assert "sub-1_T1map.nii.gz: sub-1_R1map.nii.gz is used" in reasons(dataset.excluded())[0]
    (anat / "sub-1_R1map.nii.gz").unlink()
    (again,) = build("bids", root=str(tmp_path)).subjects()
    assert again.scans[1].images["R1"].name == "sub-1_T1map.nii.gz"
    put_map(anat / "sub-1_T1map.nii.gz", quantity("R1", power=-1, scale=1000))
    assert "it looks like T1 in ms" in build("bids", root=str(tmp_path)).check_values(again.scans[1]).problem


def test_two_sessions_of_maps(build, tmp_path):
    for session in "xy":
        for quantity_name, suffix in MAPS.items():
            put_map(tmp_path / name("1", f"acq-q_{suffix}.nii.gz", session), quantity(quantity_name))
    (subject,) = build("bids", root=str(tmp_path)).subjects()
    assert sequences(subject) == [("x", "qmri"), ("y", "qmri")]


def test_raw_data_in_a_folder_of_their_own(build, study, tmp_path):
    inner = tmp_path / "inner"
    shutil.copytree(study, inner / "rawdata", ignore=lambda *_: ["derivatives"])
    shutil.copytree(study / "derivatives", inner / "derivatives")
    plain, moved = (build("bids", root=str(root), labels=LESIONS) for root in (study, inner))
    assert [(s.name, s.site, s.covariates, sequences(s)) for s in plain.subjects()] == [
        (s.name, s.site, s.covariates, sequences(s)) for s in moved.subjects()
    ]
    assert labels(by_name(moved)["01"], "lesion") == labels(by_name(plain)["01"], "lesion")


def test_people_of_several_datasets_below_one_root_stay_apart(build, tmp_path):
    for seed, dataset in enumerate(("ds1", "ds2")):
        image(tmp_path / dataset / name("01", "T1w.nii.gz"), seed)
        mask(tmp_path / dataset / "derivatives/fs" / name("01", "dseg.nii.gz"))
        (tmp_path / dataset / "participants.tsv").write_text(f"participant_id\tage\nsub-01\t{seed + 20}\n")
    dataset = build("bids", root=str(tmp_path), labels={"seg": "*_dseg"})
    check_dataset(dataset)
    people = by_name(dataset)
    assert {name: one.covariates for name, one in people.items()} == {
        "ds1/01": {"age": 20}, "ds2/01": {"age": 21},
    }  # fmt: skip
    assert [scan.labels["seg"][0].parts[-5] for one in people.values() for scan in one.scans] == [
        "derivatives", "derivatives",
    ]  # fmt: skip
    assert people["ds2/01"].scans[0].labels["seg"][0].is_relative_to(tmp_path / "ds2")


def test_the_column_of_sites_has_any_name(build, study):
    (study / "participants.tsv").write_text("participant_id\tscanner\tage\n01\t007\t63\nsub-02\t8\t64\n")
    people = by_name(build("bids", root=str(study), site="scanner"))
    assert [(one.site, one.covariates) for one in people.values()] == [
        ("007", {"age": 63}),
        ("8", {"age": 64}),
    ]


@pytest.mark.parametrize(
    "content", [b"", b"participant\tage\n01\t3\n", b"participant_id\tage\n\xff\xfe\t3\n"]
)
def test_participants_that_cannot_be_read_are_remarked(build, study, content):
    (study / "participants.tsv").write_bytes(content)
    dataset = build("bids", root=str(study))
    assert [subject.covariates for subject in dataset.subjects()] == [{}, {}]
    assert "participants.tsv" in reasons(dataset.remarks())[0]
    assert "covariates are left out" in reasons(dataset.remarks())[0]


def test_odd_files_are_named_or_read(build, study, tmp_path):
    plain = study / name("01", "T1w.nii", "b")
    plain.write_bytes(b"")  # beside its compressed self
    image(study / "sub-02" / "anat" / "sub-01_T2w.nii.gz")  # somebody else's folder
    link = study / name("04", "T1w.nii.gz")
    link.parent.mkdir(parents=True)
    link.symlink_to("../../.git/annex/not-fetched")
    elsewhere = tmp_path / "elsewhere"
    image(elsewhere / "anat" / "sub-05_T1w.nii.gz", 9)
    (study / "sub-05").symlink_to(elsewhere)
    image(study / "sub-06_T1w.nii.gz", 10)
    dataset = build("bids", root=str(study), exclude=["sub-06"])
    assert list(by_name(dataset)) == ["01", "02", "05"]
    said = "\n".join(reasons(dataset.excluded()))
    assert f"{study / name('01', 'T1w.nii.gz', 'b')} is there twice: {plain} is used" in said
    assert "sub-02/anat/sub-01_T2w.nii.gz lies in the folder of another subject or session" in said
    assert "a link to content that is not here: fetch it (`datalad get`)" in said
    assert "'sub-06' leaves out all scans of 06" in said


def test_a_folder_without_bids_files_is_refused(build, tmp_path):
    image(tmp_path / "p01" / "t1.nii.gz")
    with pytest.raises(DataError, match=r"BIDS folder: .* holds no usable scan"):
        build("bids", root=str(tmp_path)).subjects()
    assert "there is no folder" in build("bids", root=str(tmp_path / "gone")).missing()
    assert "set 'root'" in build("bids").missing()


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"labels": {"a": []}}, "labels"),
        ({"labels": {"": "x"}}, "labels"),
        ({"labels": ["*_dseg"]}, "labels"),
        ({"sequences": {"a": ""}}, "sequences"),
        ({"sequences": [""]}, "sequences"),
        ({"suffixes": []}, "suffixes"),
    ],
)
def test_a_wrong_option_is_named(build, options, key):
    with pytest.raises(ConfigError, match=key):
        build("bids", **options)


def test_the_readers_of_archives_agree(build, phantoms):
    """ARC's own reader, and the general one told what ARC's labels are called."""
    arc = build("arc", root=str(phantoms["arc"])).subjects()
    bids = build(
        "bids", root=str(phantoms["arc"]), labels={"lesion": "derivatives/lesion_masks/*_mask"}
    ).subjects()
    assert [subject.name for subject in bids] == [subject.name for subject in arc]
    for one, other in zip(arc, bids, strict=True):
        own = {(scan.session, scan.sequence): scan.files() for scan in one.scans}
        assert own.items() <= {(scan.session, scan.sequence): scan.files() for scan in other.scans}.items()
        assert one.covariates == other.covariates
