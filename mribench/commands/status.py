"""What ``mribench status`` does."""

from __future__ import annotations

import datetime
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mribench.commands.background import find_background
from mribench.commands.queues import Queues
from mribench.commands.terminal import print_table, say
from mribench.errors import StoreError
from mribench.results import Store
from mribench.results.progress import KnownJob, Progress, Shown, read_progress
from mribench.wording import NOTHING, duration, one_line

WATCH_S = 2.0
_STATES: tuple[Shown, ...] = ("running", "queued", "failed", "damaged", "interrupted", "todo")
_LISTED = 10
"""Jobs in a queue that are named."""


def check_results(directory: Path) -> Store:
    """Return the store in a folder of results.

    Raises:
        StoreError: when it is none, or of another schema version.
    """
    if not (directory / "store.json").exists():
        raise StoreError(
            f"{directory} holds no results", "give the folder of one benchmark: results/<benchmark>"
        )
    store = Store(directory)
    store.check()
    return store


def show_status(directory: Path, failed: bool, watch: bool) -> int:
    """Say how far the run in DIRECTORY is, and why jobs failed."""
    check_results(directory)
    console, queues = Console(), Queues()
    if not watch:
        return _show(console, directory, failed, queues)
    try:
        while True:
            if console.is_terminal:
                console.clear()
            _show(console, directory, failed, queues)
            sys.stdout.flush()
            time.sleep(WATCH_S)
    except KeyboardInterrupt:  # how watching ends
        return 0


def _show(console: Console, directory: Path, failed: bool, queues: Queues) -> int:
    progress = read_progress(directory, queues.ask)
    if progress.kinds:
        print_table(console, _make_table(progress))
    for line in _describe_jobs(progress, directory, failed):
        click.echo(line)
    apart = find_background(directory)
    if apart is not None:
        click.echo(f"a run is in the background: process {apart.pid} on {one_line(apart.host)}")
    for problem in queues.problems:
        say(console, f"what waits in a queue is shown as to do: {problem}", "yellow")
    states = Counter(job.shown for job in progress.jobs if job.planned)
    done, total = states["done"], sum(states.values())
    others = sum(not job.planned for job in progress.jobs)
    parts = [f"{done} of {total} done"]
    parts += [f"{states[state]} {_word(state)}" for state in _STATES if states[state]]
    if others:
        parts.append(f"{others} of other plans or older")
    say(console, ", ".join(parts) + _end(progress, done < total))
    return 1 if any(job.shown in ("failed", "damaged") for job in progress.jobs) else 0


def _end(progress: Progress, unfinished: bool) -> str:
    """Return when all will be done, for the end of a line."""
    if not unfinished:
        return ""
    if progress.left_s is None:
        return "; time left: unknown until one job of each kind is done"
    at = datetime.datetime.now().astimezone() + datetime.timedelta(seconds=progress.left_s)
    running = any(job.status.state == "running" for job in progress.jobs)
    end = f", until {at:%a %H:%M}" if running else " once it runs"
    return f"; about {duration(progress.left_s)} left{end}"


def _make_table(progress: Progress) -> Table:
    table = Table()
    there = {state for kind in progress.kinds for state in kind.states}
    states = [state for state in _STATES if state in there]
    table.add_column("kind")
    for header in ("done", *map(_word, states), "a job takes", "work left"):
        table.add_column(header, justify="right")
    for kind in progress.kinds:
        counts = [str(kind.states.get(state, 0)) for state in states]
        times = [NOTHING if time_s is None else duration(time_s) for time_s in (kind.mean_s, kind.left_s)]
        table.add_row(kind.kind, f"{kind.states.get('done', 0)} of {kind.jobs}", *counts, *times)
    return table


def _describe_jobs(progress: Progress, directory: Path, failed: bool) -> Iterator[str]:
    for job in progress.jobs:
        if job.status.state == "running":
            yield f"running: {job.id}: {', '.join(_describe_running(job))}"
        elif job.shown in ("failed", "interrupted", "damaged"):
            log = directory / "jobs" / job.key / "log.txt"
            cause = f" [{job.status.cause}]" if job.status.cause else ""
            yield f"{job.status.state}{cause}: {job.id}: {job.status.said} (log: {log})"
            if failed and job.status.traceback:
                yield job.status.traceback
    yield from _describe_queued([job for job in progress.jobs if job.queued is not None])


def _describe_queued(jobs: Sequence[KnownJob]) -> Iterator[str]:
    for job in jobs[:_LISTED]:
        if job.queued is not None:
            reason = f": {job.queued.reason}" if job.queued.reason else ""
            yield f"queued: {job.id} ({job.queued.state}{reason}, {job.queued.label})"
    if len(jobs) > _LISTED:
        yield f"queued: and {len(jobs) - _LISTED} more"


def _describe_running(job: KnownJob) -> Iterator[str]:
    """Yield what is known of a running job: steps, rate, times, heartbeat, host."""
    holder = job.holder
    if holder is not None and holder.total:
        yield f"{holder.done} of {holder.total} steps"
        if holder.rate:
            yield f"{holder.rate:.3g} steps/s"
    gone_s = job.gone_s()
    if gone_s is not None:
        yield f"{duration(gone_s)} gone"
    if holder is not None and holder.rate and holder.total:
        yield f"about {duration((holder.total - holder.done) / holder.rate)} left"
    if job.heartbeat_age_s is not None:
        yield f"heartbeat {duration(max(job.heartbeat_age_s, 0))} ago"
    if holder is not None:
        yield f"on {one_line(holder.host)} (process {holder.pid})"


def _word(state: str) -> str:
    return "to do" if state == "todo" else state
