"""``mribench data check``."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath


@click.command(
    "check",
    epilog="\b\nExamples:\n"
    "  mribench data check benchmarks/paper.yaml\n"
    "  mribench data check benchmarks/paper.yaml --cohort COHORT --format json",
)
@click.argument("file", type=GivenPath(dir_okay=False))
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key of the file. Repeatable."
)
@click.option("--cohort", "only", help="Look at this cohort of the file only.")
@click.option("--read/--no-read", default=True, help="Open every image (default), or go by names only.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or for programs.",
)
def command(**options: Any) -> int:
    """Say what the cohorts of FILE have and lack, and where missing ones are to be had.

    Per site and sequence: what is found, missing, left out and why; files that cannot be used; the split.
    Exit code 0 when a run can use every cohort as it is, 1 when not: it leaves out scans that cannot be used.
    Nothing is downloaded, made or changed.
    """
    from mribench.commands.data_check import show_check

    return show_check(**options)
