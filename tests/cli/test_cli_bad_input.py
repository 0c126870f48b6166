"""Bad input through the whole command line: exit code 2, one sentence, a hint, and nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support_cli import BENCHMARK, contents, refused

T1 = Path("IXI-T1") / "IXI001-Guys-0001-T1.nii.gz"
GREY = Path("IXI-T1") / "c1IXI001-Guys-0001-T1.nii.gz"


# The benchmark file

TYPOS = [
    ("defaults.pretrain.stepz=3", "defaults.pretrain.stepz: unknown key", "did you mean 'steps'?"),
    (
        "methods.seqinv.objective.temprature=1",
        "methods.seqinv.objective.temprature: unknown key",
        "did you mean 'temperature'?",
    ),
    ("data.scans.roots=x", "data.scans.roots: unknown key", "did you mean 'root'?"),
    ("defaults.pretrain.steps=many", "defaults.pretrain.steps: expected an integer, got 'many'", ""),
    (
        "defaults.encoder.features=many",
        "defaults.encoder.features: expected a list, got 'many'",
        "write [many]",
    ),
    ("defaults.encoder.features=[4,-8]", "defaults.encoder.features.1: expected a number greater than 0", ""),
    ("tasks.denoise.task.sigma=x", "tasks.denoise.task.sigma: expected a number, got 'x'", ""),
    ("data.scans.root=5", "data.scans.root: expected a path, got 5", ""),
    ("methods=3", "methods: expected a mapping, got 3", ""),
    ("methods.seqinv.views=seqin", "methods.seqinv.views: unknown views 'seqin'", "did you mean 'seqinv'?"),
    ("methods.seqinv.objective=zzzz", "unknown objective 'zzzz'", "known: "),
    ("methods.seqinv.views.sequences=[fsee, gre]", "views.sequences.0: unknown sequence 'fsee'", "'fse'"),
    ("tasks.denoise.task.metrics=[psnnr]", "tasks.denoise.task.metrics.0: unknown metric", None),
    ("tasks.denoise.task.decoder=unett", "tasks.denoise.task.decoder: unknown decoder", "'unet'"),
    ("splits.maps={by: sit}", "splits.maps: unknown split 'sit'", "did you mean 'site'?"),
    ("splits.maps={by: site}", "splits.maps.train_site: required, and not given", ""),
    ("data.maps=mpn", "data.maps: unknown dataset 'mpn'", "did you mean 'mpm'?"),
    ("tasks.denoise.data=scan", "tasks.denoise.data: no cohort 'scan' under 'data'", "did you mean 'scans'?"),
    (
        "report.tables=[leaderbord]",
        "report.tables: there is no table 'leaderbord'",
        "'leaderboard'",
    ),
    ("report.tables=[transfer, paper-2]", "report.tables: there is no table 'paper-2'", "'paper-1'"),
]
MALFORMED = [
    "x",
    "=3",
    "a..b=3",
    "methods.seqinv",
    "methods.seqinv.views=[",
    "methods.seqinv.views={a: 1, a: 2}",
    "seeds=!!python/none",
]


@pytest.mark.parametrize(("setting", "message", "hint"), TYPOS, ids=[setting for setting, _, _ in TYPOS])
def test_wrong_values(mribench, file, tmp_path, setting, message, hint):
    said = mribench("run", file, "--set", setting, "--results", tmp_path / "results")
    refused(said, message, hint)
    assert "bad.yaml" in said.message
    assert not (tmp_path / "results").exists(), "refused before anything is made"


@pytest.mark.parametrize("setting", MALFORMED)
def test_malformed_settings(mribench, file, tmp_path, setting):
    said = mribench("plan", file, "--set", setting, "--results", tmp_path / "results")
    refused(said, f"--set {setting.partition('=')[0]}", None)
    assert said.hint


TEXTS = {
    "empty": ("", "bad.yaml: expected a mapping of keys, got nothing", "start with 'benchmark: <name>'"),
    "comment": ("# nothing\n", "bad.yaml: expected a mapping of keys, got nothing", None),
    "bracket": ("benchmark: bad\nseeds: [0, 1\ndata: {}\n", "bad.yaml: line 3: not YAML", "brackets"),
    "tab": ("benchmark: bad\ndata:\n\tmaps: mpm\n", "bad.yaml: line 3: not YAML", None),
    "duplicate": ("benchmark: bad\nbenchmark: b\n", "line 2: duplicate key 'benchmark'", "remove one"),
    "zero byte": ("\0", "bad.yaml: not YAML", None),
}


@pytest.mark.parametrize(("text", "message", "hint"), TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("command", ["run", "report"])
def test_files_that_are_no_benchmark(mribench, file, command, text, message, hint):
    file.write_text(text)
    refused(mribench(command, file), message, hint)


@pytest.mark.parametrize("command", ["run", "plan", "report"])
def test_a_file_that_is_not_there(mribench, file, command):
    said = mribench(command, file.with_name("baad.yaml"))
    refused(said, "baad.yaml: there is no such file", "in that folder: bad.yaml")


def test_wrong_use_of_the_command_line(mribench, file, tmp_path):
    where = ("--results", tmp_path / "results")
    refused(
        mribench("run", file, *where, "--executor", "locl"),
        "--executor locl: unknown executor 'locl'",
        "'local'",
    )
    refused(mribench("run", file, *where, "--gpus", "17"), "--gpus 17: there is no GPU '17'", None)
    assert not (tmp_path / "results").exists()
    said = mribench("run", file, *where, "--only", "seqimv/*")
    refused(said, "--only seqimv/*: no job has such a name", "mribench plan FILE --jobs")
    for arguments in (
        ["runn", file],
        ["run"],
        ["run", file, "--zzz"],
        ["list", "zzz"],
        ["status", "nowhere"],
    ):
        said = mribench(*arguments)
        assert said.code == 2
        assert "Traceback" not in said.err
    assert contents(tmp_path / "results") == {
        "bad/store.json": contents(tmp_path / "results")["bad/store.json"]
    }


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["runn"], "run"), (["raport"], "report"), (["data", "chek"], "check"), (["plugins", "lst"], "list")],
)
def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(mribench, arguments, meant):
    said = mribench(*arguments)
    assert said.code == 2
    assert f"No such command '{arguments[-1]}'" in said.err
    assert f"id you mean '{meant}'?" in said.err


def test_where_there_is_no_such_command_all_are_named(mribench):
    assert "No such command 'zzz'; known: cancel, check, clean, compare, data, " in mribench("zzz").err


# What fits by itself and not together: found before hours of training

MISFITS = [
    (["defaults.pretrain.patch_vox=17"], ": defaults.pretrain.patch_vox: expected a multiple of 2", "16"),
    (
        ["methods.seqinv.pretrain.patch_vox=17"],
        ": methods.seqinv.pretrain.patch_vox: expected a multiple of 2",
        "16",
    ),
    (["tasks.denoise.adapt.patch_vox=17"], "tasks.denoise.adapt.patch_vox: expected a multiple of 2", "16"),
    (
        ["tasks.denoise.adapt.window_vox=[16, 17, 16]"],
        "tasks.denoise.adapt.window_vox: expected a multiple",
        "16",
    ),
    (
        ["tasks.denoise.task.decoder.features=[7, 7]"],
        "tasks.denoise.task: decoder unet.features: expected 1",
        None,
    ),
    (["methods.seqinv.views.sequences=[fse]"], "methods.seqinv.views: ", "fse"),
    (
        ["tasks.denoise.train_sequences=[T9w]"],
        "tasks.denoise.train_sequences: none of the 2 training subjects of 'scans' has a T9w scan",
        "PDw, T1w, T2w",
    ),
    (
        ["tasks.denoise.test_sequences=[T1w, FLAIR]"],
        "tasks.denoise.test_sequences: none of the 1 test subjects of 'scans' has a FLAIR scan",
        "PDw, T1w, T2w",
    ),
    (["tasks.denoise.task=lesion-segmentation"], "a T1w scan with a 'lesion' label", "labels there: tissue"),
    (
        ["defaults.pretrain.data=scans"],
        "methods.seqinv.views: 2 of 2 subjects of 'scans' have no scan with the maps PD, R1",
        "pretrain.data",
    ),
    (
        ["defaults.pretrain.batch_size=9"],
        "a batch of 9 needs as many pretraining subjects, and 'maps' has 2",
        "splits.maps.train",
    ),
    (
        ["defaults.pretrain.batch_size=1"],
        ": defaults.pretrain.batch_size: expected at least 2, the smallest batch that the objective",
        "write 2 or more",
    ),
    (
        ["methods.seqinv.pretrain.batch_size=1"],
        ": methods.seqinv.pretrain.batch_size: expected at least 2, the smallest batch that the objective",
        "write 2 or more",
    ),
    (["splits.maps={train: 0, validation: 1, test: 0}"], "'maps' has 0", None),
    (
        ["splits.scans={train: 0, validation: 0, test: 1}"],
        "tasks.denoise.data: 'scans' has no training subject",
        "splits.scans",
    ),
    (
        ["splits.scans={train: 2, validation: 0, test: 0}"],
        "tasks.denoise.data: 'scans' has no test subject",
        "splits.scans",
    ),
    (
        ["splits.scans={train: 20, validation: 0, test: 10}"],
        "splits.scans: 20 train + 0 validation + 10 test = 30 subjects, but the cohort has 3",
        "shares",
    ),
    (["splits.scans={train: 0.9, validation: 0.5, test: 0.1}"], "splits.scans: the shares", ""),
    (
        ["splits.scans={by: site, train_site: Guy}"],
        "splits.scans: no subject was scanned at site 'Guy'",
        "Guys, HH",
    ),
    (
        ["invariance={scans: {sequences: [T1w, FLAIR], patch_vox: 16}}"],
        "invariance.scans.sequences: none of the 1 test subjects of 'scans' has a FLAIR scan",
        "PDw, T1w, T2w",
    ),
    (
        [
            "invariance={maps: {sequences: [T1w, T2w], patch_vox: 16}}",
            "splits.maps={train: 3, validation: 0, test: 0}",
        ],
        "invariance.maps: 'maps' has no test subject",
        "splits.maps",
    ),
    (
        ["invariance={scans: {sequences: [T1w], patch_vox: 16}}"],
        "invariance.scans.sequences: needs two or more to compare, got T1w alone",
        "add the sequences",
    ),
    (
        ["invariance={scans: {sequences: [T1w, T2w], patch_vox: 17}}"],
        "invariance.scans.patch_vox: expected a multiple of 2",
        "16",
    ),
    (
        ["invariance={scans: {sequences: [T1w, T2w], patch_vox: 2}}"],
        "invariance.scans.patch_vox: encoder 'cnn': expected edges",
        None,
    ),
]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(("settings", "message", "hint"), MISFITS, ids=[m[0][0] for m in MISFITS])
def test_misfits_are_found_before_anything_runs(mribench, file, results, command, settings, message, hint):
    before = contents(results)
    sets = [part for setting in settings for part in ("--set", setting)]
    refused(mribench(command, file, *sets, "--results", results), message, hint)
    assert contents(results) == before


def test_the_same_people_for_pretraining_and_test(mribench, file, cohorts, results):
    before = contents(results)
    sets = [f"data.again={{name: ixi, root: '{cohorts / 'ixi'}'}}", "defaults.pretrain.data=again"]
    said = mribench("run", file, "--results", results, *(part for text in sets for part in ("--set", text)))
    refused(said, "1 subject of pretraining (again) is also in the test set of scans", "splits")
    assert "ixi:IXI00" in said.message
    assert contents(results) == before


# Damaged data


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = nib.load(path)
    voxels = np.asarray(image.dataobj, dtype=np.float32).copy()
    nib.save(nib.Nifti1Image(change(voxels), image.affine), path)


def poisoned(voxels: np.ndarray) -> np.ndarray:
    voxels[3, 3, 3] = np.nan
    return voxels


def relabel(root: Path) -> None:
    for tissue in "123":
        rewrite(root / GREY.with_name(GREY.name.replace("c1", f"c{tissue}")), lambda v: v[:-2])


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated": (
        "ixi",
        lambda r: (r / T1).write_bytes((r / T1).read_bytes()[:-200]),
        "truncated or damaged",
    ),
    "empty file": ("ixi", lambda r: (r / T1).write_bytes(b""), "is empty"),
    "text": ("ixi", lambda r: (r / T1).write_bytes(b"hello"), "cannot be read as NIfTI"),
    "2D": ("ixi", lambda r: rewrite(r / T1, lambda v: v[:, :, 3]), "is not 3D"),
    "4D": ("ixi", lambda r: rewrite(r / T1, lambda v: np.stack([v, v], -1)), "holds more than one volume"),
    "NaN": ("ixi", lambda r: rewrite(r / T1, poisoned), "1 voxels that are not finite"),
    "constant": ("ixi", lambda r: rewrite(r / T1, lambda v: v * 0), "same value in every voxel"),
    "label shape": ("ixi", relabel, "image and label of other shape"),
    "maps shape": (
        "mpm",
        lambda r: rewrite(r / "phantom001" / "phantom001_R1.nii.gz", lambda v: v[:-2]),
        "not on one grid",
    ),
}


@pytest.mark.parametrize(("layout", "damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_data(mribench, damaged, results, layout, damage, message):
    """A scan that cannot be used is left out by name; the split of the maps wants all of them."""
    before = contents(results)
    path, root = damaged(layout, damage)
    said = mribench("plan", path, "--results", results)
    if layout == "mpm":
        refused(said, message, "nothing was run and nothing is lost")
        assert said.message.startswith("data.maps: ")
        assert "without these scans splits.maps: 2 train + 1 validation" in said.message
        told = said.message
    else:
        assert said.code == 0
        told = next(line for line in said.out.splitlines() if line.startswith("note: data.scans: IXI001: "))
        assert "note: scans: 1 of 2 subjects have no T1w scan" in said.out
    assert message in told
    assert str(root) in told, "the file is named"
    assert contents(results) == before


def test_a_run_goes_on_without_a_damaged_scan(mribench, damaged, results):
    path, root = damaged("ixi", lambda r: (r / T1).write_bytes(b""))
    said = mribench("run", path, "--results", results, "--executor", "inline")
    assert said.code == 0
    assert "note: data.scans: IXI001: a scan is left out, it cannot be used: " in said.out
    assert f"{root / T1} is empty" in said.out


def test_where_no_scan_is_left_nothing_runs(mribench, damaged, results):
    path, root = damaged("mpm", lambda r: [file.write_bytes(b"") for file in r.rglob("*_R1.nii.gz")])
    said = mribench("run", path, "--results", results, "--executor", "inline")
    refused(said, f"{root}/phantom001/phantom001_R1.nii.gz is empty", "no scan is left")


@pytest.mark.parametrize("layout", ["ixi", "mpm"])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_empty_folder(mribench, damaged, tmp_path, layout, command):
    path, root = damaged(layout, lambda r: [shutil.rmtree(p) for p in r.iterdir() if p.is_dir()])
    said = mribench(command, path, "--results", tmp_path / "results")
    refused(said, f"{root} holds no usable scan", "give the folder that holds the files")


def test_a_folder_that_is_not_there_is_waited_for(mribench, cohorts, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(BENCHMARK.format(ixi=tmp_path / "a", mpm=tmp_path / "b"))
    planned = mribench("plan", path, "--results", tmp_path / "results")
    assert planned.code == 1
    assert sum(text.startswith("waiting for data.") for text in planned.out.splitlines()) == 2
    said = mribench("run", path, "--results", tmp_path / "results", "--executor", "inline")
    assert said.code == 2
    assert said.message.startswith("no job can run: data.maps: ")
    assert "data.scans: " in said.message
