"""``mribench report``: tables from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath, settings_of_file
from mribench.wording import FORMATS

MARKINGS = ("ties", "paper", "none")


class _TableOption(click.Option):
    """``--table``, whose help names the tables that there are; they are looked up when it is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from mribench.commands.tables import table_words

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
def command(**options: Any) -> None:
    """Show the results of a benchmark FILE, or everything in a results DIR (results/<benchmark>).

    FILE shows the cells of that file and of the --set given with it; DIR shows all that was ever run
    there, the newest result of each cell. A FILE that ends in .csv holds published results, and a plugin
    of tables says which tables they make.
    """
    from mribench.commands.report import show_report

    show_report(**options)
