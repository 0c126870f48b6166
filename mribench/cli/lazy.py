"""A group of commands, each imported when it is asked for: ``--help`` needs none of what they need."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from mribench.errors import did_you_mean


class LazyGroup(click.Group):
    """A group whose commands are the ``command`` of their modules.

    Args:
        modules: module of each command by its name, in the order of the help text.
        arguments: as click's own group takes them.
    """

    def __init__(self, *, modules: Mapping[str, str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help text."""
        del ctx
        return list(self._modules)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named, or say which one was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] in self._modules or args[0].startswith("-"):
                raise
            hint = did_you_mean(args[0], self._modules)
            raise click.UsageError(f"No such command '{args[0]}'; {hint}", ctx) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None where there is none of that name."""
        del ctx
        if cmd_name not in self._modules:
            return None
        command: click.Command = importlib.import_module(self._modules[cmd_name]).command
        return command
