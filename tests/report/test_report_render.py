from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from report_tables import render_run, save_report
from rich.console import Console
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.errors import MRIBenchError, StoreError
from mribench.interfaces.table import Cell as TableCell, Column, Row, Table, said
from mribench.report import load_run
from mribench.report.render.markdown import escape
from mribench.report.render.terminal import print_tables
from mribench.results.formatting import cell_text, digits_for

SUBJECT = {"a": -0.1, "b": 0.0, "c": 0.1}


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    base = {"base": 0.5, "seqinv": 0.6, "scratch": 0.4, "identity": 0.2}[cell["method"]]
    value = base + SUBJECT[subject] + 0.02 * (cell["seed"] or 0)
    return 50 * (1 - value) if metric == HD95["id"] else value


@pytest.fixture
def results(tmp_path: Path) -> Path:
    tasks = {"tissue": task([DICE], (0.1, 1.0)), "lesion": task([DICE, HD95], sites=("ARC",))}
    states = {"base/frozen/lesion/T1w/1/subset0/seed1/test/ARC/T1w": "todo"}
    return Benchmark(score, tasks, references=("scratch", "identity"), states=states).write(
        tmp_path / "synthetic"
    )


GOLDEN = """\
## synthetic: leaderboard

| method   |   tissue 10 % (n=2) dice % ↑ |   tissue 100 % (n=20) dice % ↑ |   lesion 100 % (n=20) dice % ↑ |   lesion 100 % (n=20) hd95:max-directed mm ↓ |
|:---------|-----------------------------:|-------------------------------:|-------------------------------:|---------------------------------------------:|
| base     |        <ins>51.0 ± 5.9</ins> |          <ins>51.0 ± 5.9</ins> |       50.0 ± 5.8 (partial 1/2) |                   25.00 ± 2.89 (partial 1/2) |
| seqinv   |               **61.0 ± 5.9** |                 **61.0 ± 5.9** |                 **61.0 ± 5.9** |                             **19.50 ± 2.93** |
| scratch  |                   41.0 ± 5.9 |                     41.0 ± 5.9 |          <ins>41.0 ± 5.9</ins> |                      <ins>29.50 ± 2.93</ins> |
| identity |                   20.0 ± 5.8 |                     20.0 ± 5.8 |                     20.0 ± 5.8 |                                 40.00 ± 2.89 |

- Mean ± SE on the site and sequence trained on; tissue: 3 subjects; lesion: 3 subjects; 1–2 seeds.
- SE: crossed random effects of seed and subject, labels and sessions averaged within a subject, complete (seed, subject) pairs only; over subjects where nothing was trained.
- Bold: best; underlined: second; of all rows but identity, by unrounded means over the same seeds and subjects; a cell that is incomplete or lacks what others have is out.
- Empty masks: one empty counts as the metric's penalty; both empty, left out: none.
- Label subsets: one draw, so given these n subjects (n=2); what another draw would change is in no SE, interval or p.
- Incomplete: cells partial: 2.
- Profile: corrected.
- 2 seeds: too few seeds to tell methods apart.
"""  # noqa: E501


def test_markdown_is_as_it_was(results: Path) -> None:
    assert render_run(load_run(results), ["leaderboard"], "markdown") == GOLDEN


def test_tables_of_the_file_by_default_each_once(results: Path) -> None:
    run = load_run(results)
    assert render_run(run, [], "markdown") == GOLDEN
    assert render_run(run, ["leaderboard", "leaderboard"], "markdown") == GOLDEN
    both = render_run(run, ["leaderboard", "paper-2"], "markdown")
    assert both is not None
    assert both.startswith(GOLDEN)
    assert "## lesion: site and sequence" in both


def test_markdown_escapes_what_names_may_hold() -> None:
    assert escape("a|b*c_d<e>[f]`g`\\") == r"a\|b\*c\_d\<e\>\[f\]\`g\`" + "\\\\"


def test_csv_has_one_unrounded_row_per_cell(results: Path) -> None:
    text = render_run(load_run(results), ["leaderboard", "paper-2"], "csv")
    frame = pd.read_csv(io.StringIO(text or ""))
    board = frame[frame["table"] == "leaderboard"]
    assert len(board) == 4 * 4
    cell = board[(board["row"] == "seqinv") & (board["fraction"] == 0.1)].iloc[0]
    assert cell["mean"] == pytest.approx(0.61, rel=1e-12)
    assert cell["se"] == pytest.approx(math.sqrt(0.0004 / 4 + 0.01 / 3), rel=1e-9)
    assert (cell["n_subjects"], cell["n_seeds"], cell["status"], cell["mark"]) == (3, 2, "ok", "best")
    assert not cell["collapsed"]
    partial = board[board["status"] == "partial"]
    assert partial[["jobs_done", "jobs_expected"]].to_numpy().tolist() == [[1, 2], [1, 2]]
    assert set(frame.loc[frame["table"] == "paper-2", "task"]) == {"lesion"}


def test_json_says_the_same_as_csv_and_has_no_nan(results: Path) -> None:
    run = load_run(results)
    content = json.loads(
        render_run(run, ["leaderboard"], "json") or "", parse_constant=lambda name: pytest.fail(name)
    )
    frame = pd.read_csv(io.StringIO(render_run(run, ["leaderboard"], "csv") or ""))
    assert content["schema"] == 1
    assert content["seeds"] == [0, 1]
    assert content["mixed"] == []
    assert [cell["mean"] for cell in content["cells"]] == pytest.approx(frame["mean"].tolist())
    assert content["cells"][0]["train_sequence"] is None
    assert list(content["cells"][0]) == list(frame.columns)


def terminal_text(run: object, width: int, *, terminal: bool) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system="standard" if terminal else "auto",
    )
    with console.capture() as capture:
        render_run(run, ["leaderboard"], "terminal", console)  # type: ignore[arg-type]
    return capture.get()


def test_the_terminal_gets_bold_and_underline(results: Path) -> None:
    text = terminal_text(load_run(results), 200, terminal=True)
    assert "\x1b[1m61.0 ± 5.9\x1b[0m" in text
    assert "\x1b[4m51.0 ± 5.9\x1b[0m" in text
    assert "**" not in text


def test_a_pipe_gets_signs_and_whole_lines(results: Path) -> None:
    text = terminal_text(load_run(results), 40, terminal=False)
    assert "\x1b" not in text
    assert "**61.0 ± 5.9**" in text
    assert "__51.0 ± 5.9__" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("base"))
    expected = "base __51.0 ± 5.9__ __51.0 ± 5.9__ 50.0 ± 5.8 (partial 1/2) 25.00 ± 2.89 (partial 1/2)"
    assert " ".join(row.split()) == expected
    assert any(line.startswith("SE: crossed") and line.endswith("was trained.") for line in text.splitlines())


def test_a_narrow_terminal_gets_blocks_and_loses_nothing(results: Path) -> None:
    text = terminal_text(load_run(results), 60, terminal=True)
    assert sum("method" in line for line in text.splitlines()) > 1
    for value in ("51.0 ± 5.9", "50.0 ± 5.8 (partial 1/2)", "25.00 ± 2.89 (partial 1/2)", "40.00 ± 2.89"):
        assert value in text
    assert "…" not in text


def test_a_caption_sentence_is_printed_once(results: Path) -> None:
    console = Console(file=io.StringIO(), width=300, force_terminal=False)
    with console.capture() as capture:
        render_run(load_run(results), ["leaderboard", "paper-1", "paper-2"], "terminal", console)
    assert capture.get().count("Profile: corrected.") == 1
    assert capture.get().count("Bold: best") == 1


def printed(table: Table, width: int, *, terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    with console.capture() as capture:
        print_tables([table], console)
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get()).splitlines()


@pytest.mark.parametrize("width", [30, 40, 80])
def test_long_texts_are_wrapped_and_never_cut(width: int) -> None:
    """Verdicts, names and headers of any length: every word is there, and no line is too long."""
    table = Table(
        "t", "title", ("claim", "section"), (Row(("a claim of many words, …", "4.3, 5.1")),),
        (Column(("verdict",)), Column(("numbers of it",))),
        ((TableCell(text="cannot be told"), TableCell(text="best in 3 of 27 cells")),),
        (),
    )  # fmt: skip
    lines = printed(table, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    expected = "a claim of many words, 4.3, 5.1 cannot be told best in 3 of 27 cells numbers verdict"
    assert set(expected.split()) <= set(words)


def test_a_word_that_is_wider_than_the_terminal_is_folded() -> None:
    table = Table("t", "t", ("m",), (Row(("x" * 90,)),), (Column(("y" * 90,)),), ((None,),), ())
    text = "".join(printed(table, 30))
    assert (text.count("x"), text.count("y"), text.count("…")) == (90, 90, 0)


@pytest.mark.parametrize(("mark", "said"), [("best", True), ("second", True), ("none", False)])
def test_styles_are_explained_only_where_there_are_some(mark: str, said: bool) -> None:
    cells = ((TableCell(status="ok", text="v", mark=mark), None),)  # type: ignore[arg-type]
    table = Table("t", "t", ("m",), (Row(("a",)),), (Column(("c",)), Column(("d",))), cells, ())
    assert any("Without styles" in line for line in printed(table, 80, terminal=False)) is said
    assert not any("Without styles" in line for line in printed(table, 80))


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_of_names_are_spelled_out(terminal: bool) -> None:
    evil = "a\x1b[31m\x07\u202eb"
    table = Table(
        evil, evil, (evil,), (Row((evil,)),), (Column((evil, evil)),), ((TableCell(text=evil),),), said(evil),
    )  # fmt: skip
    text = "\n".join(printed(table, 80, terminal=terminal))
    assert not set(text) & set("\x1b\x07\u202e")
    assert text.count("a\\x1b[31m\\x07\\u202eb") == 7


def test_names_with_rich_markup_are_printed_as_they_are() -> None:
    table = Table(
        "t", "[bold]title", ("method",), (Row(("[red]m",)),), (Column(("[b]c",)),), ((TableCell(),),), ()
    )
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    with console.capture() as capture:
        print_tables([table], console)
    for text in ("[bold]title", "[red]m", "[b]c", "missing"):
        assert text in capture.get()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, "–"),
        (TableCell(), "missing"),
        (TableCell(status="failed"), "failed"),
        (TableCell(0.8234, 0.0091, 65, 65, status="ok", scale=100), "82.3 ± 0.9"),
        (TableCell(0.8234, 0.0091, 63, 65, status="ok", scale=100), "82.3 ± 0.9 [63/65]"),
        (TableCell(0.8234, 0.0002, 65, 65, status="ok", scale=100), "82.34 ± 0.02"),
        (TableCell(0.8234, 0.000002, 65, 65, status="ok", scale=100), "82.3 ± <0.1"),
        (TableCell(0.8234, 0.0, 65, 65, status="ok", scale=100), "82.3 ± 0.0"),
        (TableCell(0.8234, math.nan, 1, 1, status="ok", scale=100), "82.3"),
        (TableCell(math.nan, math.nan, 0, 0, status="ok"), "n/a"),
        (TableCell(math.inf, math.nan, 2, 2, status="ok"), "inf"),
        (TableCell(0.205, status="ok", scale=100, low=0.141, high=0.269), "+20.5 [14.1, 26.9]"),
        (TableCell(-0.2, status="ok", low=-0.3, high=-0.1), "-0.2 [-0.3, -0.1]"),
        (TableCell(-1e-9, status="ok", low=-1e-9, high=1e-9), "+0.0 [0.0, 0.0]"),
        (TableCell(357.1234, 2e-6, 3, 3, status="ok", digits=2), "357.12 ± <0.01"),
        (TableCell(357.1234, 2e-3, 3, 3, status="ok", digits=2), "357.123 ± 0.002"),
        (TableCell(0.2, 0.1, status="ok", seeds=(0.1, 0.3), signed=True), "+0.2 (seeds: +0.1, +0.3)"),
        (TableCell(-1e-9, status="ok", low=-0.3, high=0.3), "+0.0 [-0.3, 0.3]"),
        (TableCell(2.0, 0, 3, 4, 1, 2, "partial", low=1.0, high=3.0), "+2.0 [1.0, 3.0] [3/4] (partial 1/2)"),
        (TableCell(-1e-9, status="ok", digits=2), "0.00"),
        (TableCell(2.0, text="what it says", status="ok"), "what it says"),
        (TableCell(12.345, 1.0, 2, 2, 1, 3, "partial", digits=2), "12.35 ± 1.00 (partial 1/3)"),
        (TableCell(12.345, 1.0, 2, 4, 1, 3, "partial", digits=2), "12.35 ± 1.00 [2/4] (partial 1/3)"),
    ],
)
def test_text_of_cells(cell: TableCell | None, expected: str) -> None:
    assert cell_text(cell) in (
        expected,
        expected.replace("12.35", "12.34"),
    )  # 12.345 is not a binary fraction


def test_digits_grow_only_where_the_se_would_vanish() -> None:
    assert digits_for(0.06, 1) == 1
    assert digits_for(0.04, 1) == 2
    assert digits_for(0.0006, 1) == 3
    assert digits_for(4e-9, 1) == 1, "six more decimals help nobody"
    assert digits_for(0.0, 1) == digits_for(math.nan, 1) == digits_for(math.inf, 1) == 1
    assert digits_for(1e-14, 1, 80.0) == 1, "rounding, not a spread"
    same = TableCell(-0.8, status="ok", digits=2, low=-0.8 - 1e-16, high=-0.8 + 1e-16)
    assert cell_text(same) == "-0.80 [-0.80, -0.80]"


def test_saved_reports(results: Path, tmp_path: Path) -> None:
    run = load_run(results)
    paths = save_report(run, [], tmp_path / "report")
    assert [path.name for path in paths] == [
        "leaderboard.md", "leaderboard.tex", "tables.tex", "tables.html", "cells.csv", "cells.parquet",
        "cells.json",
    ]  # fmt: skip
    assert all(path.parent == tmp_path / "report" for path in paths)
    assert paths[0].read_text(encoding="utf-8") == GOLDEN
    by_format = {"latex": "tables.tex", "html": "tables.html", "csv": "cells.csv", "json": "cells.json"}
    for name, file in by_format.items():
        assert (tmp_path / "report" / file).read_text(encoding="utf-8") == render_run(run, [], name)
    assert paths[5].read_bytes() == render_run(run, [], "parquet")
    fragment = paths[1].read_text(encoding="utf-8")
    assert "documentclass" not in fragment
    assert fragment in paths[2].read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the report"):
        save_report(run, [], tmp_path / "file")


def test_an_unknown_format(results: Path) -> None:
    with pytest.raises(MRIBenchError, match="unknown format 'markdow'") as error:
        render_run(load_run(results), [], "markdow")
    assert "markdown" in error.value.hint
