"""Tables of plugins: they stand beside those of mribench, in every format and on the page."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest
from synthetic_results import DICE, Benchmark, task

from mribench import plugins
from mribench.errors import MRIBenchError, PluginError
from mribench.interfaces import (
    Column,
    GridSpec,
    LayoutSpec,
    Question,
    Row,
    RunResults,
    Sentence,
    Table,
    TableSource,
    TableSpec,
    text_cell,
)
from mribench.plugins import load_tables
from mribench.report import Material, load_run, render, run_document, taken_names
from mribench.report.catalogue import specs_of
from mribench.report.page import page

OWN = Question(own_sequence=True)
MODULE = """
from mribench import hookimpl
from mribench.interfaces import Entry, TableSource

class Nothing(TableSource):
    help = "nothing at all"

    def specs(self, tasks):
        return []

@hookimpl
def mribench_entries():
    return [Entry("table", "nothing", lambda _: Nothing())]
"""


def sizes(run: RunResults) -> list[Table]:
    cells = run.cells(OWN)
    rows = cells.groupby("row", sort=False)["n_subjects"].max()
    dice = run.metric("tissue", "dice")
    return [
        Table(
            "sizes", f"{run.benchmark}: subjects behind {dice.label}", ("method",),
            tuple(Row((str(row),)) for row in rows.index), (Column(("subjects",)),),
            tuple((text_cell(n),) for n in rows), (Sentence("Counted.", "what"), run.profile_sentence()),
        )
    ]  # fmt: skip


def size_rows(run: RunResults) -> pd.DataFrame:
    return run.cells(OWN).assign(entry=[run.tasks[task].entry for task in run.cells(OWN)["task"]])


class Sizes(TableSource):
    help = "sizes, or sites-N for the N-th task"

    def specs(self, tasks: Sequence[str]) -> Sequence[TableSpec[RunResults] | GridSpec]:
        return [
            TableSpec("sizes", "subjects", sizes, size_rows, {"entry": "string"}),
            TableSpec("shown", "results", sizes),
            *(
                GridSpec(
                    f"sites-{n}",
                    LayoutSpec(
                        title=f"{task} by site", rows=["method"], columns=["site", "metric"], tasks=[task]
                    ),
                )
                for n, task in enumerate(tasks, start=1)
            ),
        ]


@pytest.fixture
def material(tmp_path: Path) -> Material:
    made = Benchmark(
        lambda cell, metric, subject, label: 0.5, tasks={"tissue": task([DICE], sites=("Guys", "HH"))}
    )
    return Material(load_run(made.write(tmp_path)), sources=(Sizes(),))


def test_a_table_of_a_plugin_is_printed_in_every_format(material: Material) -> None:
    document = run_document(material, ["leaderboard", "sizes", "sites-1"])
    text = str(render(document, "markdown"))
    assert "## synthetic: subjects behind dice % ↑" in text
    assert "- Counted.\n- Profile: corrected." in text
    assert "Guys dice % ↑" in text
    frame = pd.read_csv(io.StringIO(str(render(document, "csv"))))
    assert list(dict.fromkeys(frame["table"])) == ["leaderboard", "sizes", "sites-1"]
    assert set(frame.loc[frame["table"].eq("sizes"), "entry"]) == {"some-task"}
    cells = json.loads(str(render(document, "json")))["cells"]
    assert {cell["mean"] for cell in cells} == {0.5}


def test_a_table_without_tidy_rows_of_its_own_has_those_of_its_cells(material: Material) -> None:
    frame = pd.read_csv(io.StringIO(str(render(run_document(material, ["shown"]), "csv"))))
    assert set(frame["column"]) == {"subjects"}
    assert "base" in set(frame["row"])
    assert set(frame["text"]) == {3}


def test_it_stands_in_its_section_of_the_page(material: Material) -> None:
    text = page(material)
    subjects = text.partition('id="subjects"')[2].partition("<section")[0]
    assert 'id="table-sizes"' in subjects
    assert 'id="table-sites-1"' in text


def test_two_tables_of_one_name_are_refused(material: Material) -> None:
    with pytest.raises(PluginError, match="two tables 'sizes'"):
        taken_names(["tissue"], (Sizes(), Sizes()))
    assert "sizes" in taken_names(["tissue"], material.sources)
    assert "sites-2" not in specs_of(material)
    with pytest.raises(MRIBenchError, match="there is no table 'sites-2'"):
        run_document(material, ["sites-2"])


def test_plugins_of_tables_are_loaded_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "made_up_tables.py").write_text(MODULE)
    importlib.invalidate_caches()
    points = [
        EntryPoint("good", "made_up_tables", plugins.TABLES_GROUP),
        EntryPoint("bad", "no.such.module", plugins.TABLES_GROUP),
    ]
    asked = []

    def entry_points(group: str) -> list[EntryPoint]:
        asked.append(group)
        return points if group == plugins.TABLES_GROUP else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    (source,), (problem,) = load_tables()
    assert source.help == "nothing at all"
    assert "plugin 'bad'" in problem
    assert asked == ["mribench.tables"]
