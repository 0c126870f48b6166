"""``mribench plugins``."""

from __future__ import annotations

import click

from mribench.cli.narrow import print_table


@click.group("plugins")
def command() -> None:
    """Look at the installed plugins."""


@command.command("list", epilog="Example: mribench plugins list")
def list_plugins() -> int:
    """List the plugins that are installed, what each brings, and those that do not load."""
    from rich.console import Console
    from rich.table import Table

    from mribench.plugins import load_registry

    registry = load_registry()
    brought: dict[tuple[str, str], list[str]] = {}
    for found in registry:
        owner = (found.plugin, f"{found.distribution} {found.version}")
        brought.setdefault(owner, []).append(f"{found.entry.kind} {found.entry.name}")
    table = Table()
    for name in ("plugin", "distribution", "brings"):
        table.add_column(name)
    for (plugin, distribution), entries in sorted(brought.items()):
        table.add_row(plugin, distribution, ", ".join(entries))
    print_table(Console(), table)
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    return 1 if registry.problems else 0


@command.command("check", epilog="Example: mribench plugins check example-method")
@click.argument("plugin", required=False)
def check(plugin: str | None) -> int:
    """Run the conformance checks on the entries of PLUGIN, or of all plugins.

    What cannot be checked here, for want of a package or of a dataset's files, is skipped with the reason.
    The exit code is 1 where an entry fails, or a plugin does not load.
    """
    from mribench.errors import PluginError, did_you_mean
    from mribench.plugins import load_registry
    from mribench.testing import ConformanceError, NotCheckable, check_entry

    registry = load_registry()
    names = {found.plugin for found in registry}
    if plugin is not None and plugin not in names:
        raise PluginError(f"no plugin '{plugin}' is loaded", did_you_mean(plugin, names))
    wrong = 0
    for found in registry:
        if plugin in (None, found.plugin):
            name = f"{found.entry.kind} {found.entry.name}"
            try:
                check_entry(found, registry=registry)
                click.echo(f"ok      {name}")
            except NotCheckable as reason:
                click.echo(f"skipped {name}: {reason}")
            except ConformanceError as error:
                wrong += 1
                click.echo(f"failed  {name}: {error}")
    return 1 if wrong or registry.problems else 0
