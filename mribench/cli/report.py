"""``mribench report``: tables from what is on disk, without plugins, data or torch."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mribench.cli.options import DEFAULT_RESULTS, GivenPath, settings_of_file
from mribench.cli.streams import put
from mribench.cli.tables import check_tables, table_sources, table_words
from mribench.wording import FORMATS

if TYPE_CHECKING:
    from mribench.report import Document, Material, RunData
    from mribench.statistics.marking import Marking

MARKINGS = ("ties", "paper", "none")
_LONGEST = 4000  # characters of a path that is shown


class _TableOption(click.Option):
    """``--table``, whose help names the tables that there are; they are looked up when it is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = f"{table_words()}. Repeatable; default: those the file names."
        return super().get_help_record(ctx)


@click.command(
    "report",
    epilog="Example: mribench report benchmarks/quickstart.yaml --format markdown --output quickstart.md",
)
@click.argument("what", metavar="FILE|DIR", type=GivenPath())
@click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="terminal", show_default=True,
    help="terminal, markdown, latex and html are for reading; csv, parquet and json: one record per cell.",
)  # fmt: skip
@click.option("--table", "tables", cls=_TableOption, multiple=True, metavar="NAME")
@click.option(
    "--mark", "marking", type=click.Choice(MARKINGS), default="ties", show_default=True,
    help="ties: with five seeds or more bold is the best and all not separated from it, with fewer the plain"
    " best and second; paper: always the plain ones; none.",
)  # fmt: skip
@click.option(
    "--against", metavar="NAME|FILE.csv",
    help="Set published values beside the run's, as numbers: paper, or a file like its paper.csv.",
)  # fmt: skip
@click.option("--output", type=GivenPath(dir_okay=False), help="Write to this file.")
@click.option(
    "--figures", type=GivenPath(file_okay=False), metavar="DIR",
    help="Also write every figure of the HTML page to this folder, as SVG and PDF.",
)  # fmt: skip
@click.option("--save", is_flag=True, help="Also write all formats to <results>/<benchmark>/report/.")
@settings_of_file
def command(
    what: Path,
    output_format: str,
    tables: tuple[str, ...],
    marking: Marking,
    against: str | None,
    output: Path | None,
    figures: Path | None,
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
    from mribench.cli.outputs import check_output, check_save
    from mribench.results.places import check_folder

    check_output(output, output_format, (what, against))
    if figures is not None:
        check_folder(figures, "--figures")
    if what.suffix.lower() == ".csv" and not what.is_dir():
        asked = {"--set": sets, "--save": save, "--against": against, "--mark": marking != "ties",
                 "--figures": figures}  # fmt: skip
        show(
            _published(what, tables, [name for name, given in asked.items() if given]), output_format, output
        )
        return
    directory, run = load(what, results, sets)
    if save:
        check_save(directory / "report")
    from mribench.report import Material

    run = dataclasses.replace(run, marking=marking)
    material = Material(run, directory, table_sources())
    document = _of_run(material, tables, against)
    # cached: --format html --save shows the page and saves it
    whole = functools.cache(functools.partial(_page, document, bool(tables or against)))
    if output_format == "html" or save:
        _say_whose_scans(run)
    if output_format == "html":
        _put(whole(), output)
    else:
        show(document, output_format, output)
    written = _saved(document, whole, directory / "report") if save else []
    written += _figures(material, figures) if figures is not None else []
    for path in written:
        _say_wrote(path)


def _page(document: Document[Material], chosen: bool) -> str:
    """Return the page of a run; the tables that were asked for, or all that it has."""
    from mribench.report.render.html import page

    return page(document.source, document.specs if chosen else ())


def _say_whose_scans(run: RunData) -> None:
    """Say what to think of before a page with people's scans is passed on."""
    from mribench.report.figures import shows_scans
    from mribench.report.render.html.people import warning

    text = warning(run.manifest)
    if text and shows_scans(run):
        click.secho(f"note: {text}", fg="yellow", err=True)


def _saved(document: Document[Any], whole: Callable[[], str], folder: Path) -> list[Path]:
    from mribench.report import save

    written = save(document, folder)
    write_file(folder / "report.html", whole().encode(), "check the permissions and the free space")
    return [*written, folder / "report.html"]


def _figures(material: Material, folder: Path) -> list[Path]:
    from mribench.report.figures import save_figures

    return save_figures(material, folder)


def _published(path: Path, tables: Sequence[str], misplaced: Sequence[str]) -> Document[Any]:
    from mribench.report.tables.published import load_published
    from mribench.report.tables.published_tables import published_document

    if misplaced:
        raise click.UsageError(
            f"{misplaced[0]} goes with a benchmark FILE or DIR, not with published results"
        )
    return published_document(load_published(path), tables)


def _of_run(material: Material, tables: Sequence[str], against: str | None) -> Document[Material]:
    from mribench.report import run_document
    from mribench.report.tables.against import beside
    from mribench.report.tables.published import find_published, load_published
    from mribench.validation import printable

    document = run_document(material, tables)
    if against is None:
        return document
    document = beside(document, load_published(find_published(against)))
    made = document.specs[-1].build(material)
    if not any(table.rows for table in made):
        said = " ".join(made[0].caption)
        click.secho(printable(f"--against {against}: {said}", _LONGEST), fg="yellow", err=True)
    return document


def load(what: Path, results: Path, sets: Sequence[str]) -> tuple[Path, RunData]:
    """Read the results of a benchmark file, or of a results folder.

    What is shown of a file's results is what its ``report:`` says now, whatever it said when they were made.

    Raises:
        MRIBenchError: when there are none.
    """
    from mribench.errors import ConfigError, MRIBenchError
    from mribench.report import load_run
    from mribench.results.merged import shown_as

    if what.is_dir():
        if sets:
            raise ConfigError("--set goes with a benchmark FILE, not with a results DIR", "leave --set out")
        return what, load_run(what)
    from mribench.cli.planning import plan_name
    from mribench.config import load_benchmark

    config = load_benchmark(what, list(sets))
    check_tables(config, table_sources())
    directory = results / config.benchmark
    digest = plan_name(directory, config)
    if not (directory / "plans" / f"{digest}.json").is_file():
        words = ["mribench", "run", str(what), *(word for text in sets for word in ("--set", text))]
        elsewhere = ["--results", str(results)] if results != DEFAULT_RESULTS else []
        there = any((directory / "plans").glob("*.json"))
        raise MRIBenchError(
            f"no run of {what} with these settings under {directory}",
            shlex.join([*words, *elsewhere])
            + (f"; or, for all that is there: {shlex.join(['mribench', 'report', str(directory)])}" * there),
        )
    run = load_run(directory, digest)
    return directory, dataclasses.replace(
        run, manifest=shown_as(run.manifest, config.report.model_dump(mode="json"))
    )


def show(document: Document[Any], output_format: str, output: Path | None) -> None:
    """Print a document, or write it to a file."""
    from io import StringIO

    from rich.console import Console

    from mribench.report import render

    if output is None:
        text = render(document, output_format, Console())
        if text is not None:
            _put(text, None)
        return
    console = Console(file=StringIO(), force_terminal=False)
    with console.capture() as capture:
        text = render(document, output_format, console)
    _put(capture.get() if text is None else text, output)


def _put(text: str | bytes, output: Path | None) -> None:
    if output is not None:
        write_file(output, text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace"))
        _say_wrote(output)
    elif isinstance(text, bytes):
        click.echo(text, nl=False)
    else:
        put(text)


def _say_wrote(path: Path) -> None:
    from mribench.validation import printable

    click.echo(printable(f"wrote {path}", _LONGEST), err=True)


def write_file(path: Path, content: bytes, hint: str = "give another --output") -> None:
    """Write a file.

    Raises:
        StoreError: when it cannot be written.
    """
    from mribench.errors import StoreError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", hint) from error
