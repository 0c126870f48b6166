"""What ``mribench plugins``, ``schema`` and ``doctor`` do: say what is installed here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import click
import psutil
import torch
from rich.console import Console
from rich.table import Table

from mribench.commands.plugins import load_plugins
from mribench.commands.streams import put
from mribench.commands.terminal import print_table
from mribench.config.schema import make_schema
from mribench.errors import PluginError, close_name
from mribench.execute.provenance import versions
from mribench.plugins import load_registry
from mribench.results.places import writing
from mribench.testing.survey import Finding, parse_options, survey
from mribench.volumes.cache import cache_dir


def show_plugins() -> int:
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
    helping = [one for one in registry if (one.entry.kind, one.entry.name) == ("encoder", encoder)]
    given = parse_options([*checked, *helping], settings)
    findings = survey(checked, registry, given, encoder, _say_finding)
    for problem in registry.problems:
        click.echo(f"failed  {problem}")
    wrong = any(finding.status == "failed" for finding in findings)
    return 1 if wrong or registry.problems else 0


def _say_finding(finding: Finding) -> None:
    why = f": {finding.why}" if finding.why else ""
    click.echo(f"{finding.status:<7} {finding.entry}{why}")


def write_schema(output: Path | None, distribution: str | None) -> int:
    """Print the JSON Schema of the benchmark file, or write it."""
    text = json.dumps(make_schema(load_plugins(), distribution), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        put(text)
        return 0
    with writing(output, "choose another path"):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    return 0


def describe_machine() -> int:
    """Say what this machine has, for a question or a bug report."""
    registry = load_registry()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    click.echo(f"python    {platform.python_version()} on {platform.platform()}")
    click.echo(f"versions  {versions()}")
    click.echo(f"cores     {os.cpu_count()}, memory {psutil.virtual_memory().total / 2**30:.0f} GiB")
    click.echo(f"GPUs      {', '.join(gpus) or 'none: everything runs on the CPU'}")
    click.echo(f"cache     {cache_dir()}")
    click.echo(f"entries   {len(list(registry))}")
    for problem in registry.problems:
        click.secho(f"skipped   {problem}", fg="yellow")
    return 1 if registry.problems else 0
