"""``mribench report``: tables from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mribench.cli.options import settings_of_file

if TYPE_CHECKING:
    from mribench.report import Document, RunData
    from mribench.report.marking import Marking

MARKINGS = ("ties", "paper", "none")
FORMATS = ("terminal", "markdown", "latex", "html", "csv", "parquet", "json")


@click.command(
    "report",
    epilog="Example: mribench report benchmarks/quickstart.yaml --format markdown --output quickstart.md",
)
@click.argument("what", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="terminal", show_default=True,
    help="terminal, markdown, latex and html are for reading; csv, parquet and json: one record per cell.",
)  # fmt: skip
@click.option(
    "--table", "tables", multiple=True, metavar="NAME",
    help="leaderboard, transfer, invariance, defects, budget, or paper-N for the N-th task. Repeatable;"
    " default: those the file names.",
)  # fmt: skip
@click.option(
    "--mark", "marking", type=click.Choice(MARKINGS), default="ties", show_default=True,
    help="ties: with five seeds or more bold is the best and all not separated from it, with fewer the plain"
    " best and second; paper: always the plain ones; none.",
)  # fmt: skip
@click.option(
    "--against", metavar="NAME|FILE.csv",
    help="Set published values beside the run's, as numbers: paper, or a file like its paper.csv.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--save", is_flag=True, help="Also write all formats to <results>/<benchmark>/report/.")
@settings_of_file
def command(
    what: Path,
    output_format: str,
    tables: tuple[str, ...],
    marking: Marking,
    against: str | None,
    output: Path | None,
    save: bool,
    results: Path,
    sets: tuple[str, ...],
) -> None:
    """Show the results of a benchmark FILE, or everything in a results DIR (results/<benchmark>).

    FILE shows the cells of that file and of the --set given with it; DIR shows all that was ever run
    there, the newest result of each cell. A FILE that ends in .csv holds published results, as
    results/published/paper.csv does; its tables are table-N, gains and claims.
    """
    if output_format == "parquet" and output is None:
        raise click.UsageError("--format parquet is not text: say where it goes with --output FILE")
    if what.suffix == ".csv" and not what.is_dir():
        asked = {"--set": sets, "--save": save, "--against": against, "--mark": marking != "ties"}
        document, directory = _published(what, tables, [name for name, given in asked.items() if given]), None
    else:
        directory, run = _load(what, results, sets)
        document = _of_run(run, tables, marking, against)
    _show(document, output_format, output)
    if save and directory is not None:
        from mribench.report import save as save_document

        for path in save_document(document, directory / "report"):
            click.echo(f"wrote {path}", err=True)


def _published(path: Path, tables: Sequence[str], misplaced: Sequence[str]) -> Document:
    from mribench.report.published import load_published
    from mribench.report.published_tables import published_document

    if misplaced:
        raise click.UsageError(
            f"{misplaced[0]} goes with a benchmark FILE or DIR, not with published results"
        )
    return published_document(load_published(path), tables)


def _of_run(run: RunData, tables: Sequence[str], marking: Marking, against: str | None) -> Document:
    import dataclasses

    from mribench.report import run_document
    from mribench.report.published import find_published, load_published

    published = load_published(find_published(against)) if against else None
    return run_document(dataclasses.replace(run, marking=marking), tables, published)


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


def _show(document: Document, output_format: str, output: Path | None) -> None:
    from io import StringIO

    from rich.console import Console

    from mribench.report import render

    console = Console() if output is None else Console(file=StringIO(), force_terminal=False)
    if output is None:
        text = render(document, output_format, console)
        if text is not None:
            click.echo(text, nl=False)
        return
    with console.capture() as capture:
        text = render(document, output_format, console)
    _write(output, capture.get() if text is None else text)


def _write(path: Path, text: str | bytes) -> None:
    from mribench.errors import StoreError

    try:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", "give another --output") from error
    click.echo(f"wrote {path}", err=True)
