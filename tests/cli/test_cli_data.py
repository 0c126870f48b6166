"""``mribench data make``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from mribench.cli.data import command
from mribench.errors import ConfigError, DataError


def invoke(*arguments: str):
    return CliRunner().invoke(command, list(arguments), standalone_mode=True)


def make(*arguments: str):
    return command.main(["make", *arguments], standalone_mode=False)


def test_help_has_an_example_and_needs_no_torch():
    assert "mribench data make phantom --layout ixi" in invoke("make", "--help").output
    script = (
        "import sys\nfrom mribench.cli.data import command\n"
        "try:\n    command.main(['make', '--help'])\n"
        "except SystemExit:\n    pass\nsys.exit('torch' in sys.modules or 'nibabel' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_a_cohort_is_written(tmp_path, capsys):
    out = tmp_path / "cohort"
    options = ["--layout", "arc", "--subjects", "2", "--spacing", "8", "--seed", "7", "--no-lesions"]
    assert make("phantom", str(out), *options) == 0
    assert f"2 subjects in {out}" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert names == ["participants.tsv", "sub-M2001", "sub-M2002"]


def test_a_folder_is_not_overwritten_without_force(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    options = ["--layout", "mpm", "--subjects", "1", "--spacing", "8"]
    with pytest.raises(DataError, match="not empty") as caught:
        make("phantom", str(tmp_path), *options)
    assert "--force" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
    assert make("phantom", str(tmp_path), *options, "--force") == 0
    assert (tmp_path / "precious.txt").read_text() == "mine"
    assert (tmp_path / "phantom001").is_dir()


def test_datasets_that_cannot_make_themselves_say_so(tmp_path):
    with pytest.raises(DataError, match="'ixi' cannot make itself"):
        make("ixi", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_wrong_names_and_options_are_told(tmp_path):
    with pytest.raises(ConfigError, match="phantm") as caught:
        make("phantm", str(tmp_path))
    assert "phantom" in caught.value.hint
    with pytest.raises(ConfigError, match="layout"):
        make("phantom", str(tmp_path), "--layout", "dicom")
    with pytest.raises(ConfigError, match=r"'ixi' has no option --layout") as caught:
        make("ixi", str(tmp_path), "--layout", "arc")
    assert caught.value.hint == "its options: --root"
    with pytest.raises(ConfigError, match=r"'phantom' has no option --root") as caught:
        make("phantom", str(tmp_path), "--root", "x")
    assert "--layout, --subjects, --spacing" in caught.value.hint
    assert "spacing_mm" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^--spacing: ") as caught:
        make("phantom", str(tmp_path), "--spacing", "80")
    assert "spacing_mm" not in str(caught.value)
    assert invoke("make", "phantom", str(tmp_path), "--subjects", "0").exit_code == 2


def test_label_maps_become_a_cohort(tmp_path, capsys):
    import nibabel as nib
    import numpy as np

    labels = np.zeros((20, 20, 20), dtype=np.int16)
    labels[4:16, 4:16, 4:16] = 24
    labels[6:10, 6:14, 6:14], labels[10:14, 6:14, 6:14] = 3, 42
    labels[7:10, 8:12, 8:12], labels[10:13, 8:12, 8:12] = 2, 41
    (tmp_path / "maps").mkdir()
    nib.save(nib.Nifti1Image(labels, np.diag([8.0, 8, 8, 1])), tmp_path / "maps" / "anna.nii.gz")
    out = tmp_path / "out"
    options = ["--root", str(tmp_path / "maps"), "--layout", "mpm", "--draws", "2", "--no-lesions"]
    assert make("labelmap", str(out), *options) == 0
    assert f"2 subjects in {out}" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["cohort.tsv", "labelmap001", "labelmap002"]
    assert len(list((out / "labelmap001").iterdir())) == 5
    with pytest.raises(DataError, match="no folder"):
        make("labelmap", str(tmp_path / "other"), "--root", str(tmp_path / "nowhere"))
    one = ["--root", str(tmp_path / "maps"), "--no-lesions", "--subjects", "5"]
    assert make("labelmap", str(tmp_path / "one"), *one) == 0
    said = capsys.readouterr()
    assert f"1 subject in {tmp_path / 'one'}" in said.out
    assert "--subjects 5 takes so many label maps, and there are only 1" in said.err
    labels[5, 5, 5] = 9999
    nib.save(nib.Nifti1Image(labels, np.diag([8.0, 8, 8, 1])), tmp_path / "maps" / "anna.nii.gz")
    one = ["--root", str(tmp_path / "maps"), "--no-lesions"]
    with pytest.raises(DataError, match="9999") as refused:
        make("labelmap", str(tmp_path / "two"), *one)
    assert "--unknown background" in refused.value.hint
    assert make("labelmap", str(tmp_path / "two"), *one, "--unknown", "background") == 0


@pytest.mark.parametrize("layout", ["ixi", "mpm"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, layout):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out"
    options = ["--layout", layout, "--subjects", "1", "--spacing", "8"]
    with pytest.raises(DataError, match=f"^cannot write {out}: Not a directory") as caught:
        make("phantom", str(out), *options)
    assert "can be written" in caught.value.hint
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(DataError, match=r"^cannot write .*link"):
        make("phantom", str(tmp_path / "link" / "out"), *options)


def test_a_disk_that_is_full_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mribench_datasets.phantom.cohort.write_table", full)
    with pytest.raises(DataError, match=r"^cannot write .*No space left"):
        make("phantom", str(tmp_path / "out"), "--layout", "mpm", "--subjects", "1", "--spacing", "8")


def test_the_group_has_an_example():
    assert "mribench data check benchmarks/" in invoke("--help").output
