"""What ``mribench status`` does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from mribench.errors import StoreError
from mribench.results import Store
from mribench.results.lease import read_lease
from mribench.results.specification import find_specification


def show_status(directory: Path, failed: bool) -> int:
    """Say how far the run in DIRECTORY is, and why jobs failed."""
    if not (directory / "store.json").exists():
        raise StoreError(
            f"{directory} holds no results", "give the folder of one benchmark: results/<benchmark>"
        )
    store = Store(directory)
    store.check()
    counts: Counter[str] = Counter()
    for folder in sorted((directory / "jobs").glob("*")):
        if not folder.is_dir():
            continue  # not one of ours
        status = store.inspect(folder.name)
        name = _name(folder)
        counts[status.state] += 1
        if status.state == "running":
            holder = read_lease(folder)
            done, total, host = (holder.done, holder.total or "?", holder.host) if holder else (0, "?", None)
            click.echo(f"running: {name} {done}/{total} on {host}")
        elif status.state in ("failed", "interrupted", "damaged"):
            click.echo(f"{status.state}: {name}: {status.reason} (log: {folder / 'log.txt'})")
            if failed and status.traceback:
                click.echo(status.traceback)
    click.echo(", ".join(f"{count} {state}" for state, count in counts.most_common()) or "no jobs")
    return 1 if counts["failed"] or counts["damaged"] else 0


def _name(folder: Path) -> str:
    try:
        said = find_specification(folder)
    except StoreError as error:  # the job is to be run again; until then it goes by its folder
        click.echo(f"damaged: {folder.name}: {error.message}")
        return folder.name
    return said.id if said else folder.name
