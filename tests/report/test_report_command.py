from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from report_tables import table_names
from synthetic_results import Benchmark, Cell

from mribench.cli.results import FORMATS, MARKINGS, report as command
from mribench.config import digest_config, load_benchmark
from mribench.errors import ConfigError, MRIBenchError, StoreError
from mribench.report import FORMATS as REPORT_FORMATS, load_run
from mribench.statistics import marking

BENCHMARK = """\
benchmark: synthetic
profile: corrected
seeds: [0, 1]
data:
  phantom: {name: phantom}
splits:
  phantom: {train: 0.6, validation: 0.2, test: 0.2}
methods:
  base: {views: mprage, objective: simclr-recon}
defaults:
  encoder: cnn
  pretrain: {data: phantom, steps: 1, patch_vox: 32, batch_size: 1, lr: 1.0e-3}
tasks:
  tissue:
    task: tissue-segmentation
    data: phantom
    train_sequences: [T1w]
    fractions: [1.0]
    adapt: {steps: 1, lr: 1.0e-3, batch_size: 1}
"""


class ReadingError(Exception):
    """Options were accepted: results would be read."""


def reading(*_: object) -> None:
    raise ReadingError


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    return {"base": 0.5, "seqinv": 0.6}[cell["method"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "synthetic.yaml"
    path.write_text(BENCHMARK)
    return path


@pytest.fixture
def results(tmp_path: Path, file: Path) -> Path:
    Benchmark(score).write(tmp_path / "results" / "synthetic", digest_config(load_benchmark(file)))
    return tmp_path / "results"


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_file_shows_its_own_run(results: Path, file: Path) -> None:
    result = invoke(file, "--results", results)
    assert result.exit_code == 0
    assert "synthetic: leaderboard" in result.stdout
    assert "**60.0 ± 0.0**" in result.stdout


def test_a_file_and_its_folder_show_the_same(results: Path, file: Path) -> None:
    by_file = invoke(file, "--results", results, "--format", "markdown").stdout
    assert by_file == invoke(results / "synthetic", "--format", "markdown").stdout


def test_settings_that_were_never_run(results: Path, file: Path) -> None:
    with pytest.raises(MRIBenchError, match="with these settings under") as error:
        invoke(file, "--results", results, "--set", "seeds=[7]")
    again, everything = error.value.hint.split("; or, for all that is there: ")
    words = ["mribench", "run", str(file), "--set", "seeds=[7]", "--results", str(results)]
    assert shlex.split(again) == words
    assert shlex.split(everything) == ["mribench", "report", str(results / "synthetic")]


def test_the_hint_is_a_command_that_works(results: Path, tmp_path: Path, monkeypatch) -> None:
    """Without ``--results`` where that is the default, and no report of what is not there."""
    file = tmp_path / "my file.yaml"
    file.write_text(BENCHMARK.replace("synthetic", "other"))
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        ((), ["mribench", "run", str(file)]),
        (("--results", "results"), ["mribench", "run", str(file)]),
        (("--results", "else where"), ["mribench", "run", str(file), "--results", "else where"]),
    ):
        with pytest.raises(MRIBenchError, match="no run of") as error:
            invoke(file, *arguments)
        assert shlex.split(error.value.hint) == words


def test_set_goes_with_a_file(results: Path) -> None:
    with pytest.raises(ConfigError, match="goes with a benchmark FILE"):
        invoke(results / "synthetic", "--set", "seeds=[7]")


def test_a_folder_of_benchmarks_is_not_one(results: Path) -> None:
    with pytest.raises(StoreError) as error:
        invoke(results)
    assert "synthetic" in error.value.hint


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_go_to_a_file(results: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out"
    result = invoke(results / "synthetic", "--format", name, "--output", path)
    assert result.stdout == ""
    assert f"wrote {path}" in result.stderr
    if name == "parquet":
        assert "base" in set(pd.read_parquet(path)["row"])
        return
    text = path.read_text(encoding="utf-8")
    assert "base" in text
    assert "\x1b" not in text
    if name != "terminal":
        assert text == invoke(results / "synthetic", "--format", name).stdout


def test_an_output_that_cannot_be_written(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "no" / "such" / "folder.csv"
    with pytest.raises(ConfigError, match="cannot write it, there is no folder"):
        invoke(results / "synthetic", "--format", "csv", "--output", output)


@pytest.mark.parametrize(
    ("name", "said"),
    [("x.md", "markdown"), ("x.HTML", "html"), ("x.htm", "html"), ("x.tex", "latex"), ("x.csv", "csv"),
     ("x.json", "json"), ("x.parquet", "parquet")],
)  # fmt: skip
@pytest.mark.parametrize("asked", ["terminal", "html", "json"])
def test_a_name_that_says_another_format(
    results: Path, tmp_path: Path, monkeypatch, name: str, said: str, asked: str
) -> None:
    options = ("--format", asked, "--output", tmp_path / name)
    monkeypatch.setattr("mribench.commands.report.load", reading)
    if said == asked:
        with pytest.raises(ReadingError):
            invoke(results / "synthetic", *options)
        return
    with pytest.raises(ConfigError, match=f"the name says {said}, and --format is {asked}") as error:
        invoke(results / "synthetic", *options)
    assert f"--format {said}" in error.value.hint
    assert not (tmp_path / name).exists()


def test_what_is_read_is_not_written_over(file: Path, results: Path) -> None:
    with pytest.raises(ConfigError, match="is what is read here"):
        invoke(file, "--results", results, "--output", file)
    assert file.read_text() == BENCHMARK


@pytest.mark.parametrize("option", ["--output", "--figures", "--results"])
def test_an_empty_path_is_not_the_working_folder(results: Path, option: str) -> None:
    result = invoke(results / "synthetic", option, "")
    assert result.exit_code == 2
    assert "the path is empty" in result.stderr
    assert not result.stdout


@pytest.fixture
def loaded(monkeypatch) -> list[object]:
    """What was read: nothing may be before a bad place is refused."""
    seen: list[object] = []
    monkeypatch.setattr("mribench.commands.report.show", lambda *arguments: seen.append(arguments))
    return seen


def test_a_folder_for_figures_is_checked_first(results: Path, tmp_path: Path, loaded, monkeypatch) -> None:
    (tmp_path / "file").write_text("precious")
    assert "is a file" in invoke(results / "synthetic", "--figures", tmp_path / "file").stderr
    with pytest.raises(ConfigError, match="file is no folder"):
        invoke(results / "synthetic", "--figures", tmp_path / "file" / "figures")
    (tmp_path / "theirs").mkdir()
    theirs = tmp_path / "theirs"
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK or Path(path) != theirs)
    for place in ("theirs", "theirs/new"):
        with pytest.raises(ConfigError, match="cannot be written to"):
            invoke(results / "synthetic", "--figures", tmp_path / place)
    assert loaded == []
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    "place", ["report", "report/report.html", "report/paper-1.md", "report/cells.parquet"]
)
def test_what_is_in_the_way_of_save_is_said_first(results: Path, loaded, place: str) -> None:
    path = results / "synthetic" / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious") if place == "report" else path.mkdir()
    with pytest.raises(ConfigError, match=f"--save {path}: is a f"):
        invoke(results / "synthetic", "--save")
    assert loaded == []
    assert path.exists()


def test_a_pipe_gets_utf_8_whatever_the_terminal_speaks(results: Path) -> None:
    for name in ("markdown", "html", "latex", "json", "csv"):
        result = CliRunner(charset="latin-1").invoke(command, [str(results / "synthetic"), "--format", name])
        text = result.stdout_bytes.decode("utf-8")
        assert "base" in text
        assert name not in ("markdown", "html") or "±" in text


def test_save_writes_beside_the_jobs(results: Path) -> None:
    invoke(results / "synthetic", "--save", "--table", "paper-1")
    folder = results / "synthetic" / "report"
    assert {path.name for path in folder.iterdir()} == {
        "cells.csv", "cells.json", "cells.parquet", "paper-1.md", "paper-1.tex", "report.html",
        "tables.html", "tables.tex",
    }  # fmt: skip


def test_parquet_is_not_printed(results: Path) -> None:
    result = invoke(results / "synthetic", "--format", "parquet")
    assert result.exit_code == 2
    assert "--output FILE" in result.stderr
    assert not result.stdout


def test_tables_by_name(results: Path) -> None:
    text = invoke(
        results / "synthetic", "--table", "paper-1", "--table", "transfer", "--format", "markdown"
    ).stdout
    assert "tissue: site and sequence" in text
    assert "transfer" in text
    assert "leaderboard" not in text


def test_help_has_an_example_and_every_format() -> None:
    text = invoke("--help").stdout
    assert "Example: mribench report " in text
    assert all(name in text for name in FORMATS)
    assert FORMATS == REPORT_FORMATS
    assert MARKINGS == marking.MARKINGS


def test_reporting_imports_no_torch_and_no_plugin(results: Path, file: Path) -> None:
    code = (
        "import sys\n"
        "from mribench.cli.results import report as command\n"
        "for what in sys.argv[1], sys.argv[2]:\n"
        "    options = ['--results', sys.argv[3], '--format', 'markdown', '--save']\n"
        "    command.main([what, *options], standalone_mode=False)\n"
        "heavy = [name for name in ('torch', 'monai', 'mribench_tasks') if name in sys.modules]\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    arguments = [str(file), str(results / "synthetic"), str(results)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("## synthetic: leaderboard") == 2


def test_help_names_every_table(results: Path) -> None:
    text = " ".join(invoke("--help").stdout.split()).replace("- ", "-")  # lines are cut at hyphens too
    for name in table_names(load_run(results / "synthetic")):
        assert f" {re.sub('[0-9]+$', 'N', name)}" in text
