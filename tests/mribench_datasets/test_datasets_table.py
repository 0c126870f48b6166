"""Cohorts that a table lists: as people write tables by hand, in spreadsheets and in scripts."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imitated import AFFINE, SHAPE, image, mask

from mribench.errors import ConfigError, DataError
from mribench.interfaces import DatasetRef
from mribench.testing import check_dataset
from mribench.volumes import Volume, write_volume


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Images 0.nii.gz to 4.nii.gz and masks 0-mask.nii.gz to 4-mask.nii.gz."""
    for number in range(5):
        image(tmp_path / f"{number}.nii.gz", number)
        mask(tmp_path / f"{number}-mask.nii.gz")
    return tmp_path


def put_table(folder: Path, text: str, name: str = "scans.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def by_name(dataset: Any) -> dict[str, Any]:
    return {subject.name: subject for subject in dataset.subjects()}


def reasons(entries: Any) -> list[str]:
    return [entry.reason for entry in entries]


FULL = """\
subject,session,site,sequence,image,label_lesion,age,sex
sub-01,ses-1,London,T1w,0.nii.gz,0-mask.nii.gz,63,f
sub-01,ses-1,London,T2w,1.nii.gz,,63,f
02,,Leipzig,T1w,2.nii.gz,n/a,71.5,m
"""


def test_a_table_is_a_cohort(build, scans):
    dataset = build("table", table=str(put_table(scans, FULL)))
    check_dataset(dataset)
    people = by_name(dataset)
    assert list(people) == ["01", "02"]
    assert [(scan.session, scan.sequence) for scan in people["01"].scans] == [("1", "T1w"), ("1", "T2w")]
    assert people["01"].scans[0].labels == {"lesion": (scans / "0-mask.nii.gz",)}
    assert people["01"].scans[1].labels == people["02"].scans[0].labels == {}
    assert [subject.site for subject in people.values()] == ["London", "Leipzig"]
    assert [subject.covariates for subject in people.values()] == [
        {"age": 63.0, "sex": "f"}, {"age": 71.5, "sex": "m"},
    ]  # fmt: skip
    assert people["01"].id == "table:01"
    assert dataset.excluded() == []
    assert dataset.remarks() == []


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", FULL, "utf-8-sig"),
        ("a.csv", FULL.replace("\n", "\r\n"), "utf-8-sig"),
        ("a.csv", FULL.replace("\n", "\r"), "utf-8"),
        ("a.csv", FULL.replace(",", ";").replace("71.5", "71,5"), "utf-8-sig"),
        ("a.csv", "sep=;\r\n" + FULL.replace(",", ";").replace("\n", "\r\n"), "utf-8"),
        ("a.csv", "\n\n" + FULL.replace("\n02", "\n,,,,,,,\n\n02") + "\n\n", "utf-8"),
        ("a.csv", FULL.replace("0.nii.gz", '"0.nii.gz"', 1).replace(",", " , "), "utf-8"),
        ("a.csv", FULL.replace("subject", "Subject").replace("image", "IMAGE"), "utf-8"),
        ("a.csv", FULL.replace("\n", ",,\n"), "utf-8"),
        ("a.tsv", FULL.replace(",", "\t"), "utf-8"),
        ("a.txt", FULL.replace(",", "\t"), "utf-16"),
        ("a.csv", FULL.replace(",", "\t"), "utf-8"),
    ],
    ids=[
        "bom", "windows", "old mac", "semicolons", "sep=", "blank lines", "blanks", "case", "empty columns",
        "tabs", "utf-16", "tabs in .csv",
    ],
)  # fmt: skip
def test_tables_as_programs_write_them_say_the_same(build, scans, name, text, encoding):
    plain = build("table", table=str(put_table(scans, FULL, "plain.csv")))
    other = build("table", table=str(put_table(scans, text, name, encoding)))
    assert other.subjects() == plain.subjects()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (",1,A,T1w,3.nii.gz,", "line 3 has no subject"),
        ("n/a,1,A,T1w,3.nii.gz,", "line 3 has no subject"),
        ("03,1,A,,3.nii.gz,", "line 3 has no sequence"),
        (",1,A,,3.nii.gz,", "line 3 has no subject and no sequence"),
        ("03,1,A,T1w,,", "line 3 names no image"),
        ("03,1,A,T1w,3.nii.gz,./3.nii.gz", "line 3 names its image as a label too: 3.nii.gz"),
        ("03,1,A,T\x001w,3.nii.gz,", "line 3 has a control character in its sequence"),
        ("03,1,A,T1w,3\x00.nii.gz,", "line 3 has a control character in its image"),
        ("03,1,A,T1w,3.mgz,", "line 3 names the image '3.mgz', expected a .nii or .nii.gz file"),
        ("03,1,A,T1w,$NOT_SET_HERE/3.nii,", "and $NOT_SET_HERE is not set"),
        ("03,1,A,T1w,3.nii.gz,a,b,c", "line 3 has 8 cells, and the header has 6"),
        ("03,1,A,T1w,0.nii.gz,", "line 3 names the image of line 2, as another scan: 0.nii.gz"),
        ("01,1,B,T2w,3.nii.gz,", "line 3 puts subject '01' at site 'B', and line 2 at 'A'"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(build, scans, line, sentence):
    text = f"subject,session,site,sequence,image,label\n01,1,A,T1w,0.nii.gz,0-mask.nii.gz\n{line}\n"
    table = put_table(scans, text)
    with pytest.raises(DataError, match=r"scans\.csv, line 3 ") as caught:
        build("table", table=str(table)).subjects()
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_numbers_of_lines_count_blank_ones_and_those_within_quotes(build, scans):
    text = 'subject,note,sequence,image\n\n01,"two\nlines",T1w,0.nii.gz\n\n02,,T1w,\n'
    with pytest.raises(DataError, match="line 6 names no image"):
        build("table", table=str(put_table(scans, text))).subjects()
    with pytest.raises(DataError, match="line 7 names no image"):
        build("table", table=str(put_table(scans, "sep=,\n" + text))).subjects()


def test_three_wrong_lines_are_named_and_the_others_counted(build, scans):
    text = "subject,sequence,image\n" + ",T1w,0.nii.gz\n" * 5
    with pytest.raises(DataError, match=r"line 2 has no subject; line 3 .*; line 4 .* \(and 2 more\)"):
        build("table", table=str(put_table(scans, text))).subjects()


@pytest.mark.parametrize(
    ("text", "encoding", "sentence"),
    [
        ("", "utf-8", "is empty"),
        ("\n \n", "utf-8", "is empty"),
        ("subject,sequence,image\n", "utf-8", "has no line below its header"),
        ("who,sequence,image\n01,T1w,0.nii.gz\n", "utf-8", r"has no column 'subject' \(columns.subject\)"),
        ("subject,sequence,image,image\n01,T1w,a,b\n", "utf-8", "2 columns of the name 'image'"),
        ('subject,sequence,image\n01,T1w,"0.nii.gz\n', "utf-8", "cannot be read as a table"),
        ("subject,sequence,image\nJörg,T1w,0.nii.gz\n", "cp1252", "is not UTF-8 text"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(build, scans, text, encoding, sentence):
    with pytest.raises(DataError, match=f"scans.csv.*{sentence}"):
        build("table", table=str(put_table(scans, text, encoding=encoding))).subjects()


def test_a_file_that_is_not_there_leaves_its_line_out_by_number(build, scans):
    text = FULL + "03,,London,T1w,gone.nii.gz,,50,f\n04,,London,T1w,3.nii.gz,gone-mask.nii.gz,50,f\n"
    (scans / "link.nii.gz").symlink_to(scans / "annex" / "not-fetched")
    text += "05,,London,T1w,link.nii.gz,,50,f\n06,,London,T1w,folder.nii,,50,f\n"
    text += f"07,,London,T1w,{'x' * 300}.nii,,50,f\n"
    (scans / "folder.nii").mkdir()
    dataset = build("table", table=str(put_table(scans, text)))
    assert list(by_name(dataset)) == ["01", "02", "04"]
    assert by_name(dataset)["04"].scans[0].labels == {}
    table = scans / "scans.csv"
    assert reasons(dataset.excluded()) == [
        f"{table}, line 5 names {scans}/gone.nii.gz, which is not there",
        f"{table}, line 6 names {scans}/gone-mask.nii.gz, which is not there: the scan has no label 'lesion'",
        f"{table}, line 7 names {scans}/link.nii.gz, which is a link to content that is not here",
        f"{table}, line 8 names {scans}/folder.nii, which is a folder",
        f"{table}, line 9 names {scans}/{'x' * 300}.nii, which is not to be opened (File name too long)",
    ]


def test_a_table_of_nothing_that_is_there_says_so(build, scans):
    dataset = build("table", table=str(put_table(scans, "subject,sequence,image\n01,T1w,x.nii\n")))
    with pytest.raises(DataError, match=r"holds no usable scan.*line 2 names .*x\.nii, which is not there"):
        dataset.subjects()


def test_a_repeated_line_counts_once_and_other_images_of_a_session_are_runs(build, scans):
    text = "subject,sequence,image\n01,T1w,0.nii.gz\n01,T1w,./0.nii.gz\n01,T1w,1.nii.gz\n"
    dataset = build("table", table=str(put_table(scans, text)))
    check_dataset(dataset)
    assert [scan.session for scan in by_name(dataset)["01"].scans] == ["", "run-2"]
    assert reasons(dataset.excluded()) == [f"{scans / 'scans.csv'}, line 3 repeats line 2"]
    assert reasons(dataset.remarks()) == ["line 4: 2 T1w images of one session: taken for runs"]


def test_names_stay_as_they_are_written(build, scans):
    text = "subject,session,site,sequence,image\n007,01,02,T1w,0.nii.gz\n7,1,2,T1w,1.nii.gz\n"
    people = by_name(build("table", table=str(put_table(scans, text))))
    assert {name: (one.scans[0].session, one.site) for name, one in people.items()} == {
        "007": ("01", "02"), "7": ("1", "2"),
    }  # fmt: skip


def test_paths_with_blanks_accents_backslashes_links_and_of_elsewhere(
    build, scans, tmp_path_factory, monkeypatch
):
    elsewhere = tmp_path_factory.mktemp("else where")
    accented = unicodedata.normalize("NFD", "Zoë.nii.gz")
    shutil.copy(scans / "0.nii.gz", elsewhere / accented)
    image(scans / "a b" / "scan (1).nii", 11)
    image(elsewhere / "of-variable.nii.gz", 12)
    (scans / "linked.nii.gz").symlink_to(scans / "2.nii.gz")
    monkeypatch.setenv("MY_SCANS", str(elsewhere))
    cells = [
        unicodedata.normalize("NFC", str(elsewhere / "Zoë.nii.gz")), "a b\\scan (1).nii",
        "$MY_SCANS/of-variable.nii.gz", "linked.nii.gz", "sub/../3.nii.gz",
    ]  # fmt: skip
    lines = "".join(f"{unicodedata.normalize('NFD', 'é')}{i},T1w,{cell}\n" for i, cell in enumerate(cells))
    dataset = build("table", table=str(put_table(scans, f"subject,sequence,image\n{lines}")))
    check_dataset(dataset)
    assert list(by_name(dataset)) == [f"é{i}" for i in range(5)]
    used = [subject.scans[0].images["image"] for subject in dataset.subjects()]
    assert used == [
        elsewhere / accented, scans / "a b" / "scan (1).nii", elsewhere / "of-variable.nii.gz",
        scans / "linked.nii.gz", scans / "3.nii.gz",
    ]  # fmt: skip


def test_paths_count_from_the_table_or_from_the_root(build, scans, tmp_path_factory, monkeypatch):
    table = put_table(tmp_path_factory.mktemp("tables"), FULL)
    assert [s.name for s in build("table", table=str(table), root=str(scans)).subjects()] == ["01", "02"]
    with pytest.raises(DataError, match="line 2 names"):
        build("table", table=str(table)).subjects()
    put_table(scans, FULL, "here.csv")
    assert len(build("table", table="here.csv", root=str(scans)).subjects()) == 2
    monkeypatch.chdir(scans)
    assert len(build("table", table="here.csv").subjects()) == 2
    assert "there is no file" in build("table", table="gone.csv").missing()
    assert "there is no folder" in build("table", table="gone.csv", root="gone").missing()


def test_another_folder_can_take_the_place_of_the_roots(build, registry, scans, tmp_path_factory):
    """As `mribench verify --root` does with what a job says of its data."""
    table = put_table(scans, FULL)
    reference = DatasetRef.model_validate({"name": "table", "table": str(table)})
    said = registry.resolve(reference, "test", "corrected").component()
    moved = tmp_path_factory.mktemp("moved") / "here"
    scans.rename(moved)
    assert "there is no folder" in build(**said).missing()
    dataset = build(**{**said, "root": str(moved)})
    assert [subject.name for subject in dataset.subjects()] == ["01", "02"]
    assert dataset.where() == str(moved / "scans.csv")


def test_a_spreadsheet_is_refused_by_its_name(build, scans):
    with pytest.raises(DataError, match=r"scans\.xlsx is no table that can be read, expected one of \.csv"):
        build("table", table=str(put_table(scans, FULL, "scans.xlsx"))).subjects()
    assert len(build("table", table=str(put_table(scans, FULL, "SCANS.CSV"))).subjects()) == 2


def test_scans_are_left_out_by_name_wherever_they_lie(build, scans, tmp_path_factory):
    far = image(tmp_path_factory.mktemp("far") / "far.nii.gz", 9)
    text = f"subject,sequence,image,label\n01,T1w,0.nii.gz,0-mask.nii.gz\n02,T1w,{far},\n03,T1w,2.nii.gz,\n"
    options = {"table": str(put_table(scans, text))}
    assert list(by_name(build("table", **options, exclude=["02", "2.nii.gz"]))) == ["01"]
    dataset = build("table", **options)
    first, second, _ = dataset.subjects()
    fewer = dataset.without({"a reason": first.scans[0], "another": second.scans[0]})
    assert [s.name for s in build("table", **fewer.model_dump(exclude_unset=True)).subjects()] == ["03"]
    unlabelled = build("table", **options, exclude={"0-mask*": "drawn by a trainee"})
    assert by_name(unlabelled)["01"].scans[0].labels == {}


def test_columns_have_any_name_and_may_be_put_together(build, scans):
    text = (
        "centre,nr,what,file,drawn,grey,white\nA,01,t1,0.nii.gz,0-mask.nii.gz,0-mask.nii.gz,1-mask.nii.gz\n"
    )
    columns = {"subject": "{centre}-{nr}", "site": "centre", "sequence": "what", "image": "file"}
    labels = {"lesion": "drawn", "tissue": ["grey", "white"]}
    dataset = build("table", table=str(put_table(scans, text)), columns=columns, labels=labels)
    (subject,) = dataset.subjects()
    assert (subject.name, subject.site, subject.scans[0].sequence) == ("A-01", "A", "t1")
    assert {name: len(paths) for name, paths in subject.scans[0].labels.items()} == {"lesion": 1, "tissue": 2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": {"subject": "participant"}}, "has no column 'participant' .columns.subject."),
        ({"columns": {"site": "{centre}"}}, "has no column 'centre' .columns.site."),
        ({"labels": {"lesion": "drawn"}}, "has no column 'drawn' .labels.lesion."),
        ({"covariates": ["bmi"]}, "has no column 'bmi' .covariates."),
    ],
)
def test_a_column_that_is_not_there_is_named(build, scans, options, sentence):
    with pytest.raises(DataError, match=sentence):
        build("table", table=str(put_table(scans, FULL)), **options).subjects()


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"pattern": "("}, "pattern"), ({"pattern": "x"}, "pattern"), ({"pattern": "(?P<who>x)"}, "pattern"),
        ({"columns": {"subject": "{a"}}, "columns.subject"),
        ({"columns": {"subject": "{}"}}, "columns.subject"),
        ({"columns": {"person": "a"}}, "columns.person"), ({"fill": {"image": "a"}}, "fill.image"),
        ({"labels": {"lesion": []}}, "labels"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(build, options, key):
    with pytest.raises(ConfigError, match=key):
        build("table", table="scans.csv", **options)
    with pytest.raises(ConfigError, match="table: required"):
        build("table")


def test_what_no_cell_says_is_in_the_path_or_meant_for_all(build, scans):
    for person in "ab":
        image(scans / "A" / f"sub-{person}" / "ses-2" / "t1.nii.gz", ord(person))
    text = "image,sequence\nA/sub-a/ses-2/t1.nii.gz,\nA/sub-b/ses-2/t1.nii.gz,T2w\n0.nii.gz,T1w\n"
    pattern = "(?P<site>[A-Z])/(?P<subject>sub-[^/]+)/(?P<session>ses-[^/]+)/"
    options = {"table": str(put_table(scans, text)), "pattern": pattern}
    with pytest.raises(DataError, match="line 4 has no subject"):
        build("table", **options, fill={"sequence": "T1w"}).subjects()
    people = by_name(build("table", **options, fill={"sequence": "T1w", "subject": "x", "site": "B"}))
    assert {n: (p.site, p.scans[0].session, p.scans[0].sequence) for n, p in people.items()} == {
        "a": ("A", "2", "T1w"), "b": ("A", "2", "T2w"), "x": ("B", "", "T1w"),
    }  # fmt: skip


def test_covariates_describe_subjects(build, scans):
    text = (
        "subject,sequence,image,age,echo_time,sex\n"
        "01,T1w,0.nii.gz,63,3,n/a\n01,T2w,1.nii.gz,,80,f\n02,T1w,2.nii.gz,NA,3,\n"
    )
    table = str(put_table(scans, text))
    dataset = build("table", table=table)
    assert [s.covariates for s in dataset.subjects()] == [{"age": 63, "sex": "f"}, {}]
    assert reasons(dataset.remarks()) == [f"{table}: echo_time differ(s) within subjects: no covariate"]
    assert reasons(dataset.excluded()) == []
    asked = build("table", table=table, covariates=["echo_time"])
    assert [s.covariates for s in asked.subjects()] == [{}, {"echo_time": 3}]
    assert "differ in echo_time: not used" in reasons(asked.excluded())[0]


def test_lists_in_json_say_what_is_around_an_image(build, scans):
    nested = {
        "collection": "mine",
        "subjects": {
            "sub-a": {
                "subject_id": "sub-a",
                "subject_info": {"age": 30, "sex": None},
                "sessions": {
                    "ses-1": {
                        "session_id": "ses-1",
                        "images": [
                            {"image_path": "0.nii.gz", "modality": "T1w", "masks": {"anat": "0-mask.nii.gz"}},
                            {"image_path": "1.nii.gz", "modality": "T2w", "masks": None},
                        ],
                    }
                },
            },
            "sub-b": {
                "subject_id": "sub-b",
                "sessions": {"x": {"images": [{"image_path": "2.nii.gz", "modality": "T1w"}]}},
            },
        },
    }
    columns = {
        "subject": "subject_id",
        "session": "session_id",
        "sequence": "modality",
        "image": "image_path",
    }
    table = str(put_table(scans, json.dumps(nested), "scans.json"))
    dataset = build("table", table=table, columns=columns, labels={"head": "anat"}, covariates=["age"])
    check_dataset(dataset)
    people = by_name(dataset)
    assert people["a"].covariates == {"age": 30}
    assert people["b"].covariates == {}
    assert [(s.session, s.sequence, list(s.labels)) for one in people.values() for s in one.scans] == [
        ("1", "T1w", ["head"]), ("1", "T2w", []), ("", "T1w", []),
    ]  # fmt: skip
    flat = [{"subject": 7, "sequence": "T1w", "image": "3.nii.gz"}, {"sequence": "T1w", "image": "4.nii.gz"}]
    with pytest.raises(DataError, match=r"flat\.json, entry 2 has no subject"):
        build("table", table=str(put_table(scans, json.dumps(flat), "flat.json"))).subjects()
    lines = "\n".join(json.dumps(item) for item in flat[:1])
    assert list(by_name(build("table", table=str(put_table(scans, lines, "a.jsonl"))))) == ["7"]


@pytest.mark.parametrize("text", ["", "[", "{}", "[[]]", "3", "[" * 100_000])
def test_a_json_file_without_images_is_named(build, scans, text):
    with pytest.raises(DataError, match=r"bad\.json"):
        build("table", table=str(put_table(scans, text, "bad.json"))).subjects()


def test_a_label_is_a_map_of_numbers_a_mask_or_shares(build, scans):
    numbers = np.zeros(SHAPE)
    numbers[2:5, 2:5, 2:5], numbers[6:9, 6:9, 6:9] = 3, 41
    write_volume(scans / "numbers.nii.gz", Volume(numbers, AFFINE), np.int16)
    share = np.random.default_rng(0).dirichlet(np.ones(3), SHAPE).astype(np.float32)
    for place, name in enumerate(("grey", "white")):
        write_volume(scans / f"{name}.nii.gz", Volume(share[..., place], AFFINE))
    text = "subject,sequence,image,seg,grey,white\n01,T1w,0.nii.gz,numbers.nii.gz,grey.nii.gz,white.nii.gz\n"
    labels = {"seg": "seg", "tissue": ["grey", "white"]}
    dataset = build("table", table=str(put_table(scans, text)), labels=labels)
    check_dataset(dataset)
    (scan,) = dataset.subjects()[0].scans
    assert np.array_equal(dataset.read_labels(scan, "seg").data, numbers[None])
    assert dataset.read_labels(scan, "tissue").data.shape == (2, *SHAPE)
    values = dataset.check_values(scan)
    assert values.problem == ""
    assert values.numbers == {"seg": (3, 41), "tissue": (1, 2)}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.linspace(0, 2, int(np.prod(SHAPE))).reshape(SHAPE), "expected whole numbers from 0, or shares"),
        (np.pad(np.full((2, 2, 2), -1.0), [(0, n - 2) for n in SHAPE]), "expected whole numbers from 0"),
        (np.pad(np.full((2, 2, 2), 2.0**25), [(0, n - 2) for n in SHAPE]), "above 16777216 numbers cannot"),
        (np.arange(np.prod(SHAPE)).reshape(SHAPE), "looks like an image, and no label"),
    ],
)
def test_a_label_that_is_none_is_named(build, scans, data, sentence):
    write_volume(scans / "bad.nii.gz", Volume(data, AFFINE))
    text = "subject,sequence,image,label\n01,T1w,0.nii.gz,bad.nii.gz\n"
    dataset = build("table", table=str(put_table(scans, text)))
    assert sentence in dataset.check_values(dataset.subjects()[0].scans[0]).problem
