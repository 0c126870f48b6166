"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def benchmark_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILE, --set and --results."""
    function = click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Where results are kept; this run's are in <results>/<benchmark>/.",
    )(function)
    function = click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one key of the file, e.g. methods.new.views=seqinv. Repeatable.",
    )(function)
    return click.argument("file", type=click.Path(path_type=Path))(function)


def settings_of_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --results and --set for a command that takes a benchmark FILE or a results DIR."""
    function = click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="As given to mribench run. Repeatable."
    )(function)
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Where results are kept, when FILE is given.",
    )(function)
