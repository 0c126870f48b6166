"""``mribench data make``."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath


@click.command(
    "make",
    epilog="\b\nExamples:\n"
    "  mribench data make DATASET folder --set subjects=20 --set seed=7\n"
    "  mribench data make DATASET folder --set root=label-maps --force",
)
@click.argument("name")
@click.argument("out", type=GivenPath(file_okay=False))
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Give an option of the dataset. Repeatable."
)
@click.option("--force", is_flag=True, help="Write into OUT even if it is not empty.")
def command(**options: Any) -> int:
    """Make the dataset NAME and write it into the folder OUT as real files.

    `mribench list dataset` names the datasets, `mribench schema` their options.
    """
    from mribench.commands.data_make import make_dataset

    return make_dataset(**options)
