"""``mribench data``: check, prepare and make data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mribench.cli.options import GivenPath, OrderedGroup, set_option
from mribench.commands import MOST_PREPARING


@click.group("data", cls=OrderedGroup, epilog="Example: mribench data check benchmarks/quickstart.yaml")
def data_group() -> None:
    """Check, list, prepare and make data."""


@data_group.command(
    "check",
    epilog="\b\nExamples:\n"
    "  mribench data check benchmarks/paper.yaml\n"
    "  mribench data check benchmarks/paper.yaml --cohort COHORT --format json",
)
@click.argument("file", type=GivenPath(dir_okay=False))
@set_option("Change one key of the file.")
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
def check(**options: Any) -> int:
    """Say what the cohorts of FILE have and lack, and where missing ones are to be had.

    Per site and sequence: what is found, missing, left out and why; files that cannot be used; the split.
    Exit code 0 when a run can use every cohort as it is, 1 when not: it leaves out scans that cannot be used.
    Nothing is downloaded, made or changed.
    """
    from mribench.commands.data_check import show_check

    return show_check(**options)


@data_group.command(
    "table",
    epilog="\b\nExamples:\n"
    "  mribench data table my-scans\n"
    "  mribench data table my-scans -o my-scans/scans.csv",
)
@click.argument("folder", metavar="DIR", type=GivenPath(file_okay=False))
@click.option(
    "-o", "--output", type=GivenPath(dir_okay=False), help="Write to this new file, not to the terminal."
)
@click.option("--dataset", metavar="NAME", help="Draft for this dataset, where several plugins read tables.")
def table(**options: Any) -> int:
    """Draft a table of the scans in DIR from the names of its files, for you to correct.

    One line for each image: whose it is, its session and sequence, and the labels beside it. No image is
    opened, and no file overwritten.
    """
    from mribench.commands.data_table import draft_table

    return draft_table(**options)


@data_group.command(
    "prepare",
    epilog="\b\nExamples:\n"
    "  mribench data prepare benchmarks/quickstart.yaml --jobs 2\n"
    "  mribench data prepare benchmarks/quickstart.yaml --verify\n"
    "  mribench data prepare --clean",
)
@click.argument("file", type=GivenPath(dir_okay=False), required=False)
@set_option("Change one key of FILE.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help=f"Processes; by default the number of cores, at most {MOST_PREPARING}.",
)
@click.option("--verify", is_flag=True, help="Compare the checksums of volumes prepared before.")
@click.option("--clean", is_flag=True, help="Say how large the cache of prepared volumes is, and remove it.")
def prepare(file: Path | None, sets: tuple[str, ...], jobs: int | None, verify: bool, clean: bool) -> int:
    """Read, reorient and resample every scan that FILE's jobs will read, into the cache.

    Jobs do so themselves when it was not done before. The cache is in the user's cache folder (or
    MRIBENCH_CACHE), grows to 100 GB at most (or MRIBENCH_CACHE_GB) and forgets what was not used for longest.
    """
    if clean and (file is not None or sets or verify or jobs):
        raise click.UsageError(
            "--clean removes all prepared volumes: it goes without FILE, --set, --jobs and --verify."
        )
    if not clean and file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    from mribench.commands.data_prepare import clean_cache, prepare_volumes

    return clean_cache() if file is None else prepare_volumes(file, sets, jobs, verify)


@data_group.command(
    "make",
    epilog="\b\nExamples:\n"
    "  mribench data make DATASET folder --set subjects=20 --set seed=7\n"
    "  mribench data make DATASET folder --set root=label-maps --force",
)
@click.argument("name")
@click.argument("out", type=GivenPath(file_okay=False))
@set_option("Give an option of the dataset.")
@click.option("--force", is_flag=True, help="Write into OUT even if it is not empty.")
def make(**options: Any) -> int:
    """Make the dataset NAME and write it into the folder OUT as real files.

    `mribench list dataset` names the datasets, `mribench schema` their options.
    """
    from mribench.commands.data_make import make_dataset

    return make_dataset(**options)
