"""Deliberately broken datasets: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mribench.interfaces import (
    Dataset,
    Scan,
    Subject,
)
from mribench.testing import (
    ConformanceError,
    check_dataset,
)
from mribench.volumes import Volume


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Cohort(Dataset):
    """Conforms: two subjects, one image each, from memory."""

    def __init__(self, folder: Path):
        self.file = folder / "image.nii"
        self.file.touch()

    def subject(self, name: str, **changes) -> Subject:
        scan = Scan("T1w", {"image": self.file}, labels={"lesion": (self.file,)})
        return dataclasses.replace(Subject("toy", name, "here", (scan,)), **changes)

    def missing(self):
        return ""

    def subjects(self):
        return [self.subject("a"), self.subject("b")]

    def check_scan(self, scan):
        return ""

    def read_images(self, scan):
        return {"image": Volume(np.ones((2, 3, 4)), np.eye(4))}

    def read_labels(self, scan, label):
        return Volume(np.ones((1, 2, 3, 4)), np.eye(4))


class Absent(Cohort):
    def missing(self):
        return "no such folder"


class Unsorted(Cohort):
    def subjects(self):
        return super().subjects()[::-1]


class Twice(Cohort):
    def subjects(self):
        return [self.subject("a"), self.subject("a")]


class NoScan(Cohort):
    def subjects(self):
        return [self.subject("a", scans=())]


class NoFile(Cohort):
    def subjects(self):
        return [self.subject("a", scans=(Scan("T1w", {"image": self.file.with_name("absent.nii")}),))]


class LabelNumbers(Cohort):
    numbers: Sequence[float] = (0, 3)
    channels = 1

    def read_labels(self, scan, label):
        return Volume(np.resize(self.numbers, (self.channels, 2, 3, 4)), np.eye(4))


class LabelShares(LabelNumbers):
    numbers = (0, 3.5)


class LabelInfinite(LabelNumbers):
    numbers = (0, np.inf)


class LabelBelowZero(LabelNumbers):
    numbers = (0, -1)


class LabelsOfNumbers(LabelNumbers):
    channels = 2


class NotANumber(Cohort):
    def read_images(self, scan):
        return {"image": Volume(np.full((2, 3, 4), np.nan), np.eye(4))}


def test_a_sound_dataset_conforms(tmp_path):
    check_dataset(Cohort(tmp_path))
    check_dataset(LabelNumbers(tmp_path))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Absent, "no such folder"),
        (Unsorted, "not sorted"),
        (Twice, r"there twice: \['toy:a'\]"),
        (NoScan, "toy:a has no scan"),
        (NoFile, "absent.nii"),
        (LabelShares, "not in 0..1"),
        (LabelInfinite, "not in 0..1"),
        (LabelBelowZero, "not in 0..1"),
        (LabelsOfNumbers, "not in 0..1"),
        (NotANumber, "not finite"),
    ],
)
def test_broken_datasets(dataset, message, tmp_path):
    with pytest.raises(ConformanceError, match=message):
        check_dataset(dataset(tmp_path))
