"""The tables of the page are printed in every format, like the others."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.console import Console

from mribench.cli.results import report as command
from mribench.report import Material, load_run, render, run_document
from mribench.report.catalogue import BUILT_IN

TITLES = {
    "at-a-glance": "At a glance",
    "differences": "Every two methods",
    "label-efficiency": "Area under the label-efficiency curve",
    "domain-gap": "In-domain minus out-of-domain",
    "sequence-transfer": "Own and other sequences",
    "labels": "label by label",
    "time": "time",
    "failures": "Failed jobs",
}
OWN_COLUMNS = {
    "at-a-glance": "rank",
    "differences": "second",
    "label-efficiency": "fractions",
    "domain-gap": "mean_home",
    "sequence-transfer": "part",
    "labels": "label",
    "time": "mean",
    "failures": "text",
}

ELSEWHERE = {"learning-rates", "power"}
"""Tables that these results have not, or that are about no row: they have tests of their own."""


@pytest.fixture(scope="module")
def material(results: Path) -> Material:
    return Material(load_run(results), results)


def shown(material: Material, name: str, output_format: str) -> Any:
    return render(run_document(material, [name]), output_format)


def test_these_are_the_tables_of_every_page() -> None:
    on_page = {spec.name for spec in BUILT_IN if spec.on_page}
    assert on_page - ELSEWHERE == set(TITLES) == set(OWN_COLUMNS)


@pytest.mark.parametrize("name", TITLES)
def test_for_reading(material: Material, name: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    render(run_document(material, [name]), "terminal", console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    texts = [printed, *(shown(material, name, each) for each in ("markdown", "latex", "html"))]
    for text in texts:
        assert TITLES[name] in text
    spec = next(spec for spec in BUILT_IN if spec.name == name)
    for table in spec.build(material):
        assert table.title in texts[0]
        assert table.caption[0] in texts[0]


@pytest.mark.parametrize("name", TITLES)
def test_for_programs(material: Material, name: str) -> None:
    frame = pd.read_csv(io.StringIO(shown(material, name, "csv")))
    assert len(frame)
    assert set(frame["table"]) == {name}
    assert frame[OWN_COLUMNS[name]].notna().any()
    assert frame["row"].notna().all()
    records = json.loads(shown(material, name, "json"))["cells"]
    stored = pq.read_table(io.BytesIO(shown(material, name, "parquet")))
    assert len(records) == len(frame) == stored.num_rows
    assert list(records[0]) == list(frame) == stored.column_names


def test_the_numbers_are_those_of_the_table(material: Material) -> None:
    frame = pd.read_csv(io.StringIO(shown(material, "differences", "csv")))
    (table,) = next(spec for spec in BUILT_IN if spec.name == "differences").build(material)
    pairs = {tuple(row.header): cells for row, cells in zip(table.rows, table.cells, strict=True)}
    for record in frame.itertuples(index=False):
        means = [cell.mean for cell in pairs[record.row, record.second] if cell is not None and cell.signed]
        assert any(mean == pytest.approx(record.mean) for mean in means)


def test_the_command_line_knows_them(results: Path) -> None:
    chosen = [f"--table={name}" for name in TITLES]
    done = CliRunner().invoke(command, [str(results), *chosen], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for title in TITLES.values():
        assert title in done.stdout
