"""``mribench status``."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath


@click.command("status", epilog="Example: mribench status results/quickstart")
@click.argument("directory", type=GivenPath(exists=True, file_okay=False))
@click.option("--failed", is_flag=True, help="Show the traceback of each failed job.")
def command(**options: Any) -> int:
    """Say how far the run in DIRECTORY is, and why jobs failed."""
    from mribench.commands.status import show_status

    return show_status(**options)
