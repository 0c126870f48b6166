"""Commands about results: ``report``, ``compare``, ``check``, ``verify``."""

from __future__ import annotations

import math
from typing import Any

import click

from mribench.cli.options import GivenPath, benchmark_file, settings_of_file
from mribench.errors import ConfigError
from mribench.wording import FORMATS

MARKINGS = ("ties", "paper", "none")


class _TableOption(click.Option):
    """``--table``, whose help names the tables that there are; they are looked up when it is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from mribench.commands.plugins import table_words

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
    help="Set published values beside the run's, as numbers: a CSV file, or a name that a plugin brings.",
)  # fmt: skip
@click.option("--output", type=GivenPath(dir_okay=False), help="Write to this file.")
@click.option(
    "--figures", type=GivenPath(file_okay=False), metavar="DIR",
    help="Also write every figure of the HTML page to this folder, as SVG and PDF.",
)  # fmt: skip
@click.option("--save", is_flag=True, help="Also write all formats to <results>/<benchmark>/report/.")
@settings_of_file
def report(**options: Any) -> None:
    """Show the results of a benchmark FILE, or everything in a results DIR (results/<benchmark>).

    FILE shows the cells of that file and of the --set given with it; DIR shows all that was ever run
    there, the newest result of each cell. A FILE that ends in .csv holds published results, and a plugin
    of tables says which tables they make.
    """
    from mribench.commands.report import show_report

    show_report(**options)


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
def compare(words: tuple[str, ...], **options: Any) -> None:
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


@click.command("check", epilog="Example: mribench check benchmarks/sensitivity.yaml")
@benchmark_file
def check(**options: Any) -> int:
    """Say whether the results of a benchmark FILE show what its `checks` say that they must.

    `same` wants two rows separated nowhere, `better` one row separated from another and better, `ladder`
    means that do not fall from row to row (docs/statistics.md). Nothing is run. Cells that are missing fail a
    check. Exit 1 when one fails.
    """
    from mribench.commands.check import check_results

    return check_results(**options)


_KINDS = ("pretrain", "adapt", "evaluate", "embed")
_TOLERANCE = "--tolerance: expected a finite number ≥ 0"


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    del context, parameter
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{_TOLERANCE}, got {value:g}", "leave it out to compare exactly")
    return value


@click.command(
    "verify",
    epilog="\b\nExamples:\n  mribench verify results/quickstart\n"
    "  mribench verify results/mine --root COHORT=FOLDER\n"
    "  mribench verify results/quickstart --all --kind evaluate --only 'METHOD/*'",
)
@click.argument("what", metavar="FILE|DIR", type=GivenPath())
@click.option(
    "--sample", "count", type=click.IntRange(1), default=5, show_default=True,
    help="How many results to draw; the jobs that they build on are run again too.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Run all again, not a sample.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same sample.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Names of jobs to draw from. Repeatable.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(_KINDS),
    help="Kinds of job to run again; others are taken as they are. Repeatable; default: all.",
)  # fmt: skip
@click.option(
    "--tolerance", type=float, callback=_finite, default=0.0, show_default=True,
    help="Largest difference of a value that counts as none. With one, digests are not compared.",
)  # fmt: skip
@click.option(
    "--root", "roots", multiple=True, metavar="COHORT=PATH",
    help="Where a cohort of `data:` lies here. Repeatable; default: where FILE, or the results, say.",
)  # fmt: skip
@settings_of_file
def verify(**options: Any) -> int:
    """Run a sample of the results of a benchmark FILE, or of a results DIR, again, and compare.

    Nothing in the results is changed. Score rows, weights and digests must come out exactly the same; on
    another device or with other versions they may not, which is then said. The files of all done jobs are
    also checked for contradictions. Exit 1 when anything differs or cannot be run again.
    """
    from mribench.commands.verify import verify_results

    return verify_results(**options)
