"""The ``report:`` part of a benchmark file: it can change after the run, and nothing runs again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Said
from support_cli import Mribench, contents

from mribench.config import digest_config, load_benchmark

LAYOUT = {"rows": ["method"], "columns": ["site", "metric"], "title": "A table of mine"}
Changed = Callable[..., Path]


@pytest.fixture
def changed(finished: tuple[Path, Path], tmp_path: Path) -> Changed:
    """Write the benchmark file that was run with other parts."""

    def _changed(**parts: Any) -> Path:
        path = tmp_path / "changed.yaml"
        content = yaml.safe_load(finished[0].read_text()) | parts
        path.write_text(yaml.safe_dump({name: part for name, part in content.items() if part is not None}))
        return path

    return _changed


@pytest.fixture
def plan(results: Path) -> Path:
    """The only plan of the results."""
    (path,) = (results / "bad" / "plans").glob("*.json")
    return path


def titles(said: Said) -> list[str]:
    assert said.code == 0, said
    return [line.removeprefix("## ") for line in said.out.splitlines() if line.startswith("## ")]


def executed(said: Said) -> str:
    assert said.code == 0, said
    (line,) = [line for line in said.out.splitlines() if "jobs executed" in line]
    return line.partition(",")[0]


def show(mribench: Mribench, what: Path, *options: object) -> list[str]:
    return titles(mribench("report", what, *options, "--format", "markdown"))


def test_the_plan_is_named_by_what_was_run(finished: tuple[Path, Path], plan: Path) -> None:
    assert plan.stem == digest_config(load_benchmark(finished[0]))


def test_a_file_shows_what_it_says_now(
    mribench: Mribench, changed: Changed, finished: tuple[Path, Path], results: Path
) -> None:
    at = ("--results", results)
    own = changed(report={"tables": ["mine"], "layouts": {"mine": LAYOUT}})
    there = contents(results)
    assert show(mribench, finished[0], *at) == ["bad: leaderboard"]
    assert show(mribench, own, *at) == ["A table of mine"]
    assert show(mribench, own, *at, "--table", "leaderboard", "--table", "mine") == [
        "bad: leaderboard",
        "A table of mine",
    ]
    assert show(mribench, own, *at, "--set", "report.tables=[leaderboard]") == ["bad: leaderboard"]
    (transfer,) = show(mribench, finished[0], *at, "--set", "report.tables=[transfer]")
    assert transfer.endswith("transfer")
    assert show(mribench, results / "bad") == ["bad: leaderboard"], "a folder: what its plans say"
    assert contents(results) == there


def test_a_layout_that_is_gone_from_the_file(
    mribench: Mribench, changed: Changed, finished: tuple[Path, Path], results: Path
) -> None:
    own = changed(report={"tables": ["mine"], "layouts": {"mine": LAYOUT}})
    assert mribench("run", own, "--results", results, "--executor", "inline").code == 0
    assert show(mribench, results / "bad") == ["A table of mine"]
    assert show(mribench, finished[0], "--results", results) == ["bad: leaderboard"]
    said = mribench("report", finished[0], "--results", results, "--table", "mine")
    assert said.code == 2
    assert "there is no table 'mine'" in said.message


def test_a_change_of_the_report_alone_runs_nothing(
    mribench: Mribench, changed: Changed, results: Path, plan: Path
) -> None:
    own = changed(report={"tables": ["mine"], "layouts": {"mine": LAYOUT}})
    there = contents(results)
    dry = mribench("run", own, "--results", results, "--dry-run")
    assert dry.out.splitlines()[-1] == "0 jobs would run"
    said = mribench("run", own, "--results", results, "--executor", "inline")
    assert executed(said) == "0 jobs executed (0)"
    assert "A table of mine" in said.out
    assert contents(results) == there
    assert list(plan.parent.iterdir()) == [plan], "no second plan"
    assert json.loads(plan.read_text())["report"]["tables"] == ["mine"]
    assert show(mribench, results / "bad") == ["A table of mine"], "the folder follows the run"


def test_other_settings_have_a_plan_of_their_own(
    mribench: Mribench, changed: Changed, finished: tuple[Path, Path], results: Path, plan: Path
) -> None:
    other = changed(reference_arms=[])
    said = mribench("report", other, "--results", results)
    assert said.code == 2
    assert "no run of" in said.message
    assert executed(mribench("run", other, "--results", results, "--executor", "inline")).startswith("0 jobs")
    new = plan.with_stem(digest_config(load_benchmark(other)))
    assert set(plan.parent.iterdir()) == {plan, new}
    assert plan.stem == digest_config(load_benchmark(finished[0])) != new.stem


def test_verify_finds_the_plan_too(mribench: Mribench, changed: Changed, results: Path) -> None:
    own = changed(report={"tables": ["transfer"]})
    said = mribench("verify", own, "--results", results, "--sample", "1")
    assert said.code == 0, said


def test_the_page_holds_the_file_of_now(mribench: Mribench, changed: Changed, results: Path) -> None:
    own = changed(report={"tables": ["mine"], "layouts": {"mine": LAYOUT}})
    said = mribench("report", own, "--results", results, "--format", "html")
    assert said.code == 0
    assert said.out.count("A table of mine") >= 2, "the table, and the file with all defaults"


def test_a_table_that_the_file_names_and_there_is_not(
    mribench: Mribench, changed: Changed, results: Path
) -> None:
    said = mribench("report", changed(report={"tables": ["leaderbord"]}), "--results", results)
    assert said.code == 2
    assert "changed.yaml: report.tables: there is no table 'leaderbord'" in said.message
    assert "leaderboard" in said.hint
