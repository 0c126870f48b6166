"""``mribench compare``: two methods, from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mribench.cli.options import GivenPath, settings_of_file
from mribench.wording import FORMATS

if TYPE_CHECKING:
    from mribench.compare import Pair

_TABLES = ("difference", "sites", "sequences", "subjects", "one-out", "seeds", "empty", "settings")
_WORDS = "RESULTS METHOD_A METHOD_B | RESULTS_A RESULTS_B"


@click.command(
    "compare",
    epilog="\b\nExamples:\n  mribench compare results/quickstart seqinv base\n"
    "  mribench compare results/quickstart seqinv 'seqinv (finetune)' --table difference\n"
    "  mribench compare results/quickstart other/quickstart --method seqinv",
)
@click.argument("words", nargs=-1, metavar=_WORDS)
@click.option(
    "--method", "methods", multiple=True, metavar="NAME",
    help="With two RESULTS: the method that is compared, in both. Given twice: the first's and the second's.",
)  # fmt: skip
@click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="terminal", show_default=True,
    help="terminal, markdown, latex and html are for reading; csv, parquet and json have every row.",
)  # fmt: skip
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help=f"{', '.join(_TABLES)}. Repeatable; default: all.",
)
@click.option(
    "--fraction", type=click.FloatRange(0, 1, min_open=True),
    help="Share of the labels. Default: all in difference, seeds and empty; the largest in the others.",
)  # fmt: skip
@click.option("--output", type=GivenPath(dir_okay=False), help="Write to this file.")
@settings_of_file
def command(
    words: tuple[str, ...],
    methods: tuple[str, ...],
    output_format: str,
    tables: tuple[str, ...],
    fraction: float | None,
    output: Path | None,
    results: Path,
    sets: tuple[str, ...],
) -> None:
    """Compare two methods: the difference, whether it is real, and where it comes from.

    RESULTS is a benchmark FILE or a results DIR (results/<benchmark>). With three words, two methods of one
    RESULTS, named as tables name them; the difference is A minus B. With two words, one method in two
    RESULTS, such as two versions or settings; subjects and seeds are paired by their ids, and results on
    other subjects or files are left out.
    """
    if output_format == "parquet" and output is None:
        raise click.UsageError("--format parquet is not text: say where it goes with --output FILE")
    from mribench.cli.outputs import check_output
    from mribench.cli.report import show
    from mribench.compare import comparison_document

    check_output(output, output_format, words)
    pair = _pair(words, methods, results, sets)
    show(comparison_document(pair, tables, fraction), output_format, output)


def _pair(words: Sequence[str], methods: Sequence[str], results: Path, sets: Sequence[str]) -> Pair:
    from mribench.cli.report import load
    from mribench.compare import of_one, of_two

    if len(words) not in (2, 3):
        raise click.UsageError(f"expected {_WORDS}, got {len(words)} words")
    if len(words) == 3:
        if methods:
            raise click.UsageError("--method goes with two RESULTS; with one, name both methods after it")
        directory, run = load(Path(words[0]), results, sets)
        return of_one(run, directory, words[1], words[2])
    if len(methods) > 2:
        raise click.UsageError(f"--method is given {len(methods)} times: once, or once for each RESULTS")
    if sets:
        raise click.UsageError("--set goes with one benchmark FILE and two methods")
    _check_second(words)
    loaded = [load(Path(word), results, sets) for word in words]
    return of_two([run for _, run in loaded], [directory for directory, _ in loaded], methods)


def _check_second(words: Sequence[str]) -> None:
    """Say what is missing where the second word is a method and there is no third."""
    from mribench.errors import MRIBenchError

    first, second = words
    if Path(first).exists() and not Path(second).exists() and not second.endswith((".yaml", ".yml")):
        raise MRIBenchError(
            f"'{second}' is no results folder or file, and a method needs another to be compared with",
            f"mribench compare {first} {second} METHOD_B",
        )
