"""Deliberately broken entries: the checks find them and say in one sentence what is wrong."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from pydantic import Field
from testing_overlap import Overlap

from mribench.interfaces import (
    Dataset,
    Entry,
    Objective,
    Options,
)
from mribench.testing import (
    ConformanceError,
    NotCheckable,
    check_entry,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Distance(Objective):
    """Conforms: squared distance of two embeddings."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def loss(self, views, step, total_steps):
        first, second = (self.encoder.embed(view.image) for view in views)
        return {"distance": (first - second).square().mean()}


class NoTerms(Distance):
    def loss(self, views, step, total_steps):
        return {}


class Described(Options):
    scale: float = Field(1.0, description="a number")


class Undescribed(Options):
    scale: float = 1.0


def objective_entry(**changes) -> Entry:
    entry = Entry("objective", "distance", lambda options, encoder: Distance(encoder), Described, "distance")
    return dataclasses.replace(entry, **changes)


def test_a_sound_entry_conforms():
    check_entry(objective_entry())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My_Objective"}, "lower case with hyphens"),
        ({"summary": ""}, "no summary"),
        ({"options": Undescribed}, "option 'scale' has no description"),
        ({"factory": lambda options, encoder: NoTerms(encoder)}, "no named terms"),
        ({"kind": "metric", "factory": lambda options: Overlap()}, "its id is 'iou'"),
        ({"kind": "task", "factory": lambda options: Overlap()}, "expected a Task, got Overlap"),
    ],
)
def test_broken_entries(changes, message):
    with pytest.raises(ConformanceError, match=message):
        check_entry(objective_entry(**changes))


class Folder(Options):
    root: str = Field("", description="folder of the cohort")


class Elsewhere(Dataset):
    """A cohort whose folder is given, or not there."""

    def __init__(self, options):
        self.root = options.root

    def missing(self):
        return f"no such folder: {self.root}" if self.root else "no folder given"

    def subjects(self):
        raise AssertionError("asked without files")


def test_a_dataset_whose_files_are_elsewhere_is_skipped_and_one_with_a_wrong_folder_fails():
    entry = Entry("dataset", "elsewhere", Elsewhere, Folder, "a cohort")
    with pytest.raises(NotCheckable, match="'elsewhere' cannot be checked without its files: no folder"):
        check_entry(entry)
    with pytest.raises(ConformanceError, match="without its files: no such folder: /nowhere"):
        check_entry(entry, {"root": "/nowhere"})


def test_a_dataset_that_is_none_fails_without_files_too():
    entry = Entry("dataset", "elsewhere", lambda options: object(), Folder, "a cohort")
    with pytest.raises(ConformanceError, match="expected a Dataset, got object"):
        check_entry(entry)


def test_a_dataset_that_needs_no_folder_is_checked():
    class Here(Elsewhere):
        def missing(self):
            return ""

        def subjects(self):
            return []

    with pytest.raises(ConformanceError, match="has no subjects"):
        check_entry(Entry("dataset", "here", Here, Folder, "a cohort"))
