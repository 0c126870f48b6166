"""``mribench compare``: two methods, from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath, settings_of_file
from mribench.wording import FORMATS

_TABLES = ("difference", "sites", "sequences", "subjects", "one-out", "seeds", "empty", "settings")
_WORDS = "RESULTS METHOD_A METHOD_B | RESULTS_A RESULTS_B"


@click.command(
    "compare",
    epilog="\b\nExamples:\n  mribench compare results/quickstart METHOD OTHER\n"
    "  mribench compare results/quickstart METHOD 'METHOD (finetune)' --table difference\n"
    "  mribench compare results/quickstart other/quickstart --method METHOD",
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
def command(words: tuple[str, ...], **options: Any) -> None:
    """Compare two methods: the difference, whether it is real, and where it comes from.

    RESULTS is a benchmark FILE or a results DIR (results/<benchmark>). With three words, two methods of one
    RESULTS, named as tables name them; the difference is A minus B. With two words, one method in two
    RESULTS, such as two versions or settings; subjects and seeds are paired by their ids, and results on
    other subjects or files are left out.
    """
    from mribench.commands.compare import show_comparison

    if len(words) not in (2, 3):
        raise click.UsageError(f"expected {_WORDS}, got {len(words)} words")
    show_comparison(words, **options)
