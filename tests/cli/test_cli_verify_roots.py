"""Results of one's own data are verified by a colleague who has the same data at another place."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_cli import Mribench, refused

IXI = ("--set", "layout=ixi", "--set", "subjects=4", "--set", "spacing_mm=8")
FILE = """
benchmark: ours
seeds: [0]
data:
  qmri: {{name: phantom, layout: mpm, subjects: 4, spacing_mm: 8, seed: 1}}
  scans: {{name: ixi, root: "{root}"}}
splits:
  qmri: {{train: 3, validation: 1, test: 0}}
  scans: {{train: 2, validation: 1, test: 1}}
defaults:
  encoder: {{name: cnn, features: [4, 8]}}
  pretrain: {{data: qmri, patch_vox: 8, spacing_mm: 8, steps: 2, batch_size: 2, lr: 1.0e-3}}
methods:
  base: {{views: mprage, objective: simclr-recon}}
reference_arms: [identity]
tasks:
  denoise:
    task: {{name: denoising, sigma: 0.2}}
    data: scans
    train_sequences: [T1w]
    adapt: {{steps: 2, batch_size: 1, lr: 1.0e-3, patch_vox: 8, window_vox: 32}}
"""


@pytest.fixture
def moved(mribench: Mribench, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Results of a folder of scans that has since been moved: (benchmark file, results, new folder)."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    made = mribench("data", "make", "phantom", ours, *IXI)
    assert made.code == 0, made
    file, results = tmp_path / "ours.yaml", tmp_path / "results"
    file.write_text(FILE.format(root=ours))
    said = mribench("run", file, "--results", results, "--executor", "inline", "--only", "identity/*")
    assert said.code == 0, said
    ours.rename(theirs)
    return file, results, theirs


def test_a_cohort_at_another_place(
    mribench: Mribench, moved: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, results, theirs = moved
    lost = mribench("verify", results / "ours")
    assert (lost.code, "1 not rerun" in lost.out) == (1, True), lost
    assert "or give --root scans=PATH" in " ".join(lost.out.split())
    monkeypatch.setenv("HOME", str(theirs.parent))
    found = mribench("verify", results / "ours", "--root", f"scans=~/{theirs.name}")
    assert (found.code, "1 same" in found.out) == (0, True), found
    file.write_text(FILE.format(root=theirs))  # the colleague's copy of the file
    by_file = mribench("verify", file, "--results", results)
    assert (by_file.code, "1 same" in by_file.out) == (0, True), by_file
    report = mribench("report", file, "--results", results)
    assert (report.code, "denoise" in report.out) == (0, True), report


def test_other_data_at_that_place_are_no_match(mribench: Mribench, moved: tuple[Path, Path, Path]) -> None:
    _, results, theirs = moved
    other = theirs.with_name("other")
    made = mribench("data", "make", "phantom", other, *IXI, "--set", "seed=5")
    assert made.code == 0, made
    said = mribench("verify", results / "ours", "--root", f"scans={other}")
    assert (said.code, "files are not those that it was computed from" in " ".join(said.out.split())) == (
        1,
        True,
    )


def test_roots_that_cannot_be_meant(mribench: Mribench, moved: tuple[Path, Path, Path]) -> None:
    _, results, theirs = moved
    folder = results / "ours"
    refused(mribench("verify", folder, "--root", "scans"), "expected COHORT=PATH", "for example")
    refused(mribench("verify", folder, "--root", f"scan={theirs}"), "no cohort 'scan'", "scans")
    refused(mribench("verify", folder, "--root", f"scans={theirs}-x"), "there is no folder", "check")
    refused(mribench("verify", folder, "--root", "scans=~nobody-has-this/x"), "there is no folder", "check")
