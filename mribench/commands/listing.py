"""What ``mribench list`` does."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mribench.commands.narrow import print_table
from mribench.commands.problems import load_plugins
from mribench.defects import HARNESS, known_defects
from mribench.registry import Registry

WIDE = 120
"""Columns of a terminal from which the sources of defects have a column of their own."""


def list_entries(kind: str | None) -> int:
    """List what a benchmark file can name, and which plugin each comes from."""
    registry = load_plugins()
    console = Console()
    if kind == "defects":
        table, key = _tabulate_defects(registry, wide=console.width >= WIDE), 0
    else:
        table, key = _tabulate_entries(registry, kind), 1
    print_table(console, table, key)
    return 0


def _tabulate_entries(registry: Registry, kind: str | None) -> Table:
    table = Table()
    table.add_column("kind", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("from", overflow="fold")
    for registered in registry:
        if kind in (None, registered.entry.kind):
            entry = registered.entry
            origin = f"{registered.plugin} ({registered.distribution} {registered.version})"
            table.add_row(*map(escape, (entry.kind, entry.name, entry.summary, origin)))
    return table


def _tabulate_defects(registry: Registry, *, wide: bool) -> Table:
    """Return the known defects; their sources stand below what goes wrong unless there is room."""
    shown_by: dict[str, list[str]] = {
        name: [f"{', '.join(stages)} (mribench)"] for name, (_, stages) in HARNESS.items()
    }
    for registered in registry:
        for defect in registered.entry.defects:
            shown_by.setdefault(defect.name, []).append(f"{registered.entry.kind} {registered.entry.name}")
    table = Table()
    table.add_column("defect", no_wrap=True)
    for column in ("what goes wrong", *(("found in",) if wide else ()), "switched on in"):
        table.add_column(column, overflow="fold")
    for name, defect in known_defects(registry.defects()).items():
        summary, source, places = map(escape, (defect.summary, defect.source, ", ".join(shown_by[name])))
        told = (summary, source) if wide else (f"{summary}\n[dim]found in: {source}[/]",)
        table.add_row(escape(name), *told, places)
    return table
