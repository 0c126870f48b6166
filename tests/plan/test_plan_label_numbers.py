"""Numbers of a label that no class has, and classes that nobody has, are found before any job runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mribench.commands.data_check import show_check
from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.plan import open_cohorts
from mribench.plan.feasibility import check_feasible
from mribench.plugins import load_registry
from mribench.volumes import Volume, write_volume

FILE = """\
benchmark: own
data:
  mine: {name: table, root: ROOT, table: scans.csv}
splits:
  mine: {train: 4, validation: 0, test: 2}
defaults:
  encoder: {name: cnn, features: [4, 8]}
reference_arms: [scratch]
tasks:
  seg:
    task: {name: segmentation, classes: {edema: 2, core: [1, 4]}}
    data: mine
    train_sequences: [T1w]
    adapt: {steps: 2, batch_size: 1, lr: 1.0e-3, patch_vox: 8, spacing_mm: 8}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Six people whose labels have the numbers 1 and 2, one also 4."""
    lines = ["subject,sequence,image,label"]
    for number in range(6):
        data = np.random.default_rng(number).random((12, 12, 12))
        label = np.zeros((12, 12, 12))
        label[2:5, 2:5, 2:5], label[6:9, 6:9, 6:9] = 1, 2
        label[10, 10, 10] = 4 if number == 3 else 0
        for name, values in (("t1", data), ("seg", label)):
            write_volume(tmp_path / f"{number}-{name}.nii.gz", Volume(values, np.diag([8.0, 8, 8, 1])))
        lines.append(f"p{number},T1w,{number}-t1.nii.gz,{number}-seg.nii.gz")
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    path = tmp_path / "own.yaml"
    path.write_text(FILE.replace("ROOT", str(tmp_path)))
    return path


def plan(file: Path, *sets: str) -> None:
    resolved = resolve(load_benchmark(file, sets), load_registry())
    check_feasible(resolved, open_cohorts(resolved))


def test_classes_that_fit_are_planned(file):
    plan(file)
    plan(file, "tasks.seg.task.classes={any: [1, 2, 4]}")
    plan(file, "tasks.seg.task.classes={core: 1}", "tasks.seg.task.background=[2, 4]")
    plan(file, "tasks.seg.task.classes={core: 1}", "tasks.seg.task.background=others")


def test_a_number_of_no_class_is_named_with_its_file(file):
    with pytest.raises(ConfigError) as caught:
        plan(file, "tasks.seg.task.classes={core: 1, edema: 2}")
    assert caught.value.message.endswith(
        f"tasks.seg.task.classes: {file.parent}/3-seg.nii.gz has the number 4 in the label 'label', which no"
        " class has"
    )
    with pytest.raises(ConfigError, match=r"-seg\.nii\.gz and 4 more files has the number 2.*\(and 1 more"):
        plan(file, "tasks.seg.task.classes={core: 1}")


def test_a_class_of_nobody_is_named(file):
    sentence = r"classes: no training subject has the class 'necrosis' .* there: 1, 2"
    with pytest.raises(ConfigError, match=sentence):
        plan(file, "tasks.seg.task.classes={core: [1, 4], edema: 2, necrosis: 3}")


def test_data_check_says_the_same(file, capsys):
    assert show_check(file, (), None, True, "terminal") == 0
    sets = ("tasks.seg.task.classes={core: 1, edema: 2}",)
    assert show_check(file, sets, None, True, "terminal") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "task 'seg': " in said
    assert "has the number 4 in the label 'label', which no class has" in said
    assert show_check(file, sets, None, False, "terminal") == 0  # by names only
