"""What ``mribench report`` does: tables from what is on disk, without plugins, data or torch."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mribench.commands import DEFAULT_RESULTS
from mribench.commands.plugins import check_tables, table_sources
from mribench.commands.streams import put
from mribench.config import digest_config, load_benchmark
from mribench.errors import ConfigError, MRIBenchError
from mribench.report import (
    Document,
    Material,
    RunData,
    file_document,
    load_run,
    render,
    run_document,
    save as save_document,
    set_beside,
)
from mribench.report.figures import save_figures, shows_scans
from mribench.report.page import page
from mribench.report.people import warning
from mribench.results.places import check_file, check_folder, writing
from mribench.statistics.marking import Marking
from mribench.wording import printable

_LONGEST = 4000  # characters of a path that is shown


def show_report(
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
    """Show the results of a benchmark FILE, or everything in a results DIR (results/<benchmark>)."""
    if output_format == "parquet" and output is None:
        raise click.UsageError("--format parquet is not text: say where it goes with --output FILE")
    check_output(output, output_format, (what, against))
    if figures is not None:
        check_folder(figures, "--figures")
    if what.suffix.lower() == ".csv" and not what.is_dir():
        asked = {"--set": sets, "--save": save, "--against": against, "--mark": marking != "ties",
                 "--figures": figures}  # fmt: skip
        show(
            _open_published(what, tables, [name for name, given in asked.items() if given]),
            output_format,
            output,
        )
        return
    directory, run = load(what, results, sets)
    if save:
        check_save(directory / "report")
    run = dataclasses.replace(run, marking=marking)
    document = _make_document(Material(run, directory, table_sources()), tables, against)
    whole = ""
    if output_format == "html" or save:
        _say_whose_scans(run)
        whole = page(document.source, document.specs if tables or against else ())
    if output_format == "html":
        _put(whole, output)
    else:
        show(document, output_format, output)
    written = []
    if save:
        written = save_document(document, directory / "report")
        written.append(directory / "report" / "report.html")
        write_file(written[-1], whole.encode(), "check the permissions and the free space")
    written += save_figures(document.source, figures) if figures is not None else []
    for path in written:
        _say_wrote(path)


def _say_whose_scans(run: RunData) -> None:
    """Say what to think of before a page with people's scans is passed on."""
    text = warning(run.manifest.cohorts)
    if text and shows_scans(run):
        click.secho(f"note: {text}", fg="yellow", err=True)


def _open_published(path: Path, tables: Sequence[str], misplaced: Sequence[str]) -> Document[Any]:
    if misplaced:
        raise click.UsageError(
            f"{misplaced[0]} goes with a benchmark FILE or DIR, not with published results"
        )
    return file_document(path, tables, table_sources())


def _make_document(material: Material, tables: Sequence[str], against: str | None) -> Document[Material]:
    document = run_document(material, tables)
    if against is None:
        return document
    document = set_beside(document, against)
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
    if what.is_dir():
        if sets:
            raise ConfigError("--set goes with a benchmark FILE, not with a results DIR", "leave --set out")
        return what, load_run(what)

    config = load_benchmark(what, list(sets))
    check_tables(config, table_sources())
    directory = results / config.benchmark
    digest = digest_config(config)
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
    manifest = run.manifest.shown_as(config.report)
    return directory, dataclasses.replace(run, manifest=manifest)


def show(document: Document[Any], output_format: str, output: Path | None) -> None:
    """Print a document, or write it to a file."""
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
    click.echo(printable(f"wrote {path}", _LONGEST), err=True)


def write_file(path: Path, content: bytes, hint: str = "give another --output") -> None:
    """Write a file.

    Raises:
        StoreError: when it cannot be written.
    """
    with writing(path, hint):
        path.write_bytes(content)


FORMAT_OF = {
    ".md": "markdown", ".markdown": "markdown", ".tex": "latex", ".html": "html", ".htm": "html",
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".json": "json",
}  # fmt: skip
"""Which format the suffix of a file says; others say nothing."""


def check_output(output: Path | None, output_format: str, sources: Iterable[Path | str | None] = ()) -> None:
    """Refuse a file for ``--output`` that cannot be written, or that ought not to be.

    Args:
        output: the file; None for standard output.
        output_format: of ``--format``.
        sources: what the command reads.

    Raises:
        ConfigError: when it cannot be written, its suffix says another format, or it is a source.
    """
    if output is None:
        return
    said = FORMAT_OF.get(output.suffix.lower(), output_format)
    if said != output_format:
        raise ConfigError(
            f"--output {output}: the name says {said}, and --format is {output_format}",
            f"add --format {said}, or choose another name",
        )
    for source in sources:
        if source is not None and output.is_file() and output.resolve() == Path(source).resolve():
            raise ConfigError(f"--output {output}: is what is read here", "choose another name")
    check_file(output, "--output")


def check_save(folder: Path) -> None:
    """Refuse a folder for ``--save`` that the files of a report cannot be written to.

    Raises:
        ConfigError: when it is a file or somebody else's, or has folders where files are to be.
    """
    check_folder(folder, "--save")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in FORMAT_OF and path.is_dir():
            raise ConfigError(
                f"--save {path}: is a folder, and a file of that name is to be written", "move it away"
            )
