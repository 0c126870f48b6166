"""IXI and ARC as users have them: every irregularity of an imitated archive gets its reason."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import imitated
import numpy as np
import pytest

from mribench.interfaces import ScanValues
from mribench.testing import check_dataset
from mribench.volumes import Volume, write_volume


def kinds(entries):
    return Counter((entry.kind, entry.subject) for entry in entries)


def by_name(dataset):
    return {subject.name: subject for subject in dataset.subjects()}


def scans(subject):
    return [(scan.session, scan.sequence, len(scan.labels)) for scan in subject.scans]


# ---- IXI -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ixi_root(tmp_path_factory) -> Path:
    return imitated.ixi(tmp_path_factory.mktemp("ixi"))


@pytest.fixture
def ixi(build, ixi_root):
    return build("ixi", root=ixi_root)


def test_ixi_subjects_sites_scans_and_labels(ixi):
    subjects = by_name(ixi)
    assert {name: (subject.site, scans(subject)) for name, subject in subjects.items()} == {
        "IXI002": ("Guys", [("", "PDw", 0), ("", "T1w", 1), ("", "T2w", 1)]),
        "IXI012": ("HH", [("", "PDw", 0), ("", "T1w", 1), ("", "T2w", 1)]),
        "IXI013": ("HH", [("", "T1w", 1)]),
        "IXI014": ("HH", [("", "PDw", 0), ("", "T2w", 0)]),
        "IXI035": ("IOP", [("", "T1w", 1)]),
        "IXI041": ("Guys", [("0706", "T1w", 0), ("0799", "T1w", 0)]),
    }
    labels = {
        path.name for s in subjects.values() for scan in s.scans for path in scan.labels.get("tissue", ())
    }
    assert not [name for name in labels if name.startswith(("w", "m", "r"))]
    assert len(labels) == 18
    check_dataset(ixi)


def test_ixi_everything_left_out_has_its_reason(ixi):
    assert kinds(ixi.excluded()) == {
        ("file that is there twice", "IXI002"): 1,
        ("file that is there twice", "IXI012"): 1,
        ("scans at a second site", "IXI035"): 1,
        ("incomplete posteriors", "IXI014"): 1,
        ("posteriors without their image", "IXI050"): 1,
        ("link without content", "IXI051"): 1,
        ("covariates in which two rows differ", "IXI014"): 1,
    }
    reasons = {entry.kind: entry.reason for entry in ixi.excluded() if entry.subject != "IXI002"}
    assert "IXI012-HH-1211-T1.nii.gz is there twice: " in reasons["file that is there twice"]
    assert "named at IOP and at Guys: the latter" in reasons["scans at a second site"]
    assert "c1, c3 of c1, c2, c3" in reasons["incomplete posteriors"]
    assert "IXI050-Guys-0711-T1" in reasons["posteriors without their image"]
    assert "datalad get" in reasons["link without content"]
    assert "IXI.xls has 2 rows that differ in sex" in reasons["covariates in which two rows differ"]


def test_ixi_remarks_and_files_that_are_no_inputs(ixi):
    assert kinds(ixi.remarks()) == {
        ("more than one row of covariates", "IXI013"): 1,
        ("no row of covariates", "IXI041"): 1,
    }
    assert dict(ixi.ignored()) == {
        "mwc[1-6]IXI*": 3, "wc[1-6]IXI*": 3, "rc[1-6]IXI*": 3, "y_IXI*": 1, "mIXI*": 1, "c[1-6]IXI*": 1,
        "*-MRA*": 1, "*-DTI*": 2, "names that are not IXI's": 2, "hidden files (.*)": 1,
    }  # fmt: skip


def test_ixi_every_file_is_accounted_for(ixi, ixi_root):
    on_disk = {p for p in ixi_root.rglob("*.nii*") if not p.is_dir()}
    used = {path for subject in ixi.subjects() for scan in subject.scans for path in scan.files()}
    named = Counter(entry.kind for entry in ixi.excluded())
    left_out = (
        named["file that is there twice"] + named["link without content"] + named["scans at a second site"]
    )
    posteriors = 2 + 3  # incomplete, and without their image
    assert len(on_disk) == len(used) + left_out + posteriors + sum(ixi.ignored().values())


def test_ixi_demographics_of_the_published_excel_file(ixi, capfd):
    covariates = {name: dict(subject.covariates) for name, subject in by_name(ixi).items()}
    assert covariates == {
        "IXI002": {"age": 35.8, "sex": "f"},
        "IXI012": {"age": 38.78, "sex": "m"},
        "IXI013": {"age": 46.71, "sex": "m"},
        "IXI014": {"age": 34.24},
        "IXI035": {"sex": "f"},
        "IXI041": {},
    }
    assert capfd.readouterr() == ("", "")


def test_ixi_csv_goes_before_xls(build, ixi_root, tmp_path):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    (root / "IXI.csv").write_text('IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n2,1,20\n,1,\n')
    subjects = by_name(build("ixi", root=root))
    assert subjects["IXI002"].covariates == {"age": 20, "sex": "m"}
    assert subjects["IXI012"].covariates == {}


@pytest.mark.parametrize("content", [b"", b"no workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)])
def test_a_broken_excel_file_is_one_sentence(build, ixi_root, tmp_path, content):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    (root / "IXI.xls").write_bytes(content)
    check_left_out(build("ixi", root=root), r"IXI\.xls cannot be read as a table: it is ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'IXI_ID,AGE\n2,"20\n12,30\n', "its rows differ"),
        (b"IXI_ID,AGE\n2,20,3,4\n12,30,5,6,7,8\n", "its rows differ"),
        ("IXI_ID,\u00c4GE\n2,20\n".encode("latin-1"), "it is not UTF-8 text"),
        (b"", "it is empty"),
        (b"\x00\x01\x02", "IXI_ID"),
    ],
)
def test_a_broken_csv_file_is_a_remark_in_words(build, ixi_root, tmp_path, content, why):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    (root / "IXI.csv").write_bytes(content)
    reason = check_left_out(build("ixi", root=root), rf"IXI\.csv .*{why}")
    assert "Error" not in reason


def check_left_out(dataset, pattern):
    """Check that nobody has covariates, and that one remark of one line says why; return it."""
    assert [dict(subject.covariates) for subject in dataset.subjects()] == [{}] * len(dataset.subjects())
    (remark,) = [entry for entry in dataset.remarks() if entry.kind == "table that cannot be read"]
    assert re.search(pattern, remark.reason)
    assert "covariates are left out" in remark.reason
    assert "\n" not in remark.reason
    return remark.reason


def test_a_table_of_something_else_is_one_sentence(build, ixi_root, tmp_path):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    imitated.xls(root / "IXI.xls", [("NAME", "AGE"), ("a", 3)])
    check_left_out(build("ixi", root=root), r"IXI\.xls has no column IXI_ID")


def test_without_the_library_for_xlsx_one_sentence_says_so(build, ixi_root, tmp_path, monkeypatch):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    (root / "IXI.xls").rename(root / "IXI.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (root / "IXI.xlsx").write_bytes(_empty_xlsx())
    assert "IXI.csv" in check_left_out(build("ixi", root=root), "needs openpyxl")


def _empty_xlsx() -> bytes:
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return stream.getvalue()


def test_ixi_knows_the_sums_of_its_archives(ixi):
    assert sorted(ixi.archives) == ["IXI-PD.tar", "IXI-T1.tar", "IXI-T2.tar"]
    assert all(len(bytes.fromhex(digest)) == 16 for digest in ixi.archives.values())


# ---- ARC -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arc_root(tmp_path_factory) -> Path:
    return imitated.arc(tmp_path_factory.mktemp("arc"))


@pytest.fixture
def arc(build, arc_root):
    return build("arc", root=arc_root)


def test_arc_sessions_runs_and_acquisitions(arc):
    assert {name: scans(subject) for name, subject in by_name(arc).items()} == {
        "M2001": [("10", "FLAIR", 1), ("10", "T1w", 1), ("10", "T2w", 1), ("20", "T1w", 1), ("20", "T2w", 1)],
        "M2002": [("5", "T1w", 1), ("5", "T2w", 1)],
        "M2003": [
            ("7", "FLAIR", 1), ("7", "T1w", 1),
            ("7_acq-spc3p2_run-1", "T2w", 1), ("7_acq-spc3p2_run-2", "T2w", 1),
        ],
        "M2004": [("3", "T1w", 0), ("4", "T2w", 0)],
        "M2005": [("1", "T2w", 1)],
    }  # fmt: skip
    check_dataset(arc)


def test_arc_masks_go_to_the_scans_of_their_session_and_run(arc):
    names = {
        (subject.name, scan.session, scan.sequence): scan.labels["lesion"][0].name
        for subject in arc.subjects()
        for scan in subject.scans
        if scan.labels
    }
    assert names["M2001", "20", "T1w"] == "sub-M2001_ses-20_acq-spc3p2_desc-lesion_mask.nii.gz"
    assert names["M2002", "5", "T2w"] == "sub-M2002_ses-5_desc-lesion_mask.nii.gz"
    for run in "12":
        expected = f"sub-M2003_ses-7_acq-spc3p2_run-{run}_desc-lesion_mask.nii.gz"
        assert names["M2003", f"7_acq-spc3p2_run-{run}", "T2w"] == expected


def test_arc_everything_left_out_has_its_reason(arc):
    assert kinds(arc.excluded()) == {
        ("session without lesion mask, of a subject with one", "M2001"): 1,
        ("file in another one's folder", "M2002"): 1,
        ("file that is there twice", "M2003"): 1,
        ("mask without a scan", "M2005"): 1,
        ("link without content", "M2005"): 1,
        ("covariates in which two rows differ", "M2004"): 1,
    }
    assert kinds(arc.remarks()) == {
        ("mask in more than one session", "M2001"): 1,
        ("mask named otherwise than the T2w scans", "M2002"): 1,
        ("no lesion mask: scans used without label", "M2004"): 1,
        ("more than one row of covariates", "M2003"): 1,
        ("no row of covariates", "M2005"): 1,
    }
    assert "sessions 10, 20" in next(e.reason for e in arc.remarks() if e.subject == "M2001")


def test_arc_files_that_are_no_inputs_are_counted(arc, arc_root):
    assert dict(arc.ignored()) == {
        "derivatives/fmriprep/*": 2,
        "derivatives/lesion_masks: not *_desc-lesion_mask": 1,
        "*_dwi": 1,
        "*_bold": 1,
        "names that are not BIDS": 1,
    }
    on_disk = {p for p in arc_root.rglob("*.nii*") if not p.is_dir()}
    used = {path for subject in arc.subjects() for scan in subject.scans for path in scan.files()}
    # of what has a reason: the scan without mask, the misplaced file, the copy, the mask, the link
    assert len(on_disk) == len(used) + 5 + sum(arc.ignored().values())


def test_arc_participants_with_gaps(arc):
    covariates = {name: dict(subject.covariates) for name, subject in by_name(arc).items()}
    assert covariates["M2002"] == {"sex": "M"}
    assert covariates["M2003"] == {"sex": "M", "age_at_stroke": 61, "wab_aq": 55.0, "wab_type": "Broca"}
    assert covariates["M2004"] == {"sex": "F", "wab_aq": 70.0, "wab_type": "Conduction"}
    assert covariates["M2005"] == {}


@pytest.mark.parametrize("text", ["", "name\tage\nx\t3\n"])
def test_a_participants_table_of_something_else_is_one_sentence(build, arc_root, tmp_path, text):
    root = Path(shutil.copytree(arc_root, tmp_path / "arc", symlinks=True))
    (root / "participants.tsv").write_text(text)
    check_left_out(build("arc", root=root), r"participants\.tsv")


def test_a_second_mask_that_fits_no_scan_is_named(build, arc_root, tmp_path):
    root = Path(shutil.copytree(arc_root, tmp_path / "arc", symlinks=True))
    folder = root / "derivatives" / "lesion_masks" / "sub-M2005" / "ses-1" / "anat"
    extra = imitated.mask(folder / "sub-M2005_ses-1_acq-tse3_desc-lesion_mask.nii.gz")
    (entry,) = [e for e in build("arc", root=root).excluded() if e.kind == "second mask of a session"]
    assert str(extra) in entry.reason


@pytest.mark.parametrize(("value", "words"), [(255.0, "values from 0 to 255"), (2.0, "values from 0 to 2")])
def test_masks_that_are_not_zero_or_one_are_found_before_any_job(build, arc_root, tmp_path, value, words):
    root = Path(shutil.copytree(arc_root, tmp_path / "arc", symlinks=True))
    dataset = build("arc", root=root)
    scan = by_name(dataset)["M2005"].scans[0]
    assert dataset.check_values(scan) == ScanValues()
    path = imitated.mask(scan.labels["lesion"][0], value)
    assert dataset.check_values(scan).problem == f"{path} has {words}, expected 0..1"


def test_fields_of_view_that_do_not_overlap_are_named(build, arc_root, tmp_path):
    root = Path(shutil.copytree(arc_root, tmp_path / "arc", symlinks=True))
    dataset = build("arc", root=root)
    scan = by_name(dataset)["M2001"].scans[1]
    assert dataset.check_scan(scan) == ""
    far = imitated.AFFINE.copy()
    far[:3, 3] = 1000
    write_volume(scan.images["image"], Volume(np.random.default_rng(0).random((5, 6, 7)), far))
    problem = dataset.check_scan(scan)
    assert (
        f"the fields of view of {scan.images['image']} and {scan.labels['lesion'][0]} do not overlap"
        == problem
    )


def test_pipes_and_links_to_themselves_are_named_as_such(build, ixi_root, tmp_path):
    root = Path(shutil.copytree(ixi_root, tmp_path / "ixi", symlinks=True))
    os.mkfifo(root / "IXI061-HH-1000-T1.nii.gz")
    (root / "IXI062-HH-1000-T1.nii.gz").symlink_to("IXI062-HH-1000-T1.nii.gz")
    (root / "IXI063-HH-1000-T1.nii.gz").symlink_to("nowhere")
    reasons = {entry.subject: entry.reason for entry in build("ixi", root=root).excluded()}
    assert "is a pipe or a device" in reasons["IXI061"]
    assert "a link that leads back to itself" in reasons["IXI062"]
    assert "datalad" in reasons["IXI063"]
    assert not any("datalad" in reasons[name] for name in ("IXI061", "IXI062"))


def test_a_folder_named_like_a_file_is_looked_into(build, tmp_path):
    imitated.image(tmp_path / "IXI002-Guys-0828-T1.nii" / "IXI002-Guys-0828-T1.nii")
    assert list(by_name(build("ixi", root=tmp_path))) == ["IXI002"]


def test_real_scans_under_the_names_of_the_archives(build, shared_dir, tmp_path):
    scans_dir = shared_dir / "data" / "scans"
    anat = tmp_path / "arc" / "sub-M2208" / "ses-1" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-M2208_ses-1_acq-spc3_T2w.nii.gz").symlink_to(scans_dir / "arc_M2208_T2w.nii.gz")
    ixi = tmp_path / "ixi"
    ixi.mkdir()
    for kind in ("T1", "PD"):
        (ixi / f"IXI002-Guys-0828-{kind}.nii.gz").symlink_to(scans_dir / f"chris_{kind}w.nii.gz")
    for name in ("arc", "ixi"):
        dataset = build(name, root=tmp_path / name)
        (subject,) = dataset.subjects()
        for scan in subject.scans:
            assert dataset.check_scan(scan) == ""
            assert dataset.check_values(scan) == ScanValues()
        assert not [entry for entry in dataset.excluded() if entry.kind == "link without content"]
