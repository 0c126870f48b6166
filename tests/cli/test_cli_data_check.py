"""``mribench data check`` on imitated archives."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mribench.cli.data import data_group as command
from mribench.errors import ConfigError

FILE = """\
benchmark: imitated
data:
  maps: {{name: mpm, root: "{root}/mpm"}}
  scans: {{name: ixi, root: "{root}/ixi"}}
  lesions: {{name: arc, root: "{root}/arc"}}
splits:
  maps: {{train: 2, validation: 1, test: 0}}
  scans: {{by: site, train_site: HH, train: 2, validation: 0, test: 1, test_sites: [Guys]}}
  lesions: {{train: 2, validation: 1, test: 2}}
defaults:
  encoder: {{name: cnn, features: [4, 8], dropout: 0}}
  pretrain: {{data: maps, patch_vox: 16, spacing_mm: 8, steps: 1, batch_size: 2, lr: 1.0e-3}}
methods:
  seqinv: {{views: seqinv, objective: simclr-recon}}
tasks:
  denoise:
    task: {{name: denoising, decoder: {{name: unet, features: [4], dropout: 0}}}}
    data: scans
    train_sequences: [T1w]
    test_sequences: [T1w, PDw]
    adapt: {{steps: 1, batch_size: 2, lr: 1.0e-3, patch_vox: 16, spacing_mm: 8}}
"""


def _imitated():
    """Load the writers of imitated archives, which live with the tests of the datasets."""
    path = Path(__file__).parents[1] / "mribench_datasets" / "imitated.py"
    spec = importlib.util.spec_from_file_location("imitated_for_cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


imitated = _imitated()


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("archives")
    for name in ("mpm", "ixi", "arc"):
        getattr(imitated, name)(root / name)
    return root


@pytest.fixture(scope="module")
def file(roots) -> Path:
    path = roots / "imitated.yaml"
    path.write_text(FILE.format(root=roots))
    return path


@pytest.fixture
def copied(roots, tmp_path) -> tuple[Path, Path]:
    """A benchmark file on archives that may be damaged, and their folder."""
    root = Path(shutil.copytree(roots, tmp_path / "archives", symlinks=True))
    path = tmp_path / "copied.yaml"
    path.write_text(FILE.format(root=root))
    return path, root


def check(*arguments: object, width: int = 100) -> Result:
    return CliRunner().invoke(
        command, ["check", *map(str, arguments)], standalone_mode=False, env={"COLUMNS": str(width)}
    )


def checked(*arguments: object) -> tuple[int, dict]:
    result = check(*arguments, "--format", "json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    return result.return_value, {cohort["name"]: cohort for cohort in found["cohorts"]} | {
        "usable": found["usable"]
    }


def rows(cohort: dict) -> list[tuple]:
    return [
        tuple(g[key] for key in ("site", "sequence", "subjects", "scans", "sessions"))
        for g in cohort["groups"]
    ]


# ---- exact counts --------------------------------------------------------------------------------------


def test_the_counts_of_imitated_archives(file):
    code, found = checked(file)
    assert code == 0
    assert found["usable"]
    assert rows(found["scans"]) == [
        ("Guys", "PDw", 1, 1, 1), ("Guys", "T1w", 2, 3, 3), ("Guys", "T2w", 1, 1, 1),
        ("HH", "PDw", 2, 2, 2), ("HH", "T1w", 2, 2, 2), ("HH", "T2w", 2, 2, 2), ("IOP", "T1w", 1, 1, 1),
    ]  # fmt: skip
    assert [g["labelled"].get("tissue", 0) for g in found["scans"]["groups"]] == [0, 1, 1, 0, 2, 1, 1]
    assert rows(found["lesions"]) == [
        ("ARC", "FLAIR", 2, 2, 2),
        ("ARC", "T1w", 4, 5, 5),
        ("ARC", "T2w", 5, 7, 7),
    ]
    assert rows(found["maps"]) == [("Leipzig", "qmri", 1, 1, 1), ("London", "qmri", 2, 2, 2)]
    assert [found[name]["subjects"] for name in ("maps", "scans", "lesions")] == [3, 6, 5]
    assert [found[name]["scans"] for name in ("maps", "scans", "lesions")] == [3, 12, 14]


def test_what_is_missing_left_out_remarked_and_ignored(file):
    found = checked(file, "--no-read", "--set", "tasks.denoise.test_sequences=[FLAIR]")[1]
    lacking = {reason["kind"]: reason["names"] for reason in found["scans"]["lacking"]}
    assert lacking == {
        "FLAIR": ["IXI002", "IXI012", "IXI013", "IXI014", "IXI035", "IXI041"],  # a task asks for it
        "PDw": ["IXI013", "IXI035", "IXI041"],
        "T1w": ["IXI014"],
        "T2w": ["IXI013", "IXI035", "IXI041"],
    }
    totals = {
        name: [sum(reason["count"] for reason in found[name][what]) for what in ("excluded", "remarks")]
        for name in ("maps", "scans", "lesions")
    }
    assert totals == {"maps": [3, 1], "scans": [7, 2], "lesions": [6, 5]}
    assert {name: sum(found[name]["ignored"].values()) for name in totals} == {
        "maps": 9,
        "scans": 18,
        "lesions": 6,
    }
    twice = next(
        reason for reason in found["scans"]["excluded"] if reason["kind"] == "file that is there twice"
    )
    assert (twice["count"], twice["names"]) == (2, ["IXI002", "IXI012"])
    assert found["scans"]["covariates"] == {"age": 4, "sex": 4}
    assert found["maps"]["covariates"] == {"age": 3, "sex": 2}


def test_split_and_mended_voxels(file):
    found = checked(file)[1]
    assert found["scans"]["split"] == {
        "train": {"HH": 2}, "validation": {}, "test": {"HH": 1, "Guys": 2}, "problem": ""
    }  # fmt: skip
    outside = int((~imitated.head()).sum())
    changes = {c["name"]: (c["scans"], c["clipped_vox"], c["repaired_vox"]) for c in found["maps"]["changes"]}
    assert changes == {
        "MTsat": (3, 0, 3 * outside), "PD": (3, 0, 3 * outside), "R2s": (3, 0, 3 * outside),
        "R1": (2, 3, 2 * outside), "R2": (1, 0, outside),
    }  # fmt: skip
    assert checked(file, "--no-read")[1]["maps"]["changes"] == []


# ---- what cannot be used -------------------------------------------------------------------------------


def test_all_unusable_files_are_listed_and_the_code_is_one(copied):
    path, root = copied
    truncated = root / "ixi" / "IXI-T1" / "IXI013-HH-1212-T1.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:-50])
    empty = root / "ixi" / "IXI002-Guys-0828-PD.nii.gz"
    empty.write_bytes(b"")
    lesion = (
        root
        / "arc/derivatives/lesion_masks/sub-M2005/ses-1/anat/sub-M2005_ses-1_acq-spc3_desc-lesion_mask.nii.gz"
    )
    imitated.mask(lesion, 255.0)
    r1 = root / "mpm" / "anna" / "Results" / "s01_R1.nii"
    imitated.put_map(r1, imitated.quantity("R1", 1e-3))
    far = imitated.AFFINE.copy()
    far[:3, 3] = 900
    flair = root / "arc" / "sub-M2001" / "ses-10" / "anat" / "sub-M2001_ses-10_FLAIR.nii.gz"
    imitated.image(flair, affine=far)
    code, found = checked(path)
    assert code == 1
    problems = {name: found[name]["problems"] for name in ("maps", "scans", "lesions")}
    assert [len(texts) for texts in problems.values()] == [1, 2, 2]
    for name, file in (
        ("scans", truncated),
        ("scans", empty),
        ("lesions", lesion),
        ("maps", r1),
        ("lesions", flair),
    ):
        (text,) = [text for text in problems[name] if str(file) in text]
        assert "\n" not in text
    assert "1/ms" in problems["maps"][0]
    assert "do not overlap" in "".join(problems["lesions"])
    text = check(path)
    assert text.return_value == 1
    assert str(truncated) in text.stdout
    assert "0 of 3 cohorts can be used" in text.stdout
    assert check(path, "--no-read").return_value == 0


def test_a_broken_table_is_a_remark_and_no_crash(copied):
    path, root = copied
    (root / "ixi" / "IXI.xls").write_bytes(b"garbage")
    code, found = checked(path, "--cohort", "scans", "--no-read")
    assert code == 0
    (remark,) = [r for r in found["scans"]["remarks"] if r["kind"] == "table that cannot be read"]
    assert "IXI.xls cannot be read as a table" in remark["sentences"][0]
    assert "covariates are left out" in remark["sentences"][0]
    assert found["scans"]["covariates"] == {}


# ---- what the file's tasks need ------------------------------------------------------------------------

SEGMENT = "tasks.denoise.task={name: tissue-segmentation, decoder: {name: unet, features: [4], dropout: 0}}"


def test_a_sequence_that_no_test_subject_has_is_told_as_plan_does(file):
    code, found = checked(file, "--no-read", "--set", "tasks.denoise.test_sequences=[T1w, FLAIR]")
    assert code == 1
    assert found["scans"]["problems"] == [
        "none of the 3 test subjects of 'scans' has a FLAIR scan, which task 'denoise' needs"
    ]
    assert not found["scans"]["usable"]
    assert found["maps"]["usable"]


def test_a_label_that_no_training_subject_has_is_told(copied):
    path, root = copied
    assert check(path, "--no-read", "--set", SEGMENT).return_value == 0
    for posterior in (root / "ixi").rglob("*c3*IXI*-T*"):
        posterior.unlink()
    assert check(path, "--no-read").return_value == 0  # denoising needs no label
    said = check(path, "--no-read", "--set", SEGMENT)
    assert said.return_value == 1
    sentence = "none of the 2 training subjects of 'scans' has a T1w scan with a 'tissue' label"
    assert sentence in said.stdout
    assert "not scans" in said.stdout


def test_a_cohort_of_strokes_without_masks_is_told(copied):
    path, root = copied
    shutil.rmtree(root / "arc" / "derivatives")
    lesions = "{name: lesion-segmentation, decoder: {name: unet, features: [4], dropout: 0}}"
    sets = (
        f"tasks.denoise.task={lesions}",
        "tasks.denoise.data=lesions",
        "tasks.denoise.test_sequences=same",
    )
    code, found = checked(path, "--no-read", *(part for one in sets for part in ("--set", one)))
    assert code == 1
    assert (
        "training subjects of 'lesions' has a T1w scan with a 'lesion' label"
        in found["lesions"]["problems"][0]
    )
    assert found["lesions"]["subjects"] == 5


# ---- cohorts that make themselves of files -------------------------------------------------------------


def _label_map(path: Path, change=lambda labels: labels) -> None:
    import nibabel as nib

    labels = np.zeros((20, 20, 20), dtype=np.float32)
    labels[4:16, 4:16, 4:16] = 24
    labels[6:10, 6:14, 6:14], labels[10:14, 6:14, 6:14] = 3, 42
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(change(labels), np.diag([8.0, 8, 8, 1])), path)


def test_label_maps_are_looked_at_before_the_cohort_is_made(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    maps = tmp_path / "maps"
    _label_map(maps / "good.nii.gz")
    data = ("--cohort", "maps", "--set", f"data.maps={{name: labelmap, root: {maps}}}")
    code, found = checked(file, *data)
    assert code == 1
    assert "not made yet; `mribench run` makes it" in found["maps"]["missing"]
    assert found["maps"]["problems"] == []
    _label_map(maps / "float.nii.gz", lambda labels: labels / 7)
    _label_map(maps / "huge.nii.gz", lambda labels: labels * np.float32(1e30))
    _label_map(maps / "unknown.nii.gz", lambda labels: np.where(labels == 24, 9999, labels))
    _label_map(maps / "nothing.nii.gz", lambda labels: labels * 0)
    (maps / "damaged.nii.gz").write_bytes(b"\x1f\x8b no more")
    (maps / "gone.nii.gz").symlink_to(tmp_path / "nowhere")
    code, found = checked(file, *data)
    assert code == 1
    assert "makes it" not in found["maps"]["missing"]
    problems = "\n".join(found["maps"]["problems"])
    assert len(found["maps"]["problems"]) == 6
    for name, why in (
        ("float", "between whole numbers"), ("huge", "between whole numbers"), ("unknown", "9999"),
        ("nothing", "no labelled voxel"), ("damaged", "damaged"), ("gone", "does not exist"),
    ):  # fmt: skip
        assert any(f"{name}.nii.gz" in line and why in line for line in problems.splitlines()), name
    said = check(file, *data).stdout
    assert "makes it" not in said
    assert "huge.nii.gz" in said
    assert not (tmp_path / "cache" / "labelmap").exists()


def test_a_folder_is_no_benchmark_file_and_an_empty_cohort_has_its_hint(file, tmp_path):
    result = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert "is a directory" in result.output
    assert "Errno" not in result.output
    (problem,) = checked(file, "--cohort", "scans", "--set", f"data.scans.root={tmp_path}")[1]["scans"][
        "problems"
    ]
    assert "holds no usable scan" in problem
    assert "give the folder that holds the files" in problem


def test_missing_cohorts_say_where_to_get_them(file, tmp_path, monkeypatch):
    monkeypatch.delenv("MRIBENCH_DATA", raising=False)
    result = check(file, "--set", f"data.scans.root={tmp_path / 'none'}", "--set", "data.lesions.root=")
    assert result.return_value == 1
    for words in (
        "MRIBENCH_IXI", "CC BY-SA 3.0", "https://brain-development.org/ixi-dataset/",
        "34901a0593b41dd19c1a1f746eac2d58  IXI-T1.tar", "MRIBENCH_ARC", "CC0", "ds004884",
        "1 of 3 cohorts can be used; not scans, lesions",
    ):  # fmt: skip
        assert words in result.stdout
    assert not (tmp_path / "none").exists()


def test_a_split_that_cannot_be_made_is_told(file):
    result = check(file, "--cohort", "lesions", "--no-read", "--set", "splits.lesions.train=20")
    assert result.return_value == 1
    assert "split        cannot be made: 20 train" in result.stdout


# ---- wrong use, and how it looks -----------------------------------------------------------------------


def test_wrong_use_is_refused(file, tmp_path):
    with pytest.raises(ConfigError, match="no cohort 'scan'") as caught:
        command.main(["check", str(file), "--cohort", "scan"], standalone_mode=False)
    assert "scans" in caught.value.hint
    with pytest.raises(ConfigError):
        command.main(["check", str(tmp_path / "none.yaml")], standalone_mode=False)
    assert CliRunner().invoke(command, ["check", str(file), "--format", "html"]).exit_code == 2


def test_the_terminal_shows_the_same_numbers(file):
    text = check(file).stdout
    assert "6 subjects, 12 scans" in text
    assert "2 × file that is there twice: IXI002, IXI012" in text
    assert "3 people (IXI013, IXI035, IXI041) without PDw" in text
    assert "train 2; validation 0; test 3 (HH 1, Guys 2)" in text
    assert "R1: 2,928 voxels not finite (read as 0), 3 clipped, in 2 scans" in text
    assert "all 3 cohorts can be used" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:2] == ["HH", "T1w"])
    assert row == ["HH", "T1w", "2", "2", "2", "2"]
    assert "\x1b" not in text
    assert check(file).stderr == ""


@pytest.mark.parametrize("width", [60, 100])
def test_lines_are_not_wrapped_into_paths(file, roots, width):
    lines = check(file, "--cohort", "scans", width=width).stdout.splitlines()
    example = "IXI-T1/IXI012-HH-1211-T1.nii.gz is there twice: IXI-T1/IXI012-HH-1211-T1.nii is used"
    assert [line for line in lines if line.endswith(example)]
    assert all("IXI-T1" not in line for line in lines if str(roots) in line)


def test_names_are_text_and_neither_markup_nor_control_characters(copied):
    path, root = copied
    table = root / "mpm" / "participants.tsv"
    table.write_text("participant_id\tsite\nanna\t[red]x[/red]\nbert\t\x1b[31mred\nsub-05\t[/nothing]\n")
    result = check(path, "--cohort", "maps", "--no-read")
    assert result.exception is None
    assert "[red]x[/red]" in result.stdout
    assert "[/nothing]" in result.stdout
    assert "\x1b" not in result.stdout


def test_looking_changes_nothing(file, roots):
    before = {path: path.lstat().st_mtime_ns for path in roots.rglob("*")}
    check(file)
    assert {path: path.lstat().st_mtime_ns for path in roots.rglob("*")} == before


def test_a_phantom_that_is_not_made_is_not_made(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    code, found = checked(file, "--cohort", "maps", "--set", "data.maps={name: phantom, subjects: 2}")
    assert code == 1
    assert "not made yet" in found["maps"]["missing"]
    assert not list((tmp_path / "cache").glob("phantom/*"))


def test_help_says_the_exit_codes():
    text = CliRunner().invoke(command, ["check", "--help"]).output
    assert "Exit code 0" in text
    assert np.all([word in text for word in ("--no-read", "--cohort", "--format")])


def test_a_variable_that_is_not_set_is_named(mribench, damaged, monkeypatch):
    path, root = damaged("ixi", lambda folder: None)
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    path.write_text(path.read_text().replace(str(root), "${NOT_SET_HERE}"))
    for words in (("data", "check"), ("plan",)):
        said = mribench(*words, path)
        assert "(${NOT_SET_HERE} is not set)" in said.out
    text = path.read_text().replace('SET_HERE}"', 'SET_HERE}", namespace: "${NOT_SET_HERE}"')
    path.write_text(text)
    said = mribench("plan", path)
    assert said.code == 2
    assert "namespace: expected a string, got None (${NOT_SET_HERE} is not set)" in said.err
