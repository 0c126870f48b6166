"""``mribench data prepare``."""

from __future__ import annotations

from pathlib import Path

import click

from mribench.cli.options import GivenPath
from mribench.commands import MOST_PREPARING


@click.command(
    "prepare",
    epilog="\b\nExamples:\n"
    "  mribench data prepare benchmarks/quickstart.yaml --jobs 2\n"
    "  mribench data prepare benchmarks/quickstart.yaml --verify\n"
    "  mribench data prepare --clean",
)
@click.argument("file", type=GivenPath(dir_okay=False), required=False)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key of FILE. Repeatable.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help=f"Processes; by default the number of cores, at most {MOST_PREPARING}.",
)
@click.option("--verify", is_flag=True, help="Compare the checksums of volumes prepared before.")
@click.option("--clean", is_flag=True, help="Say how large the cache of prepared volumes is, and remove it.")
def command(file: Path | None, sets: tuple[str, ...], jobs: int | None, verify: bool, clean: bool) -> int:
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
