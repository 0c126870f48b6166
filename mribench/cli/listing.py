"""``mribench list``."""

from __future__ import annotations

from typing import Any

import click

from mribench.interfaces.kinds import KINDS

DEFECTS = "defects"


@click.command("list", epilog="\b\nExamples:\n  mribench list objective\n  mribench list defects")
@click.argument("kind", required=False, type=click.Choice((*KINDS, DEFECTS)))
def command(**options: Any) -> int:
    """List what a benchmark file can name, and which plugin each comes from.

    `mribench list defects` lists the known defects that can be switched on, with `defects` or
    `measure_defects`.
    """
    from mribench.commands.listing import list_entries

    return list_entries(**options)
