"""Several images of a session as channels of one sample, and an image as the target of another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_data_prepare import IDENTITY, Cohort, cohort

from mribench.data.head import find_foreground, zscore
from mribench.data.prepare import Reader
from mribench.data.task_recipes import make_task_recipe
from mribench.data.uses import ScanSet, TaskImages, Use, find_unmet_needs
from mribench.interfaces import Scan, Split, Subject
from mribench.interfaces.channels import Channels
from mribench.volumes import resample_to, target_grid

TASK: Any = SimpleNamespace(label=None)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "own-cache"))


@pytest.fixture
def data(tmp_path: Path) -> Cohort:
    return cohort(tmp_path / "data", 1)


@pytest.mark.parametrize("spacing_mm", [None, 2.0])
def test_each_channel_is_zscored_on_the_grid_of_the_first(data: Cohort, spacing_mm: float | None) -> None:
    """The T2w image has other voxels: it goes to the working grid of the T1w image in one resampling."""
    subject = data.subjects()[0]
    first, second, _ = subject.scans
    scans = ScanSet((first, second), second)
    for reader in (Reader(data, IDENTITY), Reader(data)):
        volume = make_task_recipe(reader, subject, scans, TASK, spacing_mm).load()
        fixed, moving = (data.read_images(scan)["image"] for scan in (first, second))
        if spacing_mm:
            fixed = resample_to(fixed, *target_grid(fixed, spacing_mm), order=1)
        moved = zscore(resample_to(moving, fixed.affine, fixed.shape_vox, order=1).data)
        assert volume.sequence == "T1w+T2w"
        np.testing.assert_array_equal(volume.image[0].numpy(), zscore(fixed.data))
        np.testing.assert_array_equal(volume.image[1].numpy(), moved)
        assert volume.target is not None
        np.testing.assert_array_equal(volume.target[0].numpy(), moved)
        np.testing.assert_array_equal(volume.foreground.numpy(), find_foreground(fixed.data))
    assert float(volume.image[1].mean()) == pytest.approx(0, abs=1e-5)
    assert float(volume.image[1].std()) == pytest.approx(1, abs=1e-3)


def test_one_scan_is_read_as_ever(data: Cohort) -> None:
    subject = data.subjects()[0]
    alone = make_task_recipe(Reader(data, IDENTITY), subject, subject.scans[0], TASK, None)
    pair = make_task_recipe(Reader(data, IDENTITY), subject, ScanSet((subject.scans[0],)), TASK, None)
    assert alone.image.key == pair.image.key
    assert len(alone.recipes()) == 1
    assert alone.load().target is None
    assert torch.equal(alone.load().image, pair.load().image)


def test_voxels_that_were_clipped_are_counted_over_all_images(data: Cohort) -> None:
    """Each of the two files has four voxels that are too bright."""
    subject = data.subjects()[0]
    first, second, _ = subject.scans
    recipe = make_task_recipe(Reader(data, IDENTITY), subject, ScanSet((first, second)), TASK, None)
    assert recipe.counts() == {"clipped_vox": 8, "repaired_vox": 0}


def scan(sequence: str, session: str, *labels: str) -> Scan:
    files = {name: (Path(name),) for name in labels}
    return Scan(sequence, {"image": Path(f"{session}{sequence}")}, session, files)


SUBJECT = Subject(
    "here", "a", "S",
    (
        scan("T1w", "1", "lesion"), scan("FLAIR", "1"), scan("T1w", "2"), scan("FLAIR", "2"),
        scan("T1w", "3", "lesion"), scan("T2w", "3"),
    ),
)  # fmt: skip


def test_channels_are_of_one_session_with_label_and_target() -> None:
    def places(*sequences: str, label: str | None = None, target: str | None = None) -> list[list[int]]:
        found = TaskImages(Channels(sequences), label, target).select(SUBJECT)
        wanted = [[*one.channels, *([one.target] if one.target else [])] for one in found]
        return [[SUBJECT.scans.index(scan) for scan in scans] for scans in wanted]

    assert places("T1w") == [[0], [2], [4]]
    assert places("T1w", "FLAIR") == [[0, 1], [2, 3]]
    assert places("FLAIR", "T1w") == [[1, 0], [3, 2]]
    assert places("T1w", "FLAIR", label="lesion") == [[0, 1]]
    assert places("FLAIR", label="lesion") == [[1]], "the label of the session"
    assert places("T1w", target="T2w") == [[4, 5]]
    assert places("T1w", "T2w", "FLAIR") == []


def test_what_nobody_has_is_said() -> None:
    use = Use("t", "lesion", (Channels(("T1w", "FLAIR")),), (Channels(("T1w", "PDw")),), target="FLAIR")
    assert use.sequences() == {"T1w", "FLAIR", "PDw"}
    split = Split((SUBJECT.id,), (), {"S": (SUBJECT.id,)})
    (said,) = find_unmet_needs("c", use, split, [SUBJECT])
    assert said == (
        "none of the 1 test subjects of 'c' has a T1w+PDw scan with a 'lesion' label and a FLAIR image beside"
        " it, which task 't' needs"
    )
