"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mribench.commands import DEFAULT_RESULTS


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


def benchmark_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILE, --set and --results."""
    function = click.option(
        "--results",
        type=GivenPath(file_okay=False),
        default=DEFAULT_RESULTS,
        show_default=True,
        help="Where results are kept; this run's are in <results>/<benchmark>/.",
    )(function)
    function = click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one key of the file, e.g. defaults.pretrain.steps=100. Repeatable.",
    )(function)
    return click.argument("file", type=GivenPath())(function)


def settings_of_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --results and --set for a command that takes a benchmark FILE or a results DIR."""
    function = click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="As given to mribench run. Repeatable."
    )(function)
    return click.option(
        "--results",
        type=GivenPath(file_okay=False),
        default=DEFAULT_RESULTS,
        show_default=True,
        help="Where results are kept, when FILE is given.",
    )(function)
