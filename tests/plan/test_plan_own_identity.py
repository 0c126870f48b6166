"""A user's own cohorts take part in the leakage gate: by names, aliases, and the voxels of their images."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from mribench.config import load_benchmark, resolve
from mribench.data.twins import SeenImages
from mribench.errors import LeakageError
from mribench.plan import open_cohorts
from mribench.plan.leakage import check_leakage
from mribench.plugins import load_registry
from mribench.volumes import Volume, write_volume

FILE = """\
benchmark: own
data:
  learnt: {name: table, table: TABLE}
  tested: {name: bids, root: ROOT}
splits:
  tested: {train: 1, validation: 0, test: 2}
defaults:
  encoder: {name: cnn, features: [4, 8]}
tasks:
  denoise:
    task: denoising
    data: tested
    train_sequences: [T1w]
    adapt: {steps: 2, batch_size: 1, lr: 1.0e-3, patch_vox: 8, spacing_mm: 8}
"""


def put_image(path: Path, seed: int) -> Path:
    """Write noise of a seed, which only its own copies share."""
    write_volume(path, Volume(np.random.default_rng(seed).random((9, 10, 11)), np.diag([8.0, 8, 8, 1])))
    return path


@pytest.fixture
def gate(tmp_path: Path) -> Callable[..., None]:
    """Pretrains on a table of the images given, by subject, and tests on a BIDS folder of p1, p2, p3."""
    for number in (1, 2, 3):
        put_image(tmp_path / f"bids/sub-p{number}/anat/sub-p{number}_T1w.nii.gz", number)

    def _gate(images: dict[str, Path], *sets: str) -> None:
        lines = [f"{subject},T1w,{path}" for subject, path in images.items()]
        (tmp_path / "scans.csv").write_text("\n".join(["subject,sequence,image", *lines]))
        file = tmp_path / "own.yaml"
        text = FILE.replace("TABLE", str(tmp_path / "scans.csv")).replace("ROOT", str(tmp_path / "bids"))
        file.write_text(text)
        cohorts = open_cohorts(resolve(load_benchmark(file, sets), load_registry()))
        pretraining = SimpleNamespace(options=SimpleNamespace(data=[SimpleNamespace(cohort="learnt")]))
        task = SimpleNamespace(spec=SimpleNamespace(data="tested"))
        benchmark: Any = SimpleNamespace(
            config=SimpleNamespace(invariance={}),
            methods={"m": SimpleNamespace(weights=None)},
            pretrained=lambda: {"m": pretraining},
            tasks={"t": task},
        )
        check_leakage(benchmark, cohorts)

    return _gate


def unpacked(source: Path, target: Path) -> Path:
    target.write_bytes(gzip.decompress(source.read_bytes()))
    return target


def reoriented(source: Path, target: Path) -> Path:
    image = nib.load(source)
    nib.save(image.as_reoriented(nib.orientations.axcodes2ornt(("P", "L", "S"))), target)
    return target


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copy(source, target))


def linked(source: Path, target: Path) -> Path:
    target.symlink_to(source)
    return target


def test_other_people_pass(gate, tmp_path):
    gate({"q1": put_image(tmp_path / "q1.nii.gz", 11), "q2": put_image(tmp_path / "q2.nii.gz", 12)})


@pytest.mark.parametrize("make", [unpacked, reoriented, copied, linked])
def test_one_scan_under_two_names_is_refused(gate, tmp_path, make):
    copies = {
        f"q{number}": make(
            tmp_path / f"bids/sub-p{number}/anat/sub-p{number}_T1w.nii.gz",
            tmp_path / f"q{number}.nii{'' if make is unpacked else '.gz'}",
        )
        for number in (1, 2, 3)
    }
    with pytest.raises(LeakageError, match=r"under another name: bids:p\d is table:q\d .the same image: "):
        gate(copies)


def test_names_meet_in_one_namespace(gate, tmp_path):
    others = {f"sub-P{number}": put_image(tmp_path / f"{number}.nii.gz", 20 + number) for number in (1, 2, 3)}
    gate(others)
    with pytest.raises(
        LeakageError, match=r"2 subjects of pretraining .learnt. are also in the test set"
    ) as caught:
        gate(others, "data.learnt.namespace=study", "data.tested.namespace=study")
    assert "'namespace'" in caught.value.hint


def test_aliases_and_archives_ids_say_who_is_whom(gate, tmp_path):
    image = put_image(tmp_path / "q.nii.gz", 31)
    alias = "data.learnt.aliases={q: ['bids:p1', 'bids:p2', 'bids:p3']}"
    with pytest.raises(LeakageError, match="2 subjects of pretraining"):
        gate({"q": image}, alias)
    for number in (1, 2, 3):
        name = f"sub-IXI00{number}"
        put_image(tmp_path / f"bids/{name}/anat/{name}_T1w.nii.gz", 40 + number)
    with pytest.raises(LeakageError, match="also in the test set"):
        gate(
            {f"ixi_{n}": put_image(tmp_path / f"ixi{n}.nii", 50 + n) for n in (1, 2, 3)},
            "splits.tested.test=5",
        )


def test_one_image_for_two_people_of_a_table_is_remarked(tmp_path):
    first = put_image(tmp_path / "a.nii.gz", 1)
    copied(first, tmp_path / "b.nii.gz")
    (tmp_path / "scans.csv").write_text("subject,sequence,image\n1,T1w,a.nii.gz\n2,T1w,b.nii.gz\n")
    entry = load_registry().get("dataset", "table").entry
    dataset = entry.factory(entry.options(table=tmp_path / "scans.csv"))
    (remark,) = SeenImages().remarks("mine", list(dataset.subjects()))
    assert "is the same image as table:1's" in remark.reason
