"""Pages say whose scans they show, and keep slices and ids to themselves where the file says so."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from html_results import SUBJECTS
from report_tables import page, saved_figures
from support_html import Page
from synthetic_results import Benchmark

from mribench.report import RunData, load_run
from mribench.report.people import data_sentence, warning
from mribench.results.manifest import PlannedCohort, read_manifest

SCANNED = PlannedCohort(dataset="ixi", simulated=False, licence="CC BY-SA 3.0")
DRAWN = PlannedCohort(dataset="phantom", simulated=True, licence="free")


def with_manifest(run: RunData, **changes: Any) -> RunData:
    return dataclasses.replace(run, manifest=run.manifest.model_copy(update=changes))


@pytest.fixture(scope="module")
def closed(results: Path) -> RunData:
    """The results, of a benchmark file that says ``report: {examples: false}``."""
    run = load_run(results)
    reasons = {name: f"{reason} of {SUBJECTS[0]}" for name, reason in run.reasons.items()}
    report = run.manifest.report.model_copy(update={"examples": False})
    return dataclasses.replace(with_manifest(run, report=report), reasons=reasons)


@pytest.fixture(scope="module")
def closed_html(results: Path, closed: RunData) -> str:
    """The page of these results."""
    return page(closed, directory=results)


def names_of_people(run: RunData) -> set[str]:
    return set(run.scores["subject"].astype(str))


def test_the_page_names_people_unless_told_otherwise(html: str, closed: RunData, closed_html: str) -> None:
    names = names_of_people(closed)
    assert any(name in html for name in names), "there is something to hide"
    assert [name for name in names if name in closed_html] == []
    assert "subject 1" in closed_html


def test_the_page_shows_no_scans_and_says_so(closed_html: str) -> None:
    found = Page(closed_html)
    parts = {part.attributes["id"] for part in found.all("section")}
    assert parts.isdisjoint({"examples", "views"})
    assert {"results", "subjects", "embeddings"} <= parts
    (said,) = found.all("ul", class_="missing")
    assert said.text.count("the benchmark file leaves them out") == 2


def test_means_are_the_same_without_names(html: str, closed_html: str) -> None:
    means = []
    for text in (html, closed_html):
        (table,) = Page(text).all("div", id="table-leaderboard")
        means.append(re.findall(r"[\d.]+ ± [\d.]+", table.text))
    assert len(means[0]) > 10
    assert means[0] == means[1]


def test_saved_figures_show_no_scans(results: Path, closed: RunData, tmp_path: Path) -> None:
    written = {path.stem for path in saved_figures(closed, results, tmp_path, ("svg",))}
    assert "subjects" in written
    assert [name for name in written if name.startswith(("examples", "views"))] == []


def test_the_head_says_whether_people_were_scanned(tmp_path: Path) -> None:
    small = load_run(Benchmark(lambda *_: 0.5, methods=("base",), seeds=(0,)).write(tmp_path))
    run = with_manifest(small, cohorts={"qmri": DRAWN, "ixi": DRAWN, "ours": SCANNED})
    (facts,) = Page(page(run)).all("dl", class_="facts")
    assert "simulated (qmri, ixi); scans of people (ours)" in facts.text


@pytest.mark.parametrize(
    ("cohorts", "said"),
    [({"a": DRAWN}, "simulated (a)"), ({"a": SCANNED}, "scans of people (a)"), ({}, "")],
)
def test_one_kind_of_data(cohorts: dict[str, PlannedCohort], said: str) -> None:
    assert data_sentence(cohorts) == said


def test_only_scans_of_people_are_warned_of() -> None:
    assert warning({"a": DRAWN}) == ""
    text = warning({"a": DRAWN, "b": SCANNED})
    assert "b: CC BY-SA 3.0" in text
    assert "a: free" not in text
    assert "report: {examples: false}" in text


def test_plans_record_whose_scans_they_are(repository: Path, tmp_path: Path) -> None:
    from mribench.commands.planning import plan_file

    file = repository / "tests/benchmarks/tiny.yaml"
    plan_file(file, ["report.examples=false"], tmp_path, make=True, progress=lambda *_: None)
    (path,) = tmp_path.glob("tiny/plans/*.json")
    manifest = read_manifest(path)
    assert {about.simulated for about in manifest.cohorts.values()} == {True}
    assert manifest.report.examples is False
