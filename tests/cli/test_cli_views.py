"""``mribench views``."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support_cli import contents, refused

from mribench.plugins import GROUP, load_registry

HOSTILE = """\
from mribench import hookimpl
from mribench.interfaces import Entry, NoOptions, View, ViewGenerator

NAME = "[red]$\\\\x^2${0}\\x1b[31m\\u65e5" * 9


class Hostile(ViewGenerator):
    needs = ("PD",)

    def __init__(self, options):
        pass

    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        image = maps["PD"][:, None]
        drawn = [{NAME: NAME, "te_s": 0.0123} for _ in generators]
        return [View(image, image, request.role, [NAME] * len(drawn), drawn) for request in requests]


@hookimpl
def mribench_entries():
    return [Entry("views", "hostile", Hostile, NoOptions, "text that is markup elsewhere")]
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def drawn(path: Path) -> bool:
    """Return whether a PNG shows anything."""
    with Image.open(path) as image:
        return float(np.asarray(image.convert("L")).std()) > 10


# ---- what is written and said --------------------------------------------------------------------------


def test_two_pictures_a_table_and_a_summary(mribench, file, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    before = contents(tmp_path)
    out, table = tmp_path / "new" / "views.png", tmp_path / "views.csv"
    said = mribench("views", file, "--out", out, "--csv", table, "--draws", 20, "--samples", 2)
    assert (said.code, said.err) == (0, "")
    beside = tmp_path / "new" / "views-parameters.png"
    assert drawn(out)
    assert drawn(beside)
    lines = said.out.splitlines()
    assert lines[-3:] == [f"wrote {path}" for path in (out, beside, table)]
    assert any("seqinv" in line and "20" in line and " %" in line for line in lines)
    assert "redraws per 100 views" in said.out
    found = rows(table)
    assert len({(row["step"], row["sample"], row["view"]) for row in found}) == 20
    assert {row["methods"] for row in found} == {"seqinv"}
    shares = {row["sequence"] for row in found}
    assert all(f"{name} " in said.out for name in shares)
    left = set(contents(tmp_path)) - set(before)
    assert left == {"new/views.png", "new/views-parameters.png", "views.csv"}, "nothing else is written"


def test_the_default_name_is_in_the_working_folder(mribench, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mribench("views", file, "--draws", 0, "--samples", 1).code == 0
    assert drawn(tmp_path / "views.png")
    assert not (tmp_path / "views-parameters.png").exists()


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".PNG"])
def test_other_formats(mribench, file, tmp_path, suffix):
    said = mribench("views", file, "--out", tmp_path / f"a.b{suffix}", "--draws", 8, "--samples", 1)
    assert said.code == 0
    assert {path.name for path in tmp_path.glob("a.b*")} == {f"a.b{suffix}", f"a.b-parameters{suffix}"}


def test_options_change_the_picture(mribench, file, tmp_path):
    changes = [(), ("--plane", "sagittal"), ("--targets",), ("--step", 1), ("--set", "seeds=[7]")]
    pictures = []
    sets = ("--set", "defaults.pretrain.steps=2")
    for number, options in enumerate(changes):
        out = tmp_path / f"{number}.png"
        assert mribench("views", file, *sets, "--out", out, "--draws", 0, "--samples", 2, *options).code == 0
        pictures.append(out.read_bytes())
    assert len(set(pictures)) == len(changes)
    again = tmp_path / "again.png"
    mribench("views", file, "--out", again, "--draws", 0, "--samples", 2, "--seed", 0)
    assert again.read_bytes() == pictures[0]


def test_a_phantom_makes_itself(mribench, file, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    phantom = "data.maps={name: phantom, layout: mpm, subjects: 3, spacing_mm: 8, seed: 0}"
    said = mribench(
        "views", file, "--set", phantom, "--out", tmp_path / "a.png", "--draws", 0, "--samples", 1
    )
    assert said.code == 0
    assert "making maps: 3 subjects" in said.out


def test_methods_that_share_their_views_are_one_row(mribench, file, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    sets = ("--set", "methods.twin.views=seqinv", "--set", "methods.twin.objective=simclr-recon")
    few = ("--draws", 8, "--samples", 1)
    said = mribench("views", file, *sets, "--out", tmp_path / "a.png", *few)
    assert sum("seqinv, twin" in line for line in said.out.splitlines()) == 1
    alone = mribench("views", file, *sets, "--out", tmp_path / "b.png", *few, "--method", "twin")
    assert "seqinv, twin" not in alone.out


def test_a_cohort_that_is_missing_beside_one_that_is_not(mribench, file, tmp_path):
    said = mribench(
        "views", file, "--out", tmp_path / "a.png", "--draws", 0, "--samples", 1,
        "--set", f"data.more={{name: mpm, root: {tmp_path / 'nowhere'}}}",
        "--set", "methods.x.views=mprage", "--set", "methods.x.objective=simclr-recon",
        "--set", "methods.x.pretrain.data=more",
    )  # fmt: skip
    assert said.code == 0
    assert "waiting for data.more: " in said.err


def test_hostile_text(mribench, file, tmp_path, monkeypatch):
    name = f"hostile_views_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry = load_registry([*entry_points(group=GROUP), EntryPoint("hostile", name, GROUP)])
    monkeypatch.setattr("mribench.commands.plugins.load_registry", lambda: registry)
    few = ("--draws", 8, "--samples", 2)
    for suffix in (".png", ".svg"):
        out, table = tmp_path / f"$x^{{2}}$ [bold]{suffix}", tmp_path / "t.csv"
        said = mribench(
            "views", file, "--set", "methods.seqinv.views=hostile", "--out", out, "--csv", table, *few
        )
        assert (said.code, said.err) == (0, "")
        assert "\x1b" not in said.out
        assert "[red]$" in said.out, "no markup"
        assert f"wrote {out}" in said.out
        assert out.stat().st_size > 1000
    assert any(row["parameter"] == row["value"] and "\x1b[31m" in row["value"] for row in rows(table))


# ---- one clear sentence --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["views.jpg", "views", "views.gif"])
def test_other_suffixes_are_refused_before_anything_is_made(mribench, file, tmp_path, name):
    said = mribench("views", file, "--out", tmp_path / name)
    refused(said, "expected a file name that ends in .png, .pdf or .svg")
    assert not (tmp_path / name).exists()


def test_places_that_cannot_be_written_to(mribench, file, tmp_path):
    (tmp_path / "folder.png").mkdir()
    refused(mribench("views", file, "--out", tmp_path / "folder.png"), "is a folder, expected a file", None)
    refused(mribench("views", file, "--out", file / "a.png"), f"{file} is no folder", "choose another place")
    (tmp_path / "b-parameters.png").mkdir()
    said = mribench("views", file, "--out", tmp_path / "b.png")
    refused(said, "b-parameters.png: is a folder, expected a file", "name a file in it")
    assert not (tmp_path / "b.png").exists(), "nothing is made first"
    assert mribench("views", file, "--out", tmp_path / "b.png", "--draws", 0, "--samples", 1).code == 0
    table = ("--csv", file / "a.csv")
    refused(mribench("views", file, "--out", tmp_path / "a.png", *table), f"{file} is no folder", None)


def test_a_table_that_is_the_figure_or_has_nothing_in_it(mribench, file, tmp_path):
    out = tmp_path / "a.svg"
    said = mribench("views", file, "--out", out, "--csv", tmp_path / "a-parameters.svg")
    refused(said, "is the figure's name too", "choose another")
    said = mribench("views", file, "--out", out, "--csv", tmp_path / "a.csv", "--draws", 0)
    refused(said, "--csv has the parameters that are drawn, and --draws is 0", "leave --draws out")


def test_a_disk_that_fills_up(mribench, file, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def full(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    said = mribench("views", file, "--out", tmp_path / "a.png", "--draws", 0)
    refused(said, "a.png: No space left on device", "choose another place")
    assert list(tmp_path.glob("*a.png*")) == []


def test_a_file_without_methods(mribench, file, tmp_path):
    said = mribench("views", file, "--set", "methods={}", "--out", tmp_path / "a.png")
    refused(said, "bad.yaml: no method pretrains, so no network is shown any views", "add one under methods")


def test_an_unknown_method_and_an_unknown_seed(mribench, file, tmp_path):
    out = ("--out", tmp_path / "a.png")
    refused(mribench("views", file, *out, "--method", "seqin"), "there is no method 'seqin'", "seqinv")
    refused(mribench("views", file, *out, "--seed", 9), "seed 9 is not among its seeds: 0", "seeds=[9]")


def test_a_step_beyond_the_training(mribench, file, tmp_path, monkeypatch):
    """Found before a cohort is made."""
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    phantom = "data.maps={name: phantom, layout: mpm, subjects: 3, spacing_mm: 8, seed: 0}"
    options = ("--set", phantom, "--set", "defaults.pretrain.steps=5", "--out", tmp_path / "a.png")
    said = mribench("views", file, *options, "--step", 5)
    refused(said, "bad.yaml: step 5 is beyond the training of 'seqinv', which has 5 steps", "--step 4")
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "a.png").exists()
    said = mribench("views", file, "--out", tmp_path / "a.png", "--step", 1)
    refused(said, "which has 1 step", "--step 0")


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_no_word_of_the_summary_is_cut(mribench, file, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    said = mribench("views", file, "--out", tmp_path / "a.png", "--draws", 8, "--samples", 1)
    assert "…" not in said.out
    words = {word for line in said.out.splitlines() for word in line.replace("│", " ").split()}
    assert {"seqinv", "8"} <= words
    assert "redraws" in words or "redraws" in said.out


def test_a_cohort_that_is_not_there(mribench, file, tmp_path):
    root = f"data.maps={{name: mpm, root: {tmp_path / 'nowhere'}}}"
    said = mribench("views", file, "--set", root, "--out", tmp_path / "a.png")
    refused(said, "data.maps: ", "mribench data check")
    assert "there is no folder" in said.message


def test_a_map_that_is_cut_short(mribench, damaged, tmp_path):
    def cut(root: Path) -> None:
        path = sorted(root.rglob("*_R1.nii*"))[0]
        path.write_bytes(path.read_bytes()[:500])

    file, _ = damaged("mpm", cut)
    refused(mribench("views", file, "--out", tmp_path / "a.png"), "_R1.nii", None)
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--samples", 0), "0 is not in the range 1<=x<=32"),
     (("--samples", "many"), "'many' is not a valid integer"),
     (("--draws", -1), "-1 is not in the range"), (("--step", -1), "-1 is not in the range"),
     (("--plane", "oblique"), "'oblique' is not one of 'axial', 'coronal', 'sagittal'"),
     (("--seed", -3), "-3 is not in the range")],
)  # fmt: skip
def test_wrong_options(mribench, file, options, message):
    said = mribench("views", file, *options)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_no_file(mribench, tmp_path):
    refused(mribench("views", tmp_path / "nowhere.yaml"), "nowhere.yaml", None)


def test_help_needs_neither_torch_nor_matplotlib():
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom mribench.cli import cli\n"
        "result = CliRunner().invoke(cli, ['views', '--help'])\n"
        "assert 'contact sheet' in result.output\n"
        "sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_no_figure_of_pyplot_is_left(mribench, file, tmp_path):
    """Nothing that a notebook would show, and no state that it would share."""
    from matplotlib import pyplot

    assert mribench("views", file, "--out", tmp_path / "a.png", "--draws", 8, "--samples", 1).code == 0
    assert pyplot.get_fignums() == []
