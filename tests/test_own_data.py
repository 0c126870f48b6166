"""docs/own-data.md takes a BIDS folder to a leaderboard: its file and its commands, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from command_line import follow

from mribench.interfaces import DatasetRef
from mribench.plugins import load_registry
from mribench.volumes import Volume, read_volume, write_volume

DOCUMENT = Path(__file__).parent.parent / "docs" / "own-data.md"
NUMBERS = {"GM": (3, 42), "WM": (2, 41), "CSF": (24, 24)}
"""FreeSurfer's, left and right."""


def first_block(language: str) -> str:
    """Return the first block of a language in the document."""
    match = re.search(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def put_bids_folder(root: Path) -> None:
    """Write phantoms as a BIDS folder: real NIfTI images, and a segmentation of each T1w image."""
    component = DatasetRef.model_validate(
        {"name": "phantom", "layout": "ixi", "sites": {"Guys": 8}, "spacing_mm": 8, "seed": 5}
    )
    phantom = load_registry().resolve(component, "test", "corrected").make()
    phantom.make()
    rows = ["participant_id\tage\tsex"]
    for number, subject in enumerate(phantom.subjects(), start=1):
        name = f"sub-{number:02d}"
        rows.append(f"{name}\t{subject.covariates['age']}\t{subject.covariates['sex']}")
        for scan in subject.scans:
            if scan.sequence not in ("T1w", "T2w"):
                continue
            image = read_volume(scan.images["image"])
            write_volume(root / name / "anat" / f"{name}_{scan.sequence}.nii.gz", image)
            if scan.sequence == "T1w":
                tissue = phantom.read_labels(scan, "tissue")
                path = root / "derivatives" / "seg" / name / "anat" / f"{name}_dseg.nii.gz"
                write_volume(path, Volume(numbered(tissue), tissue.affine), np.uint8)
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")


def numbered(tissue: Volume) -> np.ndarray:
    """Return FreeSurfer's numbers of the most probable tissue, by side, and of something that is none."""
    left, right = ([0, *(pair[side] for pair in NUMBERS.values())] for side in (0, 1))
    classes = np.concatenate([1 - tissue.data.sum(0, keepdims=True), tissue.data]).argmax(0)
    is_right = np.arange(len(classes)) >= len(classes) // 2
    values = np.where(is_right[:, None, None], np.array(right)[classes], np.array(left)[classes])
    values[0, 0, 0] = 16
    return values


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    put_bids_folder(folder / "my-study")
    (folder / "my-study.yaml").write_text(first_block("yaml"))
    return folder


def test_the_folder_is_laid_out_as_the_document_says(study):
    for line in first_block("text").split():
        assert (study / line).is_file(), line


def test_the_commands_lead_to_a_leaderboard(study):
    said = {}
    for line in first_block("bash").splitlines():
        words = shlex.split(line)
        assert words[0] == "mribench"
        said[words[1]] = follow(study, *words[1:])
    assert list(said) == ["data", "plan", "run", "report"]
    assert "8 subjects, 16 scans" in said["data"]
    assert "anatomy" in said["data"]
    assert "dice % ↑" in said["report"]
    for method in ("base", "seqinv", "scratch", "random-frozen"):
        assert re.search(rf"^ {method}†?[\W_]+\d+\.\d ± \d", said["report"], re.MULTILINE), said["report"]
