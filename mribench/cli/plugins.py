"""``mribench plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mribench.commands.narrow import print_table

if TYPE_CHECKING:
    from mribench.registry import Registered, Registry


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


_CHECK_EXAMPLES = """\b
Examples:
  mribench plugins check example-method
  mribench plugins check --set dataset.ixi.root=/data/IXI
  mribench plugins check ixi --set root=/data/IXI
  mribench plugins check example-method --encoder cnn --set 'encoder.cnn.features=[8, 16]'
"""


@command.command("check", epilog=_CHECK_EXAMPLES)
@click.argument("name", required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Give an option: KIND.NAME.KEY=VALUE, or KEY=VALUE for every entry checked that has it. Repeatable.",
)
@click.option("--encoder", metavar="ENCODER", help="Check objectives with this encoder, not with samples.")
def check(name: str | None, settings: tuple[str, ...], encoder: str | None) -> int:
    """Run the conformance checks on the plugin or the entry NAME, or on all.

    Each entry has its line, whatever goes wrong in another. What cannot be checked here, for want of a
    package, of a dataset's files or of an option, is skipped with the reason. The exit code is 1 where an
    entry fails, or a plugin does not load.
    """
    from mribench.errors import PluginError, close_name
    from mribench.plugins import load_registry
    from mribench.testing.survey import Finding, options_of, survey

    registry = load_registry()
    meant = [found for found in registry if name in (None, found.plugin, found.entry.name)]
    if not meant:
        names = {text for found in registry for text in (found.plugin, found.entry.name)}
        hint = close_name(name or "", names) or "`mribench plugins list` names what is installed here"
        raise PluginError(f"no plugin and no entry '{name}' is loaded", hint)

    def tell(found: Finding) -> None:
        why = f": {found.why}" if found.why else ""
        click.echo(f"{found.status:<7} {found.entry}{why}")

    given = options_of([*meant, *_encoder_of(registry, encoder)], settings)
    findings = survey(meant, registry, given, encoder, tell)
    for problem in registry.problems:
        click.echo(f"failed  {problem}")
    wrong = any(found.status == "failed" for found in findings)
    return 1 if wrong or registry.problems else 0


def _encoder_of(registry: Registry, encoder: str | None) -> list[Registered]:
    return [found for found in registry if (found.entry.kind, found.entry.name) == ("encoder", encoder)]
