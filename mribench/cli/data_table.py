"""``mribench data table``."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath


@click.command(
    "table",
    epilog="\b\nExamples:\n"
    "  mribench data table my-scans\n"
    "  mribench data table my-scans -o my-scans/scans.csv",
)
@click.argument("folder", metavar="DIR", type=GivenPath(file_okay=False))
@click.option(
    "-o", "--output", type=GivenPath(dir_okay=False), help="Write to this new file, not to the terminal."
)
@click.option("--dataset", metavar="NAME", help="Draft for this dataset, where several plugins read tables.")
def command(**options: Any) -> int:
    """Draft a table of the scans in DIR from the names of its files, for you to correct.

    One line for each image: whose it is, its session and sequence, and the labels beside it. No image is
    opened, and no file overwritten.
    """
    from mribench.commands.data_table import draft_table

    return draft_table(**options)
