"""``mribench plugins``: what is skipped, what fails, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import Field

from mribench.errors import DataError, PluginError
from mribench.interfaces import Dataset, Entry, Metric, NoOptions, Objective, Options, Score
from mribench.registry import Registered, Registry
from mribench.testing import PyramidEncoder

DATASETS = ("arc", "bids", "ixi", "labelmap", "mpm", "phantom")
NAMED_BY_OPTION = {"table": "table"}
"""Datasets that cannot be without an option, and which."""


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
    assert set(lines) == {*DATASETS, *NAMED_BY_OPTION}
    for name, option in NAMED_BY_OPTION.items():
        line = lines.pop(name)
        assert line.startswith(
            f"skipped dataset {name}: '{name}' needs the option '{option}': give it by --set"
        )
    for name, line in lines.items():
        assert line.startswith(f"skipped dataset {name}: '{name}' cannot be checked without its files: ")
    assert "set 'root' or MRIBENCH_IXI" in lines["ixi"]
    assert "not made yet" in lines["phantom"]
    assert "`mribench data prepare`" in lines["phantom"]
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
    monkeypatch.setattr("mribench.commands.installed.load_registry", lambda: registry)
    said = mribench("plugins", "check", "broken")
    assert said.code == 1
    assert "failed  metric cheap: metric cheap: the penalty of pred-empty is 1, better than 0" in said.out
    assert "failed  dataset empty: dataset: has no subjects" in said.out


def test_a_plugin_that_is_not_there_is_named_with_the_closest(mribench):
    said = mribench("plugins", "check", "dataset")
    assert said.code != 0
    assert "no plugin and no entry 'dataset' is loaded" in said.err
    assert "datasets" in said.err


# Each entry for itself


def broken_factory(options):
    raise RuntimeError("no such model")


class NeedsDepth(Options):
    depth: int = Field(gt=0, description="number of blocks")


class Deep(PyramidEncoder):
    def __init__(self, options):
        super().__init__()
        self.depth = options.depth


class Distance(Objective):
    def __init__(self, options, encoder):
        super().__init__()
        self.encoder = encoder

    def loss(self, views, step, total_steps):
        first, second = (self.encoder.embed(view.image) for view in views)
        return {"distance": (first - second).square().mean()}


class OfDeep(Distance):
    def __init__(self, options, encoder):
        super().__init__(options, encoder)
        self.depth = encoder.depth


class Crashing(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": self.no_such_head(views)}


class Refusing(Distance):
    def __init__(self, options, encoder):
        if not isinstance(encoder, Deep):
            raise PluginError("refusing: needs a deep encoder", "use deep")
        super().__init__(options, encoder)


def leaving(options, encoder):
    raise SystemExit("bye")


class Panic(BaseException):
    """As a native extension raises it."""


def panicking(options):
    raise Panic("unwrap of nothing")


@pytest.fixture
def odd(monkeypatch):
    """A plugin of entries that go wrong in all ways, and some that do not."""
    registry = Registry()
    for entry in (
        Entry("encoder", "deep", Deep, NeedsDepth, "an encoder"),
        Entry("encoder", "gone", broken_factory, NoOptions, "an encoder"),
        Entry("encoder", "panicking", panicking, NoOptions, "an encoder"),
        Entry("metric", "built-in", len, NoOptions, "a function without a file"),
        Entry("objective", "aaa-crashing", Crashing, NoOptions, "an objective"),
        Entry("objective", "distance", Distance, NoOptions, "an objective"),
        Entry("objective", "leaving", leaving, NoOptions, "an objective"),
        Entry("objective", "of-deep", OfDeep, NoOptions, "an objective"),
        Entry("objective", "refusing", Refusing, NoOptions, "an objective"),
    ):
        registry.add(Registered(entry, "odd", "local", "0"))
    monkeypatch.setattr("mribench.commands.installed.load_registry", lambda: registry)


def lines_of(said):
    lines = [
        re.fullmatch(r"(ok|skipped|failed) +(\w+ [^:]+)(?:: (.*))?", text) for text in said.out.splitlines()
    ]
    return {line[2]: (line[1], line[3] or "") for line in lines}


def test_each_entry_has_its_line_and_the_rest_go_on(mribench, odd):
    said = mribench("plugins", "check", "odd")
    assert said.code == 1
    found = lines_of(said)
    here = Path(__file__)
    crash = Crashing.loss.__code__.co_firstlineno + 1
    assert found["objective aaa-crashing"] == (
        "failed",
        f"AttributeError: 'Crashing' object has no attribute 'no_such_head', {here}:{crash}",
    )
    place = f"{here}:{broken_factory.__code__.co_firstlineno + 1}"
    assert found["encoder gone"] == ("failed", f"RuntimeError: no such model, {place}")
    assert found["encoder panicking"][1].startswith(f"Panic: unwrap of nothing, {here}:")
    assert found["metric built-in"][1].startswith("TypeError: object of type 'NoOptions' has no len(), ")
    assert found["encoder deep"] == (
        "skipped",
        "'deep' needs the option 'depth': give it by --set encoder.deep.depth=VALUE, or to check_entry()",
    )
    assert found["objective distance"] == ("ok", "")
    assert found["objective leaving"][1].startswith("SystemExit: bye, ")
    assert found["objective of-deep"][0] == "failed"
    assert "needs another encoder: it reads 'depth'" in found["objective of-deep"][1]
    assert found["objective refusing"][0] == "skipped"
    assert "needs another encoder: refusing: needs a deep encoder" in found["objective refusing"][1]


def test_options_and_encoders_can_be_given(mribench, odd):
    said = mribench("plugins", "check", "--set", "encoder.deep.depth=3", "--encoder", "deep")
    found = lines_of(said)
    for name in ("encoder deep", "objective distance", "objective of-deep", "objective refusing"):
        assert found[name] == ("ok", "")
    assert lines_of(mribench("plugins", "check", "deep", "--set", "depth=3")) == {"encoder deep": ("ok", "")}
    wrong = lines_of(mribench("plugins", "check", "deep", "--set", "depth=-3"))
    assert wrong["encoder deep"][0] == "failed"
    assert "encoder 'deep'.depth: expected" in wrong["encoder deep"][1]


def test_wrong_use(mribench, odd):
    said = mribench("plugins", "check", "--set", "dept=3")
    assert said.code == 2
    assert said.message == "--set dept=3: no entry that is checked has such an option"
    assert said.hint == "did you mean 'depth'?"
    said = mribench("plugins", "check", "deeep")
    assert (said.code, said.message) == (2, "no plugin and no entry 'deeep' is loaded")
    assert "'deep'" in said.hint
    said = mribench("plugins", "check", "not-installed")
    assert "`mribench plugins list`" in said.hint
    said = mribench("plugins", "check", "distance", "--encoder", "dep")
    assert said.code == 2
    assert "unknown encoder 'dep'" in said.message


def test_a_dataset_is_checked_where_a_root_is_given(mribench, cohorts, nowhere):
    for setting in (f"dataset.ixi.root={cohorts / 'ixi'}", f"root={cohorts / 'ixi'}"):
        said = mribench("plugins", "check", "ixi", "--set", setting)
        assert lines_of(said) == {"dataset ixi": ("ok", "")}
        assert said.code == 0
