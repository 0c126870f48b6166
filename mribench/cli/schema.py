"""``mribench schema``: the JSON Schema of the benchmark file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mribench.cli.options import GivenPath
from mribench.commands.streams import put
from mribench.errors import ConfigError


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
    from mribench.config.schema import benchmark_schema
    from mribench.plugins import load_registry

    registry = load_registry()
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    text = json.dumps(benchmark_schema(registry, distribution), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        put(text)
        return 0
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}", "choose another path") from None
    return 0
