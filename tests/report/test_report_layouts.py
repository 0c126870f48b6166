"""Layouts of one's own: which cells, and what stands in rows and columns."""

from __future__ import annotations

import dataclasses
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mribench_paper.tables import PaperTables
from report_tables import build, material_of, render_run, table_names
from rich.console import Console
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.commands.plugins import check_tables
from mribench.config import digest_config, load_benchmark
from mribench.config.model import BenchmarkConfig
from mribench.errors import ConfigError, MRIBenchError
from mribench.interfaces.table import Table
from mribench.interfaces.table_source import LayoutSpec
from mribench.report import RunData, load_run
from mribench.report.catalogue import specs_of
from mribench.results.manifest import ReportSpec

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
VALUE = {"base": 0.3, "seqinv": 0.4, "scratch": 0.2, "identity": 0.1}


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    """Every dimension moves the value by an amount of its own."""
    value = VALUE[cell["method"]]
    value += {None: 0.0, 0.1: 0.0, 1.0: 0.2}[cell["fraction"]]
    value += {"Guys": 0.0, "HH": 0.01, "ARC": 0.02}[cell["test_site"]]
    value += {"T1w": 0.0, "T2w": 0.001}[cell["test_sequence"]]
    value += 0.0001 * (cell["train_sequence"] == cell["test_sequence"])
    return 50 * (1 - value) if metric == HD95["id"] else value


def run_of(root: Path, layouts: Mapping[str, Mapping[str, Any]], **changes: Any) -> RunData:
    usual: dict[str, Any] = {
        "tasks": {
            "tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH")),
            "lesion": task([DICE], (1.0,), ("T1w",), ("ARC",)),
        },
        "references": ("scratch", "identity"), "transfer": True,
    }  # fmt: skip
    Benchmark(**{"score": score} | usual | changes).write(root)
    (path,) = (root / "plans").glob("*.json")
    manifest = json.loads(path.read_text())
    spec = ReportSpec.model_validate({"layouts": layouts})
    manifest["report"] = {"tables": ["leaderboard"], **spec.model_dump(mode="json", include={"layouts"})}
    path.write_text(json.dumps(manifest))
    return load_run(root)


def table_of(root: Path, layout: Mapping[str, Any], **changes: Any) -> Table:
    (table,) = build(run_of(root, {"mine": layout}, **changes), "mine")
    return table


def headers(table: Table) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return [row.header for row in table.rows], [column.header for column in table.columns]


def means(table: Table) -> list[list[float | None]]:
    return [[round(cell.mean, 6) if cell else None for cell in cells] for cells in table.cells]


DICE_ONLY = {"tasks": ["tissue"], "metrics": ["dice"]}


def test_rows_and_columns_as_asked(tmp_path: Path) -> None:
    layout = {"rows": ["sequence", "site"], "columns": ["method", "fraction"], **DICE_ONLY}
    table = table_of(tmp_path, {**layout, "methods": ["base", "seqinv"]})
    rows, columns = headers(table)
    assert rows == [("T1w", "Guys"), ("T1w", "HH"), ("T2w", "Guys"), ("T2w", "HH")]
    fractions = ("10 % (n=2)", "100 % (n=20)")
    assert columns == [(method, fraction) for method in ("base", "seqinv") for fraction in fractions]
    assert means(table)[3] == [0.3111, 0.5111, 0.4111, 0.6111]
    assert table.row_names == ("sequence", "site")
    assert table.name == "mine"


def test_the_papers_layout_as_a_layout_of_ones_own(tmp_path: Path) -> None:
    layout = {"rows": ["site", "sequence"], "columns": ["metric", "fraction", "method"], "tasks": ["tissue"]}
    run = run_of(tmp_path, {"mine": layout})
    (mine,), (paper,) = build(run, "mine"), build(run, "paper-1")
    assert headers(mine) == headers(paper)
    assert mine.cells == paper.cells
    assert mine.caption == paper.caption


def test_the_leaderboard_as_a_layout_of_ones_own(tmp_path: Path) -> None:
    layout = {
        "rows": ["method"], "columns": ["task", "fraction", "metric"], "in_domain": True,
        "sequences": "averaged",
    }  # fmt: skip
    run = run_of(tmp_path, {"mine": layout})
    (mine,), (board,) = build(run, "mine"), build(run, "leaderboard")
    assert headers(mine)[0] == headers(board)[0]
    assert set(headers(mine)[1]) == set(headers(board)[1])
    assert mine.rows == board.rows


def test_all_sequences_are_a_transfer_matrix(tmp_path: Path) -> None:
    layout = {
        "rows": ["method", "trained-on"], "columns": ["sequence"], "sequences": "all", "sites": ["HH"],
        "fractions": [1.0], "methods": ["seqinv"], "title": "How it transfers", **DICE_ONLY,
    }  # fmt: skip
    table = table_of(tmp_path, layout)
    assert table.title == "How it transfers"
    assert headers(table) == ([("seqinv", "T1w"), ("seqinv", "T2w")], [("T1w",), ("T2w",)])
    assert means(table) == [[0.6101, 0.611], [0.61, 0.6111]]


def test_marks_stand_between_methods_wherever_they_are(tmp_path: Path) -> None:
    layout = {"rows": ["method", "site"], "columns": ["sequence", "fraction"], **DICE_ONLY}
    table = table_of(tmp_path, layout)
    found = {
        row.header: {cell.mark for cell in cells if cell}
        for row, cells in zip(table.rows, table.cells, strict=True)
    }
    assert {method: marks for (method, site), marks in found.items() if site == "HH"} == {
        "base": {"second"}, "seqinv": {"best"}, "scratch": {"none"}, "identity": {"none"},
    }  # fmt: skip


ROWS = ("base", "seqinv", "scratch", "identity")
ON_LESION = {"rows": ["method"], "columns": ["task"], "tasks": ["lesion"]}


def said_of_marks(table: Table) -> list[str]:
    return [sentence for sentence in table.caption if sentence.startswith("Marks are those")]


def test_the_best_is_not_shown(tmp_path: Path) -> None:
    """Nobody becomes the best by leaving out who is, and the caption says why nothing is bold."""
    table = table_of(tmp_path, {**ON_LESION, "methods": ["base", "scratch"]})
    assert [cell.mark for (cell,) in table.cells if cell] == ["second", "none"]
    (said,) = said_of_marks(table)
    assert said == (
        "Marks are those among all 3 rows, 1 of them not shown (seqinv): where only those are best,"
        " nothing is bold."
    )
    assert table.caption[table.caption.index(said) - 1].startswith("Bold: best")


@pytest.mark.parametrize("methods", [None, ["base", "seqinv", "scratch"], list(ROWS)])
def test_nothing_is_said_where_all_that_were_compared_are_shown(
    tmp_path: Path, methods: list[str] | None
) -> None:
    """``identity`` is not compared."""
    table = table_of(tmp_path, {**ON_LESION, "methods": methods})
    assert said_of_marks(table) == []
    assert {cell.mark for (cell,) in table.cells if cell} == {"best", "second", "none"}


def test_nothing_is_said_of_marks_where_there_are_none(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"mine": {**ON_LESION, "methods": ["base"]}})
    (table,) = build(dataclasses.replace(run, marking="none"), "mine")
    assert said_of_marks(table) == []
    assert table.cells[0][0] is not None
    alone = run_of(tmp_path / "alone", {"mine": {**ON_LESION, "methods": ["identity"]}})
    assert said_of_marks(build(alone, "mine")[0]) == []


def test_only_rows_in_the_places_shown_count(tmp_path: Path) -> None:
    """A row that failed in the only task shown is not marked there, and so not missed."""
    failed = {f"seqinv/frozen/lesion/T1w/1/subset0/seed{seed}/test/ARC/T1w": "failed" for seed in (0, 1)}
    table = table_of(tmp_path, {**ON_LESION, "methods": ["base", "scratch"]}, states=failed)
    assert said_of_marks(table) == []
    assert [cell.mark for (cell,) in table.cells if cell] == ["best", "second"]


def test_many_hidden_rows_are_counted(tmp_path: Path) -> None:
    names = tuple(f"m{k}" for k in range(10))
    changes = {"methods": ("base", *names), "references": (), "score": lambda *_: 0.5}
    run = run_of(tmp_path, {"mine": {**ON_LESION, "methods": ["base"]}}, **changes)
    (said,) = said_of_marks(build(run, "mine")[0])
    assert "all 11 rows, 10 of them not shown (m0, m1, m2, m3, m4, m5 and 4 more)" in said


def test_tested_marks_are_those_of_all_rows_too(tmp_path: Path) -> None:
    """With five seeds: not separated from a best that is hidden is bold, as in the leaderboard."""

    def noisy(cell: Cell, metric: str, subject: str, label: str) -> float:
        shift = zlib.crc32(repr((cell["method"], cell["seed"], subject)).encode()) % 1000 / 5000
        return {"base": 0.5, "seqinv": 0.52, "scratch": 0.1, "identity": 0.0}[cell["method"]] + shift

    layout = {**ON_LESION, "methods": ["base", "scratch"], "in_domain": True}
    run = run_of(tmp_path, {"mine": layout, "all": {**layout, "methods": None}}, score=noisy, seeds=range(5))
    (mine,), (whole,) = build(run, "mine"), build(run, "all")
    assert mine.cells == (whole.cells[0], whole.cells[2])
    assert [cell.mark for (cell,) in mine.cells if cell] == ["best", "second"]
    assert len(said_of_marks(mine)) == 1
    assert said_of_marks(whole) == []


def test_every_format_with_words_says_which_rows_are_missing(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"mine": {**ON_LESION, "methods": ["base"]}})
    for name in ("markdown", "latex", "html", "terminal"):
        console = Console(file=io.StringIO(), width=300)
        shown = render_run(run, ["mine"], name, console)
        text = console.file.getvalue() if name == "terminal" else str(shown)  # type: ignore[attr-defined]
        assert "2 of them not shown (seqinv, scratch)" in text, name


def test_flags_follow_the_method(tmp_path: Path) -> None:
    pretrained = {"seqinv/pretrain/seed1": {"collapsed": True}}
    common = {"metrics": ["dice"], "tasks": ["lesion"]}
    layouts = {
        "first": {"rows": ["method"], "columns": ["site"], **common},
        "later": {"rows": ["site", "method"], "columns": ["metric"], **common},
        "above": {"rows": ["site"], "columns": ["method", "metric"], **common},
    }
    run = run_of(tmp_path, layouts, pretrained=pretrained)
    tables = {name: build(run, name)[0] for name in layouts}
    assert [row.flags for row in tables["first"].rows] == ["", "†", "", ""]
    assert ("ARC", "seqinv†") in headers(tables["later"])[0]
    assert ("seqinv†", "dice % ↑") in headers(tables["above"])[1]
    assert all("† Collapsed" in " ".join(table.caption) for table in tables.values())


def test_cells_that_would_share_a_place_are_an_error(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"mine": {"rows": ["method"], "columns": ["fraction"], "tasks": ["tissue"]}})
    message = "layout 'mine': several cells in one place, of different metric and site and sequence"
    for name in ("markdown", "csv"):
        with pytest.raises(MRIBenchError, match=message) as error:
            render_run(run, ["mine"], name)
        assert "metric in its rows or columns" in error.value.hint


def test_every_format_shows_a_layout(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"mine": {"rows": ["site"], "columns": ["method"], "tasks": ["lesion"]}})
    assert table_names(run)[-1] == "mine"
    frame = pd.read_csv(io.StringIO(str(render_run(run, ["mine"], "csv"))))
    assert set(frame["table"]) == {"mine"}
    assert len(frame) == 4
    for name in ("markdown", "latex", "html"):
        assert "synthetic: mine" in str(render_run(run, ["mine"], name))


def test_a_choice_that_leaves_nothing(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"rows": ["site"], "columns": ["method"], "tasks": ["none"]})
    assert table.caption == ("Nothing is planned.",)
    assert table.rows == ()


# The benchmark file


def benchmark(report: object) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((BENCHMARKS / "quickstart.yaml").read_text(encoding="utf-8"))
    return content | {"report": report}


def test_a_file_with_layouts(tmp_path: Path) -> None:
    report = {"tables": ["mine"], "layouts": {"mine": {"rows": ["method"], "columns": ["task", "metric"]}}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(benchmark(report)))
    config = load_benchmark(path)
    assert config.report.layouts["mine"].columns == ["task", "metric"]
    again = BenchmarkConfig.model_validate(config.model_dump(mode="json"))
    assert digest_config(again) == digest_config(config)


def test_layouts_are_no_settings() -> None:
    """The digest names the plan of what is run: what is shown of it does not change that."""
    config = load_benchmark(BENCHMARKS / "quickstart.yaml")
    with_layout = config.model_copy(
        update={"report": ReportSpec(layouts={"a": LayoutSpec(rows=["method"], columns=["site"])})}
    )
    assert digest_config(with_layout) == digest_config(config)
    assert digest_config(config.model_copy(update={"seeds": [7]})) != digest_config(config)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"rows": ["method"]}, "columns: required"),
        ({"rows": [], "columns": ["site"]}, "at least 1 item"),
        ({"rows": ["metod"], "columns": ["site"]}, "rows.0: expected"),
        ({"rows": ["site"], "columns": ["site"]}, "site in both"),
        ({"rows": ["site", "site"], "columns": ["method"]}, "no value twice"),
        ({"rows": ["sequence"], "columns": ["method"], "sequences": "averaged"}, "cannot be told apart"),
        ({"rows": ["sequence"], "columns": ["method"], "sequences": "all"}, "trained-on"),
        ({"rows": ["site"], "columns": ["method"], "fractions": [0.5, 0.1]}, "ascending"),
        ({"rows": ["site"], "columns": ["method"], "colour": "red"}, "unknown key"),
    ],
)
def test_wrong_layouts_say_where(tmp_path: Path, layout: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(benchmark({"layouts": {"mine": layout}})))
    with pytest.raises(ConfigError, match=message) as error:
        load_benchmark(path)
    assert "report.layouts.mine" in error.value.message


def config_of(folder: Path, report: Mapping[str, Any]) -> BenchmarkConfig:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(benchmark(report)))
    return load_benchmark(path)


@pytest.mark.parametrize(
    "name", ["leaderboard", "paper-1", "against", "budget", "transfer", "failures", "tables", "cells"]
)
def test_names_of_other_tables_are_taken(tmp_path: Path, name: str) -> None:
    config = config_of(tmp_path, {"layouts": {name: {"rows": ["method"], "columns": ["site"]}}})
    with pytest.raises(ConfigError, match=f"own.yaml: report.layouts.{name}: this name is taken") as error:
        check_tables(config, (PaperTables(),))
    assert error.value.hint == "give the layout another"


def test_every_name_of_a_table_is_taken(tmp_path: Path) -> None:
    names = table_names(run_of(tmp_path, {}))
    assert len(names) > 10
    for name in names:
        config = config_of(tmp_path, {"layouts": {name: {"rows": ["method"], "columns": ["site"]}}})
        with pytest.raises(ConfigError, match="taken"):
            check_tables(config, (PaperTables(),))


def test_a_layout_stands_in_the_section_that_it_names(tmp_path: Path) -> None:
    layout = {"rows": ["method"], "columns": ["task", "fraction", "metric", "site", "sequence"]}
    run = run_of(tmp_path, {"transfer-mine": layout, "mine": {**layout, "section": "domains"}})
    sections = {name: spec.section for name, spec in specs_of(material_of(run)).items()}
    assert (sections["transfer-mine"], sections["mine"]) == ("results", "domains")


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        ({"metrics": ["hd95"]}, "the benchmark has no metric 'hd95'", "hd95:max-directed"),
        ({"fractions": [0.5]}, "the benchmark has no fraction '0.5'", ""),
        ({"sites": ["Boston"]}, "the benchmark has no site 'Boston'", ""),
    ],
)
def test_a_choice_that_the_results_do_not_have_is_refused(
    tmp_path: Path, choice: dict[str, Any], message: str, hint: str
) -> None:
    layout = {"rows": ["method"], "columns": ["task", "fraction", "metric", "site", "sequence"], **choice}
    with pytest.raises(MRIBenchError, match=message) as refused:
        table_of(tmp_path, layout)
    assert hint in (refused.value.hint or "")
