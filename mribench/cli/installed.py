"""Commands about what is installed: ``list``, ``plugins``, ``schema``, ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mribench.cli.options import GivenPath, set_option
from mribench.interfaces.kinds import DEFECTS, KINDS

_LIST_EXAMPLES = """\b
Examples:
  mribench list objective
  mribench list encoder ENCODER
  mribench list defects
"""


@click.command("list", epilog=_LIST_EXAMPLES)
@click.argument("kind", required=False, type=click.Choice((*KINDS, DEFECTS)))
@click.argument("name", required=False)
def list_entries(**options: Any) -> int:
    """List what a benchmark file can name, and which plugin each comes from.

    With the NAME of an entry: its options, with their types, defaults and what they mean.

    `mribench list defects` lists the known defects that can be switched on, with `defects` or
    `measure_defects`.
    """
    from mribench.commands.listing import show_entries

    return show_entries(**options)


@click.group("plugins")
def plugins() -> None:
    """Look at the installed plugins."""


@plugins.command("list", epilog="Example: mribench plugins list")
def list_plugins() -> int:
    """List the plugins that are installed, what each brings, and those that do not load."""
    from mribench.commands.installed import show_plugins

    return show_plugins()


_CHECK_EXAMPLES = """\b
Examples:
  mribench plugins check example-method
  mribench plugins check --set dataset.NAME.root=FOLDER
  mribench plugins check DATASET --set root=FOLDER
  mribench plugins check example-method --encoder ENCODER --set 'encoder.ENCODER.features=[8, 16]'
"""


@plugins.command("check", epilog=_CHECK_EXAMPLES)
@click.argument("name", required=False)
@set_option(
    "Give an option: KIND.NAME.KEY=VALUE, or KEY=VALUE for every entry checked that has it.", "settings"
)
@click.option("--encoder", metavar="ENCODER", help="Check objectives with this encoder, not with samples.")
def check(name: str | None, settings: tuple[str, ...], encoder: str | None) -> int:
    """Run the conformance checks on the plugin or the entry NAME, or on all.

    Each entry has its line, whatever goes wrong in another. What cannot be checked here, for want of a
    package, of a dataset's files or of an option, is skipped with the reason. The exit code is 1 where an
    entry fails, or a plugin does not load.
    """
    from mribench.commands.installed import check_plugins

    return check_plugins(name, settings, encoder)


@click.command("schema", epilog="Example: mribench schema --output benchmarks/schema/benchmark.json")
@click.option(
    "--output",
    type=GivenPath(dir_okay=False),
    help="Write to this file, not to the terminal.",
)
@click.option("--distribution", metavar="NAME", help="Spell out the entries of this distribution only.")
def schema(output: Path | None, distribution: str | None) -> int:
    """Print the JSON Schema of the benchmark file, all installed plugins included.

    Editors use it to complete and to check benchmark files whose first line is
    '# yaml-language-server: $schema=<path>'.
    """
    from mribench.commands.installed import write_schema

    return write_schema(output, distribution)


@click.command("doctor", epilog="Example: mribench doctor")
def doctor(**options: Any) -> int:
    """Say what this machine has, for a question or a bug report."""
    from mribench.commands.installed import describe_machine

    return describe_machine(**options)
