"""``mribench run``."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import benchmark_file


@click.command(
    "run",
    epilog="\b\nExamples:\n  mribench run benchmarks/quickstart.yaml\n"
    "  mribench run benchmarks/paper.yaml --jobs 4 --gpus 0,1 --only 'METHOD/*'\n"
    "  mribench run benchmarks/quickstart.yaml --track TRACKER --track OTHER:experiment=mine",
)
@benchmark_file
@click.option(
    "--executor", default="local", show_default=True, help="Where jobs run: inline, local, or a plugin's."
)
@click.option("--jobs", type=click.IntRange(1), help="Jobs at a time; one per GPU, or one per core without.")
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads of each job."
)
@click.option(
    "--gpus", default="", help="GPUs to use, e.g. 0,1; each job sees one. All that are there by default."
)
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Jobs to run, with what they need. Repeatable."
)
@click.option("--limit", type=click.IntRange(1), help="Stop after this many jobs of the plan.")
@click.option(
    "--track",
    multiple=True,
    metavar="TRACKER",
    help="Tell a tracker of losses and scores: NAME, or NAME:KEY=VALUE,KEY=VALUE. Results stay the same."
    " `mribench list tracker` lists them. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
def command(**options: Any) -> int:
    """Run what FILE describes and is not done yet, then show the tables.

    Results are kept job by job: a run that is stopped or killed goes on where it was.
    """
    from mribench.commands.run import run_file

    return run_file(**options)
