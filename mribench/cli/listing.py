"""``mribench list``."""

from __future__ import annotations

import click

from mribench.interfaces.kinds import KINDS


@click.command("list", epilog="Example: mribench list objective")
@click.argument("kind", required=False, type=click.Choice(KINDS))
def command(kind: str | None) -> int:
    """List what a benchmark file can name, and which plugin each comes from."""
    from rich.console import Console
    from rich.table import Table

    from mribench.plugins import load_registry

    registry = load_registry()
    table = Table("kind", "name", "what", "from")
    for found in registry:
        if kind in (None, found.entry.kind):
            entry = found.entry
            table.add_row(
                entry.kind,
                entry.name,
                entry.summary,
                f"{found.plugin} ({found.distribution} {found.version})",
            )
    Console().print(table)
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    return 0
