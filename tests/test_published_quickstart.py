"""The quickstart's committed table shows what was learnt, and nothing that is noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mribench.config import load_benchmark, resolve
from mribench.data.task_recipes import load_task_volume
from mribench.plugins import load_registry

REPOSITORY = Path(__file__).parent.parent
PUBLISHED = REPOSITORY / "results" / "published" / "quickstart.csv"
FILE = REPOSITORY / "benchmarks" / "quickstart.yaml"


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    """Every shown cell of the leaderboard and of the transfer tables."""
    found = pd.read_csv(PUBLISHED)
    return found[found["table"].isin(["leaderboard", "transfer"]) & found["mean"].notna()]


@pytest.fixture(scope="module")
def constant_dice() -> float:
    """Mean Dice of the best prediction that is one class everywhere, over the test subjects."""
    resolved = resolve(load_benchmark(FILE, ()), load_registry())
    dataset = resolved.datasets["ixi"].make()
    dataset.make()
    people = {subject.id: subject for subject in dataset.subjects()}
    split = resolved.splits["ixi"].make().split(list(people.values()))
    task = resolved.tasks["tissue"].task.make()
    scores: dict[int, list[float]] = {}
    for name in (name for ids in split.test.values() for name in ids):
        scan = next(scan for scan in people[name].scans if scan.sequence == "T1w")
        volume, _ = load_task_volume(dataset, people[name], scan, task, None)
        for label in range(1, len(task.classes) + 1):
            everywhere = torch.full(volume.native_label.shape, label, dtype=torch.int64)
            found = [one.score.value for one in task.score(everywhere, volume) if one.metric.id == "dice"]
            scores.setdefault(label, []).append(float(np.mean(found)))
    return max(float(np.mean(values)) for values in scores.values())


def test_every_planned_cell_is_there(cells: pd.DataFrame) -> None:
    assert set(cells["status"]) == {"ok"}
    assert set(cells["row"]) == {"base", "seqaug", "seqinv", "scratch", "random-frozen", "identity"}
    trained = cells[cells["row"] != "identity"]
    assert (trained["n_seeds"] == 3).all()


def test_no_standard_error_of_a_dice_is_above_two_points(cells: pd.DataFrame) -> None:
    dice = cells[cells["metric"] == "dice"]
    assert len(dice) >= 15
    assert (dice["se"] <= 0.02).all(), dice.loc[dice["se"] > 0.02, ["row", "test_sequence", "mean", "se"]]


def test_every_dice_is_beyond_that_of_one_class_everywhere(cells: pd.DataFrame, constant_dice: float) -> None:
    dice = cells[cells["metric"] == "dice"]
    assert 0 < constant_dice < 0.3
    assert (dice["mean"] - 3 * dice["se"] > constant_dice).all()


def test_every_denoised_image_is_beyond_doing_nothing(cells: pd.DataFrame) -> None:
    psnr = cells[cells["metric"] == "psnr:range"]
    place = ["table", "test_site", "test_sequence"]
    nothing = psnr[psnr["row"] == "identity"].drop_duplicates(place)
    trained = psnr[psnr["row"] != "identity"].merge(nothing, on=place, suffixes=("", "_nothing"))
    assert len(trained) >= 5
    error = np.hypot(trained["se"], trained["se_nothing"])
    assert (trained["mean"] - trained["mean_nothing"] > 3 * error).all()


def test_the_readme_shows_the_committed_table() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- quickstart table -->\n")[2].partition("<!-- /quickstart table -->")[0]
    table = [line for line in shown.splitlines() if line.startswith("|")]
    published = (REPOSITORY / "results/published/quickstart.md").read_text(encoding="utf-8").splitlines()
    assert len(table) == 8
    assert all(line in published for line in table)
