"""``mribench report``: tables from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mribench.cli.options import settings_of_file

if TYPE_CHECKING:
    from mribench.report import RunData

FORMATS = ("terminal", "markdown", "csv", "json")


@click.command(
    "report",
    epilog="Example: mribench report benchmarks/quickstart.yaml --format markdown --output quickstart.md",
)
@click.argument("what", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="terminal", show_default=True,
    help="terminal and markdown are for reading; csv and json have one record per cell.",
)  # fmt: skip
@click.option(
    "--table", "tables", multiple=True, metavar="NAME",
    help="leaderboard, transfer, invariance, defects, budget, or paper-N for the N-th task. Repeatable;"
    " default: those the file names.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--save", is_flag=True, help="Also write all formats to <results>/<benchmark>/report/.")
@settings_of_file
def command(
    what: Path,
    output_format: str,
    tables: tuple[str, ...],
    output: Path | None,
    save: bool,
    results: Path,
    sets: tuple[str, ...],
) -> None:
    """Show the results of a benchmark FILE, or everything in a results DIR (results/<benchmark>).

    FILE shows the cells of that file and of the --set given with it; DIR shows all that was ever run
    there, the newest result of each cell.
    """
    from mribench.report import render_run, save_report

    directory, run = _load(what, results, sets)
    if output_format == "terminal":
        _to_terminal(run, tables, output)
    else:
        text = render_run(run, tables, output_format) or ""
        if output is None:
            click.echo(text, nl=False)
        else:
            _write(output, text)
    if save:
        for path in save_report(run, tables, directory / "report"):
            click.echo(f"wrote {path}", err=True)


def _load(what: Path, results: Path, sets: Sequence[str]) -> tuple[Path, RunData]:
    from mribench.errors import ConfigError, MRIBenchError
    from mribench.report import load_run

    if what.is_dir():
        if sets:
            raise ConfigError("--set goes with a benchmark FILE, not with a results DIR", "leave --set out")
        return what, load_run(what)
    from mribench.config import config_digest, load_benchmark

    config = load_benchmark(what, list(sets))
    directory, digest = results / config.benchmark, config_digest(config)
    if not (directory / "plans" / f"{digest}.json").is_file():
        given = "".join(f" --set {text}" for text in sets)
        raise MRIBenchError(
            f"no run of {what} with these settings under {directory}",
            f"mribench run {what}{given}; or, for all that is there: mribench report {directory}",
        )
    return directory, load_run(directory, digest)


def _to_terminal(run: RunData, tables: Sequence[str], output: Path | None) -> None:
    from io import StringIO

    from rich.console import Console

    from mribench.report import render_run

    if output is None:
        render_run(run, tables, "terminal", Console())
        return
    console = Console(file=StringIO(), force_terminal=False)
    with console.capture() as capture:
        render_run(run, tables, "terminal", console)
    _write(output, capture.get())


def _write(path: Path, text: str) -> None:
    from mribench.errors import StoreError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", "give another --output") from error
    click.echo(f"wrote {path}", err=True)
