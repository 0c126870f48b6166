"""What ``mribench cancel`` and ``mribench retry`` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mribench.commands.status import check_results
from mribench.errors import ConfigError, did_you_mean
from mribench.interfaces.executor import Cause
from mribench.results import Lease, LeaseState, Store
from mribench.results.patterns import matches_any
from mribench.results.progress import KnownJob, list_jobs
from mribench.results.status import JobStatus
from mribench.results.stopping import ask_to_stop
from mribench.results.store import CHECKPOINT
from mribench.wording import count

_UNDONE = ("failed", "interrupted", "damaged")
_CANCELLED = "mribench cancel called it off; mribench retry, or the next run, goes on from its checkpoint"


def cancel_jobs(directory: Path, names: Sequence[str]) -> int:
    """Stop jobs that run, and have runs that are going on leave out those that do not yet."""
    store = check_results(directory)
    jobs = [job for job in _find(directory, names) if job.status.state != "done"]
    for job in jobs:
        click.echo(f"{_cancel(store, job)}: {job.id}")
    click.echo(f"{count(len(jobs), 'job')} called off")
    return 0


def _cancel(store: Store, job: KnownJob) -> str:
    """Call a job off; return what became of it."""
    if ask_to_stop(store.directory(job.key), Cause.CANCELLED, _CANCELLED):
        return "stops after its step"
    store.make_directory(job.key)
    noted = store.note_failure(job.key, JobStatus("interrupted", _CANCELLED, cause=Cause.CANCELLED))
    return "left out" if noted else "begun in this moment, or done: ask again"


def retry_jobs(directory: Path, names: Sequence[str], anew: bool) -> int:
    """Have jobs that failed, were interrupted or called off run again, by a run that is going on too."""
    store = check_results(directory)
    jobs = [job for job in _find(directory, names) if job.status.state in _UNDONE]
    for job in jobs:
        folder = store.directory(job.key)
        if Lease.state(folder) is LeaseState.HELD:
            continue  # begun again in this moment
        if anew:
            (folder / CHECKPOINT).unlink(missing_ok=True)
        (folder / "status.json").unlink(missing_ok=True)
        click.echo(f"to do again: {job.id}")
    click.echo(f"{count(len(jobs), 'job')} to do again; a run that is going on takes them, or mribench run")
    return 0


def _find(directory: Path, names: Sequence[str]) -> list[KnownJob]:
    """Return the jobs that go by names, patterns of names, or keys."""
    known = list_jobs(directory)
    found: dict[str, KnownJob] = {}
    for name in names:
        matching = [job for job in known if job.key == name or matches_any(job.id, [name])]
        if not matching:
            raise ConfigError(
                f"no job in {directory} goes by '{name}'", did_you_mean(name, [job.id for job in known])
            )
        found |= {job.key: job for job in matching}
    return list(found.values())
