"""``mribench schema``: the JSON Schema of the benchmark file."""

from __future__ import annotations

from pathlib import Path

import click

from mribench.cli.options import GivenPath


@click.command("schema", epilog="Example: mribench schema --output benchmarks/schema/benchmark.json")
@click.option(
    "--output",
    type=GivenPath(dir_okay=False),
    help="Write to this file, not to the terminal.",
)
@click.option("--distribution", metavar="NAME", help="Spell out the entries of this distribution only.")
def command(output: Path | None, distribution: str | None) -> int:
    """Print the JSON Schema of the benchmark file, all installed plugins included.

    Editors use it to complete and to check benchmark files whose first line is
    '# yaml-language-server: $schema=<path>'.
    """
    from mribench.commands.schema import write_schema

    return write_schema(output, distribution)
