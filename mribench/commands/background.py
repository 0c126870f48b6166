"""A run in the background: started apart from the terminal, one of each folder of results, found again."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from mribench.errors import MRIBenchError, StoreError
from mribench.results import Lease, LeaseState, Store
from mribench.results.holder import Holder
from mribench.results.lease import HEARTBEAT_S, read_lease

DETACH, DETACHED = "--detach", "--detached"
"""The option of whoever starts a run in the background, and that of the run itself."""
_FOLDER = "background"
_LOOK_S = 0.2


def find_background(root: Path) -> Holder | None:
    """Return the run in the background that works on a folder of results; None without one."""
    folder = root / _FOLDER
    return read_lease(folder) if Lease.state(folder) is LeaseState.HELD else None


@contextmanager
def be_in_background(root: Path) -> Iterator[threading.Event]:
    """Be the run in the background of a folder of results, and be seen as it.

    Yields:
        what is set when the preparation is over and jobs are begun, which whoever started it waits for.

    Raises:
        StoreError: when there is one already.
    """
    folder = root / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lease = Lease.acquire(folder)
    if lease is None:
        raise _make_refusal(root)
    begun, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(lease, begun, ended), daemon=True)
    thread.start()
    try:
        yield begun
    finally:
        ended.set()
        begun.set()
        thread.join()
        lease.release()


def _beat(lease: Lease, begun: threading.Event, ended: threading.Event) -> None:
    """Renew the lease until the end; a full disk may pass, and on one host its process is what counts."""
    while not ended.is_set():
        with suppress(OSError):
            lease.beat(int(begun.is_set()), 1)
        (ended if begun.is_set() else begun).wait(HEARTBEAT_S)


def start_in_background(words: Sequence[str], root: Path) -> int:
    """Start a run apart from this terminal; show what it says until it has begun jobs, or has ended.

    Args:
        words: of the command line, after the name of the program.
        root: folder of the benchmark's results.

    Returns:
        exit code: that of the run where it has ended by now, as with a mistake in the file; else 0.

    Raises:
        StoreError: when a run is in the background there already, or nothing can be written.
    """
    if find_background(root) is not None:
        raise _make_refusal(root)
    Store(root).open()
    now = datetime.datetime.now(datetime.UTC)
    output = root / "logs" / f"background-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    output.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mribench", *(DETACHED if word == DETACH else word for word in words)]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - this program
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    with output.open(encoding="utf-8", errors="replace") as said:
        while process.poll() is None and not _has_begun(root, process.pid):
            click.echo(said.read(), nl=False)
            time.sleep(_LOOK_S)
        click.echo(said.read(), nl=False)
    if process.returncode is not None:
        return process.returncode
    click.echo(
        f"in the background: process {process.pid}; what it says goes to {output}\n"
        f"watch it: mribench status {root} --watch\n"
        f"stop it:  kill {process.pid} (jobs keep their checkpoints; the same command goes on)"
    )
    return 0


def _has_begun(root: Path, pid: int) -> bool:
    holder = find_background(root)
    return holder is not None and holder.pid == pid and holder.done > 0


def _make_refusal(root: Path) -> MRIBenchError:
    holder = find_background(root)
    who = f": process {holder.pid} on {holder.host}" if holder else ""
    return StoreError(
        f"a run of {root} is in the background already{who}",
        f"`mribench status {root} --watch` shows it; without {DETACH} this one works beside it",
    )
