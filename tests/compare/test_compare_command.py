"""``mribench compare`` as it is typed, and what its formats look like."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.cli.results import _TABLES, compare as command
from mribench.compare import TABLES, comparison_document, of_one
from mribench.errors import ConfigError, MRIBenchError, StoreError
from mribench.report import FORMATS, load_run, render

EVIL = "<b>_x_|*y*</b>&\\%"


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    value = 0.5 + 0.01 * len(subject) + 0.001 * cell["seed"] * len(cell["method"])
    return value if metric == "dice" else 40 * value


BENCHMARK = Benchmark(
    score, tasks={"tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))},
    subjects=("IXI002-Guys-0828", "IXI012-HH-1211", "a", "b" * 3), transfer=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BENCHMARK.write(tmp_path_factory.mktemp("all") / "results" / "synthetic")


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_names_on_the_command_line_are_those_of_the_code() -> None:
    assert _TABLES == TABLES


def test_two_methods_of_one_folder(results: Path) -> None:
    result = invoke(results, "seqinv", "base")
    assert result.exit_code == 0
    for title in ("seqinv − base: the difference", "by test site", "by train → test", "each way",
                  "does one subject make the difference?", "seed by seed",
                  "empty masks", "what else differs"):  # fmt: skip
        assert title in result.stdout


def test_two_folders(results: Path) -> None:
    other = BENCHMARK.write(results.parent.parent / "other" / "synthetic")
    text = invoke(results, other, "--method", "seqinv", "--table", "difference").stdout
    assert "seqinv @ results − seqinv @ other" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "got 0 words"),
        (("results",), "got 1 words"),
        (("a", "b", "c", "d"), "got 4 words"),
        (("a", "b", "c", "--method", "x"), "--method goes with two RESULTS"),
        (("a", "b", "--method", "x", "--method", "y", "--method", "z"), "--method is given 3 times"),
        (("a", "b", "--set", "seeds=[1]"), "--set goes with one benchmark FILE"),
        (("a", "b", "c", "--format", "parquet"), "is not text"),
        (("a", "b", "c", "--fraction", "0"), "0 is not in the range"),
        (("a", "b", "c", "--format", "pdf"), "'pdf' is not one of"),
    ],
)
def test_words_that_make_no_comparison(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_method_that_has_nothing_to_be_compared_with(results: Path) -> None:
    with pytest.raises(
        MRIBenchError, match="'seqinv' is no results folder or file, and a method needs"
    ) as error:
        invoke(results, "seqinv")
    assert error.value.hint == f"mribench compare {results} seqinv METHOD_B"


def test_results_that_are_not_there(tmp_path: Path, results: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        invoke(tmp_path / "nowhere", "seqinv", "base")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="holds no results"):
        invoke(tmp_path / "empty", "seqinv", "base")
    with pytest.raises(StoreError) as error:
        invoke(results.parent, "seqinv", "base")
    assert "synthetic" in error.value.hint


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--table", "sitez"), "there is no table 'sitez' of a comparison", "did you mean 'sites'?"),
        (("--fraction", "0.5"), "no cell of both has the fraction 0.5", "known: 0.1, 1"),
    ],
)
def test_options_that_name_nothing(results: Path, options: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(MRIBenchError) as error:
        invoke(results, "seqinv", "base", *options)
    assert (error.value.message, error.value.hint) == (message, hint)


def test_a_fraction_is_shown_alone(results: Path) -> None:
    cells = json.loads(invoke(results, "seqinv", "base", "--fraction", "0.1", "--format", "json").stdout)[
        "cells"
    ]
    assert {cell["fraction"] for cell in cells if cell["table"] != "settings"} == {0.1}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_go_to_a_file(results: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out"
    result = invoke(results, "seqinv", "base", "--format", name, "--output", path)
    assert f"wrote {path}" in result.stderr
    if name == "parquet":
        assert set(pd.read_parquet(path)["table"]) >= {"difference", "subjects", "seeds"}
    else:
        text = path.read_text(encoding="utf-8")
        assert "seqinv" in text or name == "csv"
        assert "\x1b" not in text


def test_an_output_that_is_a_folder(results: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(results), "seqinv", "base", "--output", str(tmp_path)])
    assert result.exit_code == 2


def test_json_and_csv_have_every_row_unrounded(results: Path) -> None:
    content = json.loads(invoke(results, "seqinv", "base", "--format", "json").stdout)
    assert (content["schema"], content["comparison"]) == (1, "seqinv − base")
    assert content["first"] == {
        "name": "seqinv", "row": "seqinv", "benchmark": "synthetic", "profile": "corrected",
        "results": "synthetic",
    }  # fmt: skip
    cells = pd.DataFrame(content["cells"])
    rows = cells.groupby("table").size()
    assert (rows["difference"], rows["sites"], rows["sequences"]) == (4, 4, 8)
    assert (rows["subjects"], rows["one-out"], rows["seeds"], rows["empty"]) == (8, 2, 8, 4)
    first = cells[cells["table"] == "difference"].iloc[0]
    assert first["difference"] == pytest.approx(0.001)  # 0.5 seeds × 2 letters
    assert first["better"] == "seqinv"
    text = invoke(results, "seqinv", "base", "--format", "csv").stdout
    assert len(pd.read_csv(io.StringIO(text))) == len(cells)


def test_names_from_plugins_and_data_are_escaped(tmp_path: Path) -> None:
    tasks = {EVIL: task([{**DICE, "id": EVIL}])}
    evil = replace(BENCHMARK, tasks=tasks, methods=(EVIL, "base"), subjects=(EVIL, "b", "c"))
    evil = replace(evil, score=lambda cell, *_: 0.5 + 0.1 * (cell["method"] == "base"))
    evil.write(tmp_path)
    document = comparison_document(of_one(load_run(tmp_path), tmp_path, EVIL, "base"))
    html = str(render(document, "html"))
    assert "<b>" not in html
    assert "&lt;b&gt;_x_|*y*&lt;/b&gt;&amp;\\%" in html
    markdown = str(render(document, "markdown"))
    assert "<b>" not in markdown.replace("\\<b", "")
    assert r"\<b\>\_x\_\|\*y\*\</b\>" in markdown
    latex = str(render(document, "latex"))
    assert r"\textbackslash{}\%" in latex
    assert not [line for line in latex.splitlines() if EVIL in line and not line.startswith("%")]
    console = Console(file=io.StringIO(), width=300, force_terminal=True)
    render(replace(document, specs=document.specs[:1]), "terminal", console)
    assert EVIL in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("order", [("seqinv", "base"), ("base", "scratch")])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    replace(BENCHMARK, references=("scratch",)).write(tmp_path)
    document = comparison_document(of_one(load_run(tmp_path), tmp_path, *order))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    render(document, "terminal", console)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()).splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    tables = [line for line in lines if set(line.strip()) == {"─"}]
    assert len(tables) < 26, "blocks of columns"


def test_help_and_usage_say_both_forms() -> None:
    text = command.get_help(click.Context(command, info_name="compare"))
    assert "RESULTS METHOD_A METHOD_B | RESULTS_A RESULTS_B" in " ".join(text.split())
    assert text.count("mribench compare ") == 3


def test_no_torch_and_no_plugin_is_imported(results: Path) -> None:
    program = (
        "import sys\nfrom mribench.cli import main\nsys.argv = ['mribench', 'compare', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "loaded = [n for n in sys.modules if n in ('torch', 'monai') or n.startswith('mribench_')]\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(results), "seqinv", "base"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
