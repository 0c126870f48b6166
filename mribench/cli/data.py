"""``mribench data``: one module per command, ``mribench.cli.data_<name>``."""

from __future__ import annotations

import importlib

import click

COMMANDS = ("check", "prepare", "make")
"""In the order of the help text."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mribench.cli.data_{cmd_name}").command
        return command


@click.group("data", cls=_Group, epilog="Example: mribench data check benchmarks/quickstart.yaml")
def command() -> None:
    """Check, prepare and make data."""
