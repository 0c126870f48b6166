"""What several commands share: groups, paths, options."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mribench.commands import DEFAULT_RESULTS
from mribench.errors import did_you_mean
from mribench.wording import read_time

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class OrderedGroup(click.Group):
    """A group that lists its commands in the order in which they were added, and knows which was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help text."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named, or say which one was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] in self.commands or args[0].startswith("-"):
                raise
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(f"No such command '{args[0]}'; {hint}", ctx) from error


class GivenPath(click.Path):
    """A path; an empty one, as of a shell variable that is not set, is not taken for the working folder."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(path_type=Path, **arguments)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Refuse an empty path, then do as click does."""
        if value == "":
            self.fail("the path is empty.", param, ctx)
        return super().convert(value, param, ctx)


class Span(click.ParamType):
    """A span of time: ``90s``, ``30m``, ``2h``, ``1d``; ``0`` stands for no limit where there can be none."""

    name = "time"

    def __init__(self, *, endless: bool) -> None:
        self._endless = endless

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, which a benchmark file may say too."""
        try:
            seconds = read_time(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if not seconds and not self._endless:
            self.fail("expected more than nothing.", param, ctx)
        return str(value)


def set_option(what: str, name: str = "sets") -> Decorator:
    """Add --set; ``what`` it does, for the help text."""
    return click.option("--set", name, multiple=True, metavar="KEY=VALUE", help=f"{what} Repeatable.")


def benchmark_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILE, --set and --results."""
    function = _results_option("Where results are kept; this run's are in <results>/<benchmark>/.")(function)
    function = set_option("Change one key of the file, e.g. defaults.pretrain.steps=100.")(function)
    return click.argument("file", type=GivenPath())(function)


def settings_of_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --results and --set for a command that takes a benchmark FILE or a results DIR."""
    function = set_option("As given to mribench run.")(function)
    return _results_option("Where results are kept, when FILE is given.")(function)


def _results_option(what: str) -> Decorator:
    place = GivenPath(file_okay=False)
    return click.option("--results", type=place, default=DEFAULT_RESULTS, show_default=True, help=what)
