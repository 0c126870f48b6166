"""docs/tracking.md is true: its tracker is found and runs, its command lines parse, its names are there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from support_tracking import folders, mribench, run, scores

from mribench.cli.benchmarks import run as command
from mribench.errors import PluginError
from mribench.plugins import load_registry
from mribench.testing import ConformanceError, check_entry

DOCUMENT = Path(__file__).parents[2] / "docs/tracking.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLE, OWN_TEST = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """The example as a distribution of its own, found through its metadata."""
    site = tmp_path / "site"
    meta = site / "lines_tracker-0.1.dist-info"
    meta.mkdir(parents=True)
    (site / "lines_tracker.py").write_text(EXAMPLE)
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-tracker\nVersion: 0.1\n")
    (meta / "entry_points.txt").write_text("[mribench]\nlines = lines_tracker\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "lines_tracker", raising=False)
    return site


def test_the_example_is_short():
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 20


def test_the_example_is_listed_and_conforms(installed):
    assert re.search(r"lines\s.*lines-tracker 0.1.*tracker lines", mribench("plugins", "list").out)
    assert "a line for each job" in mribench("list", "tracker").out
    check_entry(load_registry().get("tracker", "lines"))


def test_the_test_of_the_example_runs(installed):
    names: dict = {}
    exec(compile(OWN_TEST, "test_lines_tracker.py", "exec"), names)  # noqa: S102 - it is the document
    names["test_conformance"]()


def test_the_test_of_the_example_can_fail(installed):
    (installed / "lines_tracker.py").write_text(EXAMPLE.replace(", file=file", ""))
    names: dict = {}
    exec(compile(OWN_TEST, "test_lines_tracker.py", "exec"), names)  # noqa: S102
    with pytest.raises(ConformanceError, match="prints to the standard output"):
        names["test_conformance"]()


def test_the_command_checks_the_example(installed):
    said = mribench("plugins", "check", "lines")
    assert (said.code, said.out.strip()) == (0, "ok      tracker lines"), said


def test_the_example_tracks_a_run(installed, tmp_path):
    part = ("--only", "identity/denoise/test/*")
    said = run(tmp_path / "r", "--track", "lines", part=part)
    assert said.code == 0, said
    assert "tracking with" not in said.out
    lines = [line.split("\t") for line in (tmp_path / "r/tiny/jobs.tsv").read_text().splitlines()]
    expected = sorted(scores(folder).popitem()[1] for folder in folders(tmp_path / "r").values())
    assert [line[:2] for line in lines] == [
        ["identity/denoise/test/Guys/T1w", "done"], ["identity/denoise/test/HH/T1w", "done"]
    ]  # fmt: skip
    said = sorted(float(re.search(r": ([\d.]+)", line[3])[1]) for line in lines)
    assert said == pytest.approx(expected)


def test_command_lines_parse():
    lines = [line.strip() for line in TEXT.splitlines() if line.startswith("    mribench ")]
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] == "run":
            assert command.make_context("run", words[1:]).params["track"]
        else:
            assert mribench(*words).code == 0


def test_the_table_has_every_tracker_and_option():
    registry = load_registry()
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", TEXT, re.MULTILINE))
    own = [name for name in registry.names("tracker") if name in rows]
    assert set(rows) == set(own)
    for name, row in rows.items():
        options = registry.get("tracker", name).entry.options.model_fields
        assert set(re.findall(r"`(\w+)`", row.rsplit("|", 1)[1].replace("MLFLOW_TRACKING_URI", ""))) - {
            ""
        } == set(options)
        assert f"mribench[{name}]" in row


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "wandb"])
def test_a_missing_package_is_one_sentence(name, monkeypatch, tmp_path, repository):
    from mribench_tracking import packages

    there = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda module: None if module == name else there(module))
    found = load_registry().get("tracker", name)
    with pytest.raises(PluginError) as caught:
        found.entry.factory(found.entry.options())
    assert caught.value.message == (
        f"tracking with {name} needs the package {name}: pip install 'mribench[{name}]'"
    )
    extras = (repository / "pyproject.toml").read_text()
    assert re.search(rf'^{name} = \[.*"{name}', extras, re.MULTILINE), "the extra is there"
    said = run(tmp_path, "--track", name)
    assert said.code == 2
    assert f"error: {caught.value.message}\n" in said.err
    assert not any(tmp_path.iterdir()), "nothing ran"


@pytest.mark.parametrize(
    ("track", "message", "hint"),
    [
        ("tensorbord", "--track tensorbord: unknown tracker 'tensorbord'", "did you mean 'tensorboard'?"),
        ("lines:x=1", "--track lines: unknown tracker 'lines'", "known:"),
        ("wandb:mode", "--track wandb: expected key=value, got 'mode'", "name:key=value"),
    ],
)
def test_a_wrong_track_is_refused(tmp_path, track, message, hint):
    said = run(tmp_path, "--track", track)
    assert said.code == 2
    assert f"error: {message}\n" in said.err
    assert hint in said.err
    assert not any(tmp_path.iterdir())


def test_a_wrong_option_is_refused(tmp_path):
    said = run(tmp_path, "--track", "mlflow:experimnt=x")
    assert said.code == 2
    assert "--track mlflow" in said.err
    assert "did you mean 'experiment'?" in said.err
