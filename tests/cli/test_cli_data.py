"""``mribench data make``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from mribench.cli.data import data_group as command
from mribench.errors import ConfigError, DataError
from mribench.interfaces import Dataset, Entry, Exclusion
from mribench.plugins import load_registry
from mribench.registry import Registered


def invoke(*arguments: str):
    return CliRunner().invoke(command, list(arguments), standalone_mode=True)


def make(name: str, out: object, *arguments: str, **options: object):
    sets = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    return command.main(["make", name, str(out), *sets, *arguments], standalone_mode=False)


def test_help_has_an_example_and_needs_no_torch():
    assert "mribench data make DATASET folder --set" in invoke("make", "--help").output
    script = (
        "import sys\nfrom mribench.cli.data import data_group as command\n"
        "try:\n    command.main(['make', '--help'])\n"
        "except SystemExit:\n    pass\nsys.exit('torch' in sys.modules or 'nibabel' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_a_cohort_is_written(tmp_path, capsys):
    out = tmp_path / "cohort"
    assert make("phantom", out, layout="arc", subjects=2, spacing_mm=8, seed=7, lesions="false") == 0
    assert f"2 subjects in {out}" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert names == ["participants.tsv", "sub-M2001", "sub-M2002"]


def test_a_folder_is_not_overwritten_without_force(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    options = {"layout": "mpm", "subjects": 1, "spacing_mm": 8}
    with pytest.raises(DataError, match="not empty") as caught:
        make("phantom", tmp_path, **options)
    assert "--force" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
    assert make("phantom", tmp_path, "--force", **options) == 0
    assert (tmp_path / "precious.txt").read_text() == "mine"
    assert (tmp_path / "phantom001").is_dir()


def test_datasets_that_cannot_make_themselves_say_so(tmp_path):
    with pytest.raises(DataError, match="the dataset IXI cannot make itself: its files come from"):
        make("ixi", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_names_and_options_are_told(tmp_path):
    with pytest.raises(ConfigError, match="phantm") as caught:
        make("phantm", tmp_path)
    assert "phantom" in caught.value.hint
    with pytest.raises(ConfigError, match=r"^dataset\.phantom\.layout: "):
        make("phantom", tmp_path, layout="dicom")
    with pytest.raises(ConfigError, match=r"^dataset\.ixi\.layout: unknown key"):
        make("ixi", tmp_path, layout="arc")
    with pytest.raises(ConfigError, match=r"^dataset\.phantom\.spacing: unknown key") as caught:
        make("phantom", tmp_path, spacing=8)
    assert "spacing_mm" in caught.value.hint
    with pytest.raises(ConfigError, match=r"^dataset\.phantom\.spacing_mm: expected .*got 80"):
        make("phantom", tmp_path, spacing_mm=80)
    with pytest.raises(ConfigError, match=r"^--set seed: expected key=value"):
        make("phantom", tmp_path, "--set", "seed")


def test_options_within_options_are_set_by_dots(tmp_path, capsys):
    assert make("phantom", tmp_path / "out", **{"layout": "ixi", "spacing_mm": 8, "sites.HH": 1}) == 0
    assert "1 subject in" in capsys.readouterr().out


def test_a_dataset_of_anybodys_makes_itself(tmp_path, monkeypatch, capsys):
    class Made(Dataset):
        def __init__(self, options):
            pass

        def missing(self):
            return ""

        def subjects(self):
            return ()

        def write(self, out, progress=None):
            out.mkdir()
            (out / "subject.txt").write_text("data")
            progress(1, 1)

        def remarks(self):
            return [Exclusion("", "there is one subject only")]

    registry = load_registry()
    registry.add(Registered(Entry("dataset", "made", Made), "theirs", "theirs", "1"))
    monkeypatch.setattr("mribench.commands.data_make.load_registry", lambda: registry)
    assert make("made", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert (tmp_path / "out" / "subject.txt").read_text() == "data"
    assert f"1 subject in {tmp_path / 'out'}" in said.out
    assert "there is one subject only" in said.err


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
    maps = {"root": tmp_path / "maps", "lesions": "false"}
    assert make("labelmap", out, layout="mpm", draws=2, **maps) == 0
    assert f"2 subjects in {out}" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["cohort.tsv", "labelmap001", "labelmap002"]
    assert len(list((out / "labelmap001").iterdir())) == 5
    with pytest.raises(DataError, match="no folder"):
        make("labelmap", tmp_path / "other", root=tmp_path / "nowhere")
    assert make("labelmap", tmp_path / "one", subjects=5, **maps) == 0
    said = capsys.readouterr()
    assert f"1 subject in {tmp_path / 'one'}" in said.out
    assert f"'subjects' asks for 5 label maps, and {tmp_path / 'maps'} holds 1" in said.err
    labels[5, 5, 5] = 9999
    nib.save(nib.Nifti1Image(labels, np.diag([8.0, 8, 8, 1])), tmp_path / "maps" / "anna.nii.gz")
    with pytest.raises(DataError, match="9999") as refused:
        make("labelmap", tmp_path / "two", **maps)
    assert "--set unknown=background" in refused.value.hint
    assert make("labelmap", tmp_path / "two", unknown="background", **maps) == 0


@pytest.mark.parametrize("layout", ["ixi", "mpm"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, layout):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out"
    options = {"layout": layout, "subjects": 1, "spacing_mm": 8}
    with pytest.raises(DataError, match=f"^cannot write {out}: Not a directory") as caught:
        make("phantom", out, **options)
    assert "can be written" in caught.value.hint
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(DataError, match=r"^cannot write .*link"):
        make("phantom", tmp_path / "link" / "out", **options)


def test_a_disk_that_is_full_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mribench_datasets.phantom.cohort.write_table", full)
    with pytest.raises(DataError, match=r"^cannot write .*No space left"):
        make("phantom", tmp_path / "out", layout="mpm", subjects=1, spacing_mm=8)


def test_the_group_has_an_example():
    assert "mribench data check benchmarks/" in invoke("--help").output
