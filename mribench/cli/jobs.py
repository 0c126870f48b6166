"""Commands about the jobs in a results folder: ``status``, ``cancel``, ``retry``, ``clean``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mribench.cli.options import GivenPath
from mribench.commands import RUBBISH


def _results_directory(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add DIRECTORY, the folder of one benchmark's results."""
    return click.argument("directory", type=GivenPath(exists=True, file_okay=False))(function)


@click.command(
    "status",
    epilog="\b\nExamples:\n  mribench status results/quickstart\n"
    "  mribench status results/quickstart --watch",
)
@_results_directory
@click.option("--failed", is_flag=True, help="Show the traceback of each failed job.")
@click.option("--watch", is_flag=True, help="Say it again every two seconds, until Ctrl-C.")
def status(**options: Any) -> int:
    """Say how far the run in DIRECTORY is, how long it will take, and why jobs failed.

    Counts are those of the newest plan. Exit code 1 when a job failed.
    """
    from mribench.commands.status import show_status

    return show_status(**options)


@click.command("cancel", epilog="Example: mribench cancel results/quickstart 'METHOD/pretrain/*'")
@_results_directory
@click.argument("names", metavar="JOB...", nargs=-1, required=True)
def cancel(**options: Any) -> int:
    """Call off jobs of the run that is going on in DIRECTORY.

    JOB is the name of a job, a pattern of names, or a key. One that runs stops after its step and keeps its
    checkpoint, on whichever machine it is; one that waits is left out, and so is all that needs it. The next
    run takes them up again.
    """
    from mribench.commands.jobs import cancel_jobs

    return cancel_jobs(**options)


@click.command("retry", epilog="Example: mribench retry results/quickstart 'METHOD/pretrain/*'")
@_results_directory
@click.argument("names", metavar="JOB...", nargs=-1, required=True)
@click.option("--anew", is_flag=True, help="Delete their checkpoints, so that they begin with step 0.")
def retry(**options: Any) -> int:
    """Have jobs in DIRECTORY that failed, or were called off, run again.

    JOB is the name of a job, a pattern of names, or a key. A run that is going on takes them up within
    seconds, with all that needs them; otherwise the next run does.
    """
    from mribench.commands.jobs import retry_jobs

    return retry_jobs(**options)


@click.command(
    "clean",
    epilog="\b\nExamples:\n  mribench clean results/quickstart\n"
    "  mribench clean results/quickstart --what checkpoints --what failed --yes",
)
@_results_directory
@click.option(
    "--what", multiple=True, type=click.Choice(tuple(RUBBISH)),
    help=f"{'; '.join(map(': '.join, RUBBISH.items()))}. Repeatable; default: all but plans.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Delete it; without this, it is only listed.")
def clean(**options: Any) -> int:
    """List what in DIRECTORY no result needs, with its size, and delete it with --yes.

    Jobs that somebody works on, results that a plan asks for, and checkpoints that a job can go on from are
    left alone.
    """
    from mribench.commands.clean import clean_results

    return clean_results(**options)
