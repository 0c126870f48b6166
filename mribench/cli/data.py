"""``mribench data``: one module per command, ``mribench.cli.data_<name>``."""

from __future__ import annotations

import click

from mribench.cli.lazy import LazyGroup

COMMANDS = ("check", "table", "prepare", "make")
"""In the order of the help text."""


@click.group(
    "data",
    cls=LazyGroup,
    modules={name: f"mribench.cli.data_{name}" for name in COMMANDS},
    epilog="Example: mribench data check benchmarks/quickstart.yaml",
)
def command() -> None:
    """Check, list, prepare and make data."""
