"""Who is who: names of people in folders, files and tables, other names of theirs, and who is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from imitated import image, maps, mask
from mribench_datasets.identities import archive_ids

from mribench.errors import ConfigError, DataError

BIDS = {"PD": "PDmap", "R1": "R1map", "R2s": "R2starmap", "MTsat": "MTsat"}


def names(dataset):
    return [subject.name for subject in dataset.subjects()]


def said(entries):
    return "\n".join(entry.reason for entry in entries)


@pytest.mark.parametrize("ids", [["S1-001", "S1-002"], ["EMI_301", "EMI_302"], ["1.5T.01", "1.5T.02"]])
def test_bids_names_count_as_a_whole(build, tmp_path, ids):
    for name in ids:
        maps(tmp_path / f"sub-{name}" / "ses-a" / "anat", f"sub-{name}_ses-a_acq-x", BIDS)
    dataset = build("mpm", root=tmp_path)
    assert names(dataset) == ids
    assert [scan.session for subject in dataset.subjects() for scan in subject.scans] == ["a", "a"]
    assert not dataset.remarks()


def test_what_a_toolbox_adds_to_a_file_name_is_no_part_of_the_subject(build, tmp_path):
    for name in ("01", "02"):
        maps(tmp_path / f"sub-{name}" / "Results", f"sub-{name}_MPM")
    assert names(build("mpm", root=tmp_path)) == ["01", "02"]


def test_a_folder_is_bids_only_by_the_beginning_of_its_name(build, tmp_path):
    for group, letter in (("controls_sub-study", "P"), ("patients_sub-study", "Q")):
        for number in range(2):
            maps(tmp_path / group / f"{letter}{number}" / "Results", f"s{number}")
    dataset = build("mpm", root=tmp_path)
    assert names(dataset) == [
        "controls_sub-study/P0", "controls_sub-study/P1", "patients_sub-study/Q0", "patients_sub-study/Q1",
    ]  # fmt: skip


def test_people_below_sites_are_people_and_it_is_said(build, tmp_path):
    for site in ("Leipzig", "London"):
        for number in range(2):
            maps(tmp_path / site / f"P{number}" / "Results", "s")
        maps(tmp_path / site, f"{site}7")  # files of one more, without a folder
    dataset = build("mpm", root=tmp_path)
    assert names(dataset) == [
        "Leipzig/Leipzig7", "Leipzig/P0", "Leipzig/P1", "London/London7", "London/P0", "London/P1",
    ]  # fmt: skip
    assert "London holds 3 sets" in said(dataset.remarks())
    assert "aliases" in said(dataset.remarks())


@pytest.mark.parametrize("visits", [("visit1", "visit2"), ("2019-05-31", "2020-06-01"), ("Results", "again")])
def test_visits_below_a_person_are_sessions_and_it_is_said(build, tmp_path, visits):
    maps(tmp_path / "bert", "s")
    for visit in visits:
        maps(tmp_path / "anna" / visit, "s")
    dataset = build("mpm", root=tmp_path)
    assert names(dataset) == ["anna", "bert"]
    assert [scan.session for scan in dataset.subjects()[0].scans] == list(visits)
    assert "taken for its sessions" in said(dataset.remarks())


def test_one_bids_name_below_several_sites_is_several_people(build, tmp_path):
    for site in ("Leipzig", "London"):
        maps(tmp_path / site / "sub-01" / "anat", "sub-01", BIDS)
    maps(tmp_path / "London" / "sub-02" / "anat", "sub-02", BIDS)
    dataset = build("mpm", root=tmp_path)
    assert names(dataset) == ["02", "Leipzig/01", "London/01"]
    assert "sub-01 is there below 2 folders" in said(dataset.remarks())


def test_pipelines_and_visits_above_a_subject_do_not_part_it(build, tmp_path):
    for above in ("derivatives/hMRI", "derivatives/other"):
        maps(tmp_path / above / "sub-01" / "anat", "sub-01", BIDS)
    assert names(build("mpm", root=tmp_path)) == ["01"]


def test_maps_in_another_space_are_no_sets(build, tmp_path):
    maps(tmp_path / "sub-01", "sub-01", BIDS)
    maps(tmp_path / "sub-01", "sub-01_space-MNI152", BIDS)
    maps(tmp_path / "sub-01", "wsub-01", BIDS)
    dataset = build("mpm", root=tmp_path)
    assert [len(subject.scans) for subject in dataset.subjects()] == [1]
    assert dataset.ignored() == {"space-*: in another space": 4, "w*: normalised copies": 4}


# ---- participants.tsv ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "rows", "sites", "ages"),
    [
        (("01", "02"), "sub-01\t01\t30\nsub-02\t02\tn/a\n", ("01", "02"), (30, None)),
        (("01", "02"), "01\tNA\t30.5\n02\t1\t41\n", ("NA", "1"), (30.5, 41.0)),
        (("1e3", "2e3"), '1e3\tA "old"\tNA\n2e3\t"B"\t29\n', ('A "old"', "B"), (None, 29)),
        (("007", "008"), " sub-007 \tn/a\t07\nsub-008\tNone\t08\n", ("MPM", "None"), ("07", "08")),
    ],
)
def test_a_table_is_read_as_it_is_written(build, tmp_path, ids, rows, sites, ages):
    for name in ids:
        maps(tmp_path / f"sub-{name}", f"sub-{name}", BIDS)
    table = "\N{ZERO WIDTH NO-BREAK SPACE}participant_id\tsite\tage\n" + rows
    (tmp_path / "participants.tsv").write_text(table, encoding="utf-8")
    dataset = build("mpm", root=tmp_path)
    assert tuple(subject.site for subject in dataset.subjects()) == sites
    found = tuple(subject.covariates.get("age") for subject in dataset.subjects())
    assert found == ages
    assert [type(age) for age in found] == [type(age) for age in ages]
    assert not dataset.remarks()


# ---- other names of the same people --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "name", "ids"),
    [
        ("mpm", "IXI014", ("ixi:IXI014",)),
        ("mpm", "ixi14", ("ixi:IXI014",)),
        ("lab", "IXI014-Guys", ("ixi:IXI014",)),
        ("lab", "sub-IXI_014_ses-01", ("ixi:IXI014",)),
        ("mpm", "MAXIXI014", ()),
        ("mpm", "IXI1455", ()),
        ("ARC", "sub-m2001", ("arc:M2001",)),
        ("lab", "M2001", ()),
        ("mpm", "P01", ()),
    ],
)
def test_spellings_of_an_archives_id(namespace, name, ids):
    assert archive_ids(namespace, name) == ids


def test_maps_of_ixis_people_are_known_as_such_and_phantoms_are_not(build, tmp_path, phantoms):
    maps(tmp_path / "ixi14", "s")
    maps(tmp_path / "P01", "s")
    aliases = {subject.name: subject.aliases for subject in build("mpm", root=tmp_path).subjects()}
    assert aliases == {"P01": (), "ixi14": ("ixi:IXI014",)}
    phantom = build("phantom", layout="ixi", sites={"Guys": 1}, spacing_mm=8, seed=1)
    phantom.make()
    assert [(subject.name, subject.aliases) for subject in phantom.subjects()] == [("IXI001", ())]


def test_users_declare_aliases_in_the_file_or_a_table(build, tmp_path):
    for name in ("P1", "P2"):
        maps(tmp_path / "maps" / name, "s")
    given = {"P1": "ixi:ixi7", "sub-P2": ["P1", "scanner: 77"], "P9": "ixi:IXI009"}
    dataset = build("mpm", root=tmp_path / "maps", aliases=given)
    assert [s.aliases for s in dataset.subjects()] == [("ixi:IXI007",), ("mpm:P1", "scanner:77")]
    assert said(dataset.remarks()) == "aliases: 'P9' is no subject of the cohort"
    table = tmp_path / "names.csv"
    table.write_text("name,alias\nP1,ixi:IXI007\nP2,P1\nP2,scanner:77\n")
    again = build("mpm", root=tmp_path / "maps", aliases=str(table))
    assert [s.aliases for s in again.subjects()] == [s.aliases for s in dataset.subjects()]
    table.write_text("name;alias\nP1;ixi:IXI007\n")
    with pytest.raises(DataError, match=r"names\.csv has no columns name and alias"):
        build("mpm", root=tmp_path / "maps", aliases=str(table)).subjects()


# ---- who is left out -----------------------------------------------------------------------------------


def arc_folder(root: Path) -> Path:
    for name in ("M1", "M2", "M3"):
        for run in ("run-1_", "run-2_") if name == "M3" else ("",):
            image(root / f"sub-{name}" / "ses-1" / "anat" / f"sub-{name}_ses-1_{run}T2w.nii.gz")
            place = root / "derivatives" / "lesion_masks" / f"sub-{name}" / "ses-1" / "anat"
            mask(place / f"sub-{name}_ses-1_{run}desc-lesion_mask.nii.gz")
    return root


def test_subjects_files_and_folders_are_left_out_with_the_reason(build, tmp_path):
    exclude = {"M1": "moved", "sub-M2/*": "an artefact", "*_run-2_T2w*": "a repeat", "M77": "a typo"}
    dataset = build("arc", root=arc_folder(tmp_path), exclude=exclude)
    (subject,) = dataset.subjects()
    assert subject.name == "M3"
    assert [scan.images["image"].name for scan in subject.scans] == ["sub-M3_ses-1_run-1_T2w.nii.gz"]
    left_out = {entry.subject: entry.reason for entry in dataset.excluded() if "exclude" in entry.kind}
    assert set(left_out) == {"M1", "sub-M2/*", "*_run-2_T2w*"}
    assert left_out["M1"] == "'M1' leaves out all scans of M1: moved"
    assert left_out["sub-M2/*"].endswith("sub-M2_ses-1_T2w.nii.gz: an artefact")
    assert "exclude: 'M77' is no subject, file or folder of the cohort" in said(dataset.remarks())


def test_a_list_needs_no_reasons(build, tmp_path):
    dataset = build("arc", root=arc_folder(tmp_path), exclude=["M1", "arc:M2"])
    assert names(dataset) == ["M3"]
    assert "no reason given" in said(dataset.excluded())
    with pytest.raises(ConfigError, match="exclude"):
        build("arc", root=tmp_path, exclude=3)


# ---- links, and relative folders -----------------------------------------------------------------------


def test_folders_that_are_links_are_looked_into_once(build, tmp_path):
    store, root = arc_folder(tmp_path / "store"), tmp_path / "arc"
    root.mkdir()
    for name in ("sub-M1", "sub-M2", "derivatives"):
        (root / name).symlink_to(store / name, target_is_directory=True)
    (root / "sub-M1-again").symlink_to(root / "sub-M1", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "sub-M9").symlink_to(tmp_path / "gone", target_is_directory=True)
    dataset = build("arc", root=root)
    assert names(dataset) == ["M1", "M2"]
    assert all(scan.labels for subject in dataset.subjects() for scan in subject.scans)
    assert dataset.ignored() == {"links to folders that are read already": 2}
    assert f"{root / 'sub-M9'} is a link to content that is not here" in said(dataset.remarks())


def test_a_relative_folder_counts_from_where_mribench_was_started(build, tmp_path, monkeypatch):
    arc_folder(tmp_path / "here" / "arc")
    monkeypatch.chdir(tmp_path / "here")
    dataset = build("arc", root="arc")
    monkeypatch.chdir(tmp_path)
    assert dataset.where() == str(tmp_path / "here" / "arc")
    assert len(dataset.subjects()) == 3
    assert str(tmp_path / "arc") in build("arc", root="arc").missing()
