"""``mribench plugins``: what is skipped, what fails, and the exit code."""

from __future__ import annotations

import pytest

from mribench import plugins
from mribench.errors import DataError
from mribench.interfaces import Dataset, Entry, Metric, NoOptions, Score
from mribench.registry import Registered, Registry

DATASETS = ("arc", "ixi", "labelmap", "mpm", "phantom")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No cohort is on this machine: no folder is named, and none is made."""
    for name in DATASETS:
        monkeypatch.delenv(f"MRIBENCH_{name.upper()}", raising=False)
    for name in ("MRIBENCH_DATA", "MRIBENCH_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_datasets_that_are_not_here_are_skipped_with_the_reason(mribench, nowhere):
    said = mribench("plugins", "check", "datasets")
    assert said.code == 0
    lines = {line.split()[2].rstrip(":"): line for line in said.out.splitlines() if " dataset " in line}
    assert set(lines) == set(DATASETS)
    for name, line in lines.items():
        assert line.startswith(f"skipped dataset {name}: '{name}' cannot be checked without its files: ")
    assert "set 'root' or MRIBENCH_IXI" in lines["ixi"]
    assert "not made yet" in lines["phantom"]
    assert "`mribench data make`" in lines["phantom"]
    assert "failed" not in said.out
    for split in ("leave-sites-out", "site", "subject"):
        assert f"ok      split {split}" in said.out
    assert not list(nowhere.rglob("*.nii*")), "a check makes no cohort"


class Cheap(Metric):
    """A missed lesion counts as found."""

    id, value_range, on_empty = "cheap", (0.0, 1.0), "1"

    def __init__(self, options):
        del options

    def score(self, prediction, target, spacing_mm, mask=None):
        if prediction.shape != target.shape or prediction.dtype != bool or target.dtype != bool:
            raise DataError("expected two masks")
        empty = "pred-empty" if target.any() else "both-empty"
        if not prediction.any():
            return Score(float("nan"), empty, 1.0 if empty == "pred-empty" else float("nan"))
        if not target.any():
            return Score(float("nan"), "ref-empty", 0.0)
        return Score(float((prediction & target).sum() / (prediction | target).sum()))


class Empty(Dataset):
    def missing(self):
        return ""

    def subjects(self):
        return []


def test_what_fails_is_named_and_ends_in_1(mribench, monkeypatch):
    registry = Registry()
    for entry in (
        Entry("metric", "cheap", Cheap, summary="a metric"),
        Entry("dataset", "empty", lambda options: Empty(), NoOptions, "a dataset"),
    ):
        registry.add(Registered(entry, "broken", "local", "0"))
    monkeypatch.setattr(plugins, "load_registry", lambda: registry)
    said = mribench("plugins", "check", "broken")
    assert said.code == 1
    assert "failed  metric cheap: metric cheap: the penalty of pred-empty is 1, better than 0" in said.out
    assert "failed  dataset empty: dataset: has no subjects" in said.out


def test_a_plugin_that_is_not_there_is_named_with_the_closest(mribench):
    said = mribench("plugins", "check", "dataset")
    assert said.code != 0
    assert "no plugin 'dataset' is loaded" in said.err
    assert "datasets" in said.err
