"""``mribench data table``: a table of scans, guessed from the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mribench.cli.data import data_group
from mribench.errors import ConfigError, DataError
from mribench.interfaces import Dataset, DatasetRef, Entry, TableDraft
from mribench.plugins import load_registry
from mribench.registry import Registered

HEADER = "subject,session,sequence,image"


def draft(*arguments: object) -> Result:
    return CliRunner().invoke(data_group, ["table", *map(str, arguments)], catch_exceptions=False)


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"never opened")
    return folder


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (
            ("p01/t1.nii.gz", "p01/flair.nii.gz", "p01/lesion_mask.nii.gz", "p02/T1.nii"),
            f"""{HEADER},label
p01,,FLAIR,p01/flair.nii.gz,p01/lesion_mask.nii.gz
p01,,T1w,p01/t1.nii.gz,p01/lesion_mask.nii.gz
p02,,T1w,p02/T1.nii,
""",
        ),
        (
            ("x/BraTS-GLI-1-0/BraTS-GLI-1-0-t1c.nii.gz", "x/BraTS-GLI-1-0/BraTS-GLI-1-0-t2f.nii.gz",
             "x/BraTS-GLI-1-0/BraTS-GLI-1-0-seg.nii.gz"),
            f"""{HEADER},label
BraTS-GLI-1-0,,FLAIR,x/BraTS-GLI-1-0/BraTS-GLI-1-0-t2f.nii.gz,x/BraTS-GLI-1-0/BraTS-GLI-1-0-seg.nii.gz
BraTS-GLI-1-0,,T1ce,x/BraTS-GLI-1-0/BraTS-GLI-1-0-t1c.nii.gz,x/BraTS-GLI-1-0/BraTS-GLI-1-0-seg.nii.gz
""",
        ),
        (
            ("imagesTr/case_1_0000.nii.gz", "imagesTr/case_1_0001.nii.gz", "labelsTr/case_1.nii.gz"),
            f"""{HEADER},label
case_1,,0000,imagesTr/case_1_0000.nii.gz,labelsTr/case_1.nii.gz
case_1,,0001,imagesTr/case_1_0001.nii.gz,labelsTr/case_1.nii.gz
""",
        ),
        (
            ("sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz", "sub-1/ses-2/anat/sub-1_ses-2_acq-x_FLAIR.nii.gz",
             "derivatives/a b/sub-1_ses-2_desc-lesion_mask.nii", "derivatives/fs/sub-1_ses-2_dseg.nii"),
            f"""{HEADER},label_dseg,label_lesion
1,2,FLAIR,sub-1/ses-2/anat/sub-1_ses-2_acq-x_FLAIR.nii.gz,derivatives/fs/sub-1_ses-2_dseg.nii,MASK
1,2,T1w,sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz,derivatives/fs/sub-1_ses-2_dseg.nii,MASK
""".replace("MASK", "derivatives/a b/sub-1_ses-2_desc-lesion_mask.nii"),
        ),
        (
            ("anna/visit1/MPRAGE.nii", "anna/visit2/MPRAGE.nii", "Jörg, 2.nii", "._Jörg.nii"),
            f"""{HEADER}
"Jörg, 2",,,"Jörg, 2.nii"
anna,visit1,T1w,anna/visit1/MPRAGE.nii
anna,visit2,T1w,anna/visit2/MPRAGE.nii
""",
        ),
        (("a/x.nii", "b/x.nii", "b/y.nii"), f"{HEADER}\na,,,a/x.nii\nb,,,b/x.nii\ny,,,b/y.nii\n"),
    ],
    ids=["folders", "brats", "nnunet", "bids", "visits", "one name in two folders"],
)  # fmt: skip
def test_a_draft_is_guessed_from_names(tmp_path, names, table):
    result = draft(put(tmp_path, *names))
    assert result.exit_code == 0
    assert result.stdout == table


def test_what_cannot_be_guessed_is_said(tmp_path):
    put(tmp_path, "a/x.nii", "b/x.nii", "c/seg.nii", "a/seg.nii", "a/sub/seg.nii")
    said = draft(tmp_path).stderr
    assert "2 images of no known sequence, to be filled in: " in said
    assert "2 labels of nobody's image: a/sub/seg.nii, c/seg.nii" in said
    assert "each label stands beside every image of its subject and session" in said


def test_a_draft_is_read_as_it_is(tmp_path):
    put(tmp_path, "p01/t1.nii", "p01/seg.nii", "Jörg, 2/T2.nii")
    output = tmp_path / "scans.csv"
    assert "2 images in" in draft(tmp_path, "-o", output).stderr
    component = DatasetRef.model_validate({"name": "table", "table": str(output)})
    dataset = load_registry().resolve(component, "test", "corrected").make()
    people = {subject.name: subject.scans for subject in dataset.subjects()}
    assert {name: [scan.sequence for scan in scans] for name, scans in people.items()} == {
        "Jörg, 2": ["T2w"], "p01": ["T1w"],
    }  # fmt: skip
    assert list(people["p01"][0].labels) == ["label"]


def test_no_file_is_overwritten(tmp_path):
    output = put(tmp_path, "p01/t1.nii", "scans.csv") / "scans.csv"
    with pytest.raises(DataError, match="is there already, and is not overwritten"):
        data_group.main(["table", str(tmp_path), "-o", str(output)], standalone_mode=False)
    assert output.read_bytes() == b"never opened"
    with pytest.raises(DataError, match="cannot write"):
        data_group.main(["table", str(tmp_path), "-o", str(tmp_path / "no" / "x.csv")], standalone_mode=False)


def test_a_folder_of_no_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no image"):
        data_group.main(["table", str(put(tmp_path, "a/seg.nii", "a/t1.mgz"))], standalone_mode=False)
    with pytest.raises(DataError, match="there is no folder"):
        data_group.main(["table", str(tmp_path / "gone")], standalone_mode=False)


class Sheets(Dataset):
    """Somebody else's dataset that reads tables."""

    def missing(self):
        return ""

    def subjects(self):
        return ()

    @classmethod
    def draft_table(cls, folder):
        return TableDraft(f"a sheet of {folder.name}\n", 1)


def test_another_plugins_tables_are_drafted_by_name(tmp_path, monkeypatch):
    registry = load_registry()
    entry = Entry("dataset", "sheets", Sheets, summary="a test's")
    registry.add(Registered(entry, "plugin", "somebody", "1"))
    monkeypatch.setattr("mribench.commands.data_table.load_plugins", lambda: registry)
    with pytest.raises(ConfigError, match="2 datasets read tables of scans") as caught:
        data_group.main(["table", str(tmp_path)], standalone_mode=False)
    assert "sheets, table" in caught.value.hint
    assert draft(tmp_path, "--dataset", "sheets").stdout == f"a sheet of {tmp_path.name}\n"
    with pytest.raises(ConfigError, match="reads no table of scans"):
        data_group.main(["table", str(tmp_path), "--dataset", "ixi"], standalone_mode=False)
