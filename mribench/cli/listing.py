"""``mribench list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mribench.interfaces.kinds import KINDS

if TYPE_CHECKING:
    from rich.table import Table

    from mribench.registry import Registry

DEFECTS = "defects"


@click.command("list", epilog="\b\nExamples:\n  mribench list objective\n  mribench list defects")
@click.argument("kind", required=False, type=click.Choice((*KINDS, DEFECTS)))
def command(kind: str | None) -> int:
    """List what a benchmark file can name, and which plugin each comes from.

    `mribench list defects` lists the known defects that can be switched on, with `defects` or
    `measure_defects`.
    """
    from rich.console import Console

    from mribench.plugins import load_registry

    registry = load_registry()
    Console().print(_defects(registry) if kind == DEFECTS else _entries(registry, kind))
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    return 0


def _entries(registry: Registry, kind: str | None) -> Table:
    from rich.table import Table

    table = Table("kind", "name", "what", "from")
    for found in registry:
        if kind in (None, found.entry.kind):
            entry = found.entry
            origin = f"{found.plugin} ({found.distribution} {found.version})"
            table.add_row(entry.kind, entry.name, entry.summary, origin)
    return table


def _defects(registry: Registry) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from mribench.defects import HARNESS, known_defects

    shown_by: dict[str, list[str]] = {
        name: [f"{', '.join(stages)} (mribench)"] for name, (_, stages) in HARNESS.items()
    }
    for found in registry:
        for defect in found.entry.defects:
            shown_by.setdefault(defect.name, []).append(f"{found.entry.kind} {found.entry.name}")
    table = Table("defect", "what goes wrong", "found in", "switched on in")
    for name, defect in known_defects(registry).items():
        table.add_row(name, escape(defect.summary), escape(defect.source), escape(", ".join(shown_by[name])))
    return table
