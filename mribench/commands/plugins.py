"""What ``mribench plugins`` does."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from mribench.commands.narrow import print_table
from mribench.commands.problems import load_plugins
from mribench.errors import PluginError, close_name
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry
from mribench.testing.survey import Finding, parse_options, survey


def list_plugins() -> int:
    """List the plugins that are installed, what each brings, and those that do not load."""
    registry = load_plugins()
    brought: dict[tuple[str, str], list[str]] = {}
    for registered in registry:
        owner = (registered.plugin, f"{registered.distribution} {registered.version}")
        brought.setdefault(owner, []).append(f"{registered.entry.kind} {registered.entry.name}")
    table = Table()
    for name in ("plugin", "distribution", "brings"):
        table.add_column(name)
    for (plugin, distribution), entries in sorted(brought.items()):
        table.add_row(plugin, distribution, ", ".join(entries))
    print_table(Console(), table)
    return 1 if registry.problems else 0


def check_plugins(name: str | None, settings: Sequence[str], encoder: str | None) -> int:
    """Run the conformance checks on the plugin or the entry of a name, or on all."""
    registry = load_registry()
    checked = [one for one in registry if name in (None, one.plugin, one.entry.name)]
    if not checked:
        names = {text for one in registry for text in (one.plugin, one.entry.name)}
        hint = close_name(name or "", names) or "`mribench plugins list` names what is installed here"
        raise PluginError(f"no plugin and no entry '{name}' is loaded", hint)
    given = parse_options([*checked, *_select_encoder(registry, encoder)], settings)
    findings = survey(checked, registry, given, encoder, _say_finding)
    for problem in registry.problems:
        click.echo(f"failed  {problem}")
    wrong = any(finding.status == "failed" for finding in findings)
    return 1 if wrong or registry.problems else 0


def _say_finding(finding: Finding) -> None:
    why = f": {finding.why}" if finding.why else ""
    click.echo(f"{finding.status:<7} {finding.entry}{why}")


def _select_encoder(registry: Registry, encoder: str | None) -> list[Registered]:
    return [one for one in registry if (one.entry.kind, one.entry.name) == ("encoder", encoder)]
