"""LaTeX, HTML and Parquet of the neutral model."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from parsing import html_reader, latex_grids, of_tex
from report_tables import material_of, render_run
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.interfaces.table import NOTHING_PLANNED, Cell as TableCell, Column, Row, Table, said
from mribench.report import load_run, render, run_document
from mribench.report.render.headers import Span, groups, levels
from mribench.report.render.html_table import html_page, identifier, to_html
from mribench.report.render.latex import escape, latex_document, to_latex

NASTY = r"""<b>&amp; "q" 'a' \input{/etc/passwd} $x_1^2$ 100 % #1 ~ [x] *y* `z` |w| {c} a--b,,c é ß 中 ↑†"""
"""What a plugin may be called."""


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    base = {"base": 0.5, "seqinv": 0.6, "scratch": 0.4, "identity": 0.2}[cell["method"]]
    value = base + {"a": -0.1, "b": 0.0, "c": 0.1}[subject] + 0.02 * (cell["seed"] or 0)
    return 50 * (1 - value) if metric == HD95["id"] else value


@pytest.fixture
def results(tmp_path: Path) -> Path:
    tasks = {"tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w")), "lesion": task([DICE, HD95], sites=("ARC",))}
    states = {"base/frozen/lesion/T1w/1/subset0/seed1/test/ARC/T1w": "todo"}
    benchmark = Benchmark(score, tasks, references=("scratch", "identity"), states=states)
    return benchmark.write(tmp_path / "synthetic")


def cell(mean: float, mark: str = "none") -> TableCell:
    return TableCell(mean, 0.1, status="ok", mark=mark)  # type: ignore[arg-type]


def nasty_table() -> Table:
    return Table(
        name=NASTY,
        title=NASTY,
        row_names=(NASTY, "second"),
        rows=(Row((NASTY, "[row]")), Row(("*row*", NASTY)), Row(("[0]", "-1"))),
        columns=(Column((NASTY, NASTY)), Column((NASTY, "other")), Column(("top", NASTY))),
        cells=(
            (cell(1.0, "best"), cell(2.0, "second"), None),
            (TableCell(status="ok", text=NASTY), TableCell(), TableCell(status="failed")),
            (cell(-3.25), TableCell(math.inf, status="ok"), cell(4.0, "best")),
        ),
        sentences=said(NASTY, "[note]", "*note*"),
    )


def rows_of(count: int) -> Table:
    return Table(
        "long", "a long table", ("name",), tuple(Row((f"row {n}",)) for n in range(count)),
        (Column(("value",)),), tuple((cell(n),) for n in range(count)),
        said(*(f"note {n}" for n in range(5))),
    )  # fmt: skip


# Headers


def test_levels_merge_neighbours_below_the_same_header() -> None:
    columns = [
        Column(("a", "x", "1")),
        Column(("a", "x", "2")),
        Column(("a", "y", "1")),
        Column(("b", "y", "1")),
    ]
    assert levels(columns) == [
        [Span("a", 0, 3), Span("b", 3, 4)],
        [Span("x", 0, 2), Span("y", 2, 3), Span("y", 3, 4)],
        [Span("1", 0, 1), Span("2", 1, 2), Span("1", 2, 3), Span("1", 3, 4)],
    ]


def test_the_innermost_headers_are_never_merged() -> None:
    assert levels([Column(("a",)), Column(("a",))]) == [[Span("a", 0, 1), Span("a", 1, 2)]]
    assert levels([]) == []


def test_columns_of_fewer_levels_are_filled_up() -> None:
    assert levels([Column(("a", "x")), Column(("b",))])[1] == [Span("x", 0, 1), Span("", 1, 2)]


def test_groups_of_rows() -> None:
    assert groups([("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")]) == [2, 3]
    assert groups([("a",), ("b",)]) == []
    assert groups([("a", "1"), ("b", "1")]) == []
    assert groups([("a", "1"), ("a", "2")]) == []
    assert groups([]) == []


# LaTeX


def test_latex_of_a_run(results: Path) -> None:
    text = str(render_run(load_run(results), ["leaderboard"], "latex"))
    ((head, rows),) = latex_grids(text)
    assert head[0][1:] == ["tissue", "tissue", "lesion", "lesion"]
    assert head[-1][1:] == ["dice % ↑", "dice % ↑", "dice % ↑", "hd95:max-directed mm ↓"]
    assert rows[0] == [
        "base",
        *["_51.0 ± 5.9_"] * 2,
        "50.0 ± 5.8 (partial 1/2)",
        "25.00 ± 2.89 (partial 1/2)",
    ]
    assert rows[1] == ["seqinv", *["<61.0 ± 5.9>"] * 3, "<19.50 ± 2.93>"]
    assert r"\textbf{61.0 $\pm$ 5.9}" in text
    assert r"\underline{51.0 $\pm$ 5.9}" in text
    assert r"\multicolumn{2}{c}{tissue}" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"\caption{synthetic: leaderboard}" in text
    assert r"too few seeds to tell methods apart.\par" in text


def test_latex_escapes_all_that_latex_reads() -> None:
    text = escape(NASTY)
    assert "\\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert "[U+4E2D]" in text.replace("{[}", "[")
    assert of_tex(text) == NASTY.replace("中", "[U+4E2D]")


def test_every_ascii_character_comes_back_from_latex() -> None:
    every = "".join(map(chr, range(33, 127)))
    assert of_tex(escape(every)) == every


def test_latex_lets_no_row_begin_with_what_a_row_end_reads() -> None:
    text = to_latex(nasty_table())
    starts = [line.lstrip()[:1] for line in text.splitlines()]
    assert "[" not in starts
    assert "*" not in starts


def test_minus_signs_of_numbers_only() -> None:
    table = Table("t", "a-b", ("m",), (Row(("x-1",)),), (Column(("c",)),), ((cell(-1.5),),), ())
    text = to_latex(table)
    assert "$-$1.5" in text
    assert "x-1" in text
    assert r"\caption{a-b}" in text


def test_long_tables_are_several_floats_with_one_number() -> None:
    text = to_latex(rows_of(80))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count("(continued)") == 2
    assert text.count(r"\addtocounter{table}{-1}") == 2
    assert sum(len(rows) for _, rows in latex_grids(text)) == 80
    assert text.count("note 4") == 1


def test_notes_that_do_not_fit_stand_alone() -> None:
    text = to_latex(rows_of(34))
    assert text.count(r"\begin{table}") == 2
    assert text.index("(notes)") > text.index("row 33")


def test_a_table_of_nothing() -> None:
    empty = Table("t", "empty", ("method",), (), (), (), (NOTHING_PLANNED,))
    assert "Nothing is planned." in to_latex(empty)
    assert "Nothing is planned." in to_html(empty)
    html_reader(to_html(empty))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(results: Path, tmp_path: Path) -> None:
    run = run_document(material_of(load_run(results)), ["leaderboard", "paper-2", "transfer"])
    empty = Table("t", "empty", ("method",), (), (), (), (NOTHING_PLANNED,))
    text = latex_document([*run.tables(), nasty_table(), rows_of(80), empty])
    (tmp_path / "tables.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert "too large" not in done.stdout  # a float that leaves the page
    assert "Overfull \\hbox" not in done.stdout
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
    if shutil.which("pdftotext"):
        subprocess.run(["pdftotext", "-layout", "tables.pdf"], cwd=tmp_path, check=True)
        printed = (tmp_path / "tables.txt").read_text(encoding="utf-8")
        for word in ("61.0", "row 79", "/etc/passwd", "U+4E2D", "Nothing is planned", "a--b,,c"):
            assert word in printed, word


# HTML


def test_html_of_a_run(results: Path) -> None:
    page = str(render_run(load_run(results), ["leaderboard"], "html"))
    reader = html_reader(page)
    ((head, rows),) = reader.grids
    assert head[0] == ["method", "tissue", "tissue", "lesion", "lesion"]
    assert rows[1] == ["seqinv", *["<61.0 ± 5.9>"] * 3, "<19.50 ± 2.93>"]
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("table") == tags.count("caption") == tags.count("h1") == 1
    heads = [attributes for tag, attributes in reader.tags if tag == "th"]
    assert {attributes["scope"] for attributes in heads} == {"col", "colgroup", "row"}
    assert all(a["scope"] == ("colgroup" if "colspan" in a else a["scope"]) for a in heads)
    (table,) = [attributes for tag, attributes in reader.tags if tag == "table"]
    assert f'id="{table["aria-describedby"]}"' in page
    assert '<html lang="en">' in page
    assert "<strong>61.0 ± 5.9</strong>" in page
    assert "<u>51.0 ± 5.9</u>" in page


def test_html_needs_nothing_else(results: Path) -> None:
    page = str(render_run(load_run(results), ["leaderboard", "budget"], "html"))
    reader = html_reader(page)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in reader.tags}
    assert not [name for _, attributes in reader.tags for name in attributes if name in ("src", "href")]
    assert "url(" not in page
    assert "@import" not in page


def test_html_escapes_everything() -> None:
    page = html_page([nasty_table()], NASTY)
    reader = html_reader(page)
    assert "b" not in [tag for tag, _ in reader.tags]
    ((head, rows),) = reader.grids
    assert head[0] == [NASTY, "second", NASTY, NASTY, "top"]
    assert rows[1] == ["*row*", NASTY, NASTY, "missing", "failed"]
    assert page.count("&lt;b&gt;") == page.count("<b>") + page.count("&lt;b&gt;")


def test_html_cells_have_numbers_and_status() -> None:
    reader = html_reader(to_html(nasty_table()))
    cells = [attributes for tag, attributes in reader.tags if tag == "td"]
    assert [c.get("class") for c in cells] == [
        "best ok", "second ok", "nothing", "ok", "missing", "failed", "ok", "ok", "best ok",
    ]  # fmt: skip
    assert [c.get("data-mean") for c in cells] == [
        "1.0", "2.0", None, None, None, None, "-3.25", "inf", "4.0",
    ]  # fmt: skip


def test_identifiers_are_plain() -> None:
    assert identifier('transfer-tissue-"dice:x y"') == "table-transfer-tissue-dice-x-y"


# Parquet


def test_parquet_keeps_types_and_says_where_it_is_from(results: Path, tmp_path: Path) -> None:
    run = load_run(results)
    document = run_document(material_of(run), ["leaderboard", "paper-2", "budget"])
    data = render(document, "parquet")
    assert isinstance(data, bytes)
    path = tmp_path / "cells.parquet"
    path.write_bytes(data)
    frame, cells = pd.read_parquet(path), document.cells()
    pd.testing.assert_frame_equal(frame, cells, check_exact=True)
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert {kinds[name] for name in ("n_subjects", "jobs_done", "n_seeds")} == {"Int64"}
    assert {kinds[name] for name in ("mean", "se", "fraction")} == {"float64"}
    assert {kinds[name] for name in ("higher_is_better", "collapsed")} == {"boolean"}
    assert {kinds[name] for name in ("row", "task", "status", "mark")} == {"string"}
    head = json.loads(pq.read_schema(path).metadata[b"mribench"])
    content = json.loads(str(render(document, "json")))
    assert head == {name: value for name, value in content.items() if name != "cells"}


def test_counts_are_whole_numbers_in_csv(results: Path) -> None:
    text = str(render_run(load_run(results), ["leaderboard", "budget"], "csv"))
    frame = pd.read_csv(io.StringIO(text), dtype=str)
    counts = frame["n_subjects"].dropna()
    assert set(counts) == {"3"}
    assert frame["n_subjects"].isna().any()
