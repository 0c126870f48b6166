"""Runs jobs from their folders, whoever asked for them: ``python -m mribench.execute.worker FOLDER …``."""

from __future__ import annotations

import contextlib
import datetime
import functools
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mribench.errors import DamagedError, StoreError
from mribench.execute.causes import cause_of, status_of
from mribench.execute.commit import commit, measure_cost
from mribench.execute.leash import end_with_input
from mribench.execute.live import LiveFile
from mribench.execute.processes import ENDING
from mribench.execute.pulse import Pulse
from mribench.execute.setting_up import set_up_process, take_device, take_threads, write_log_to
from mribench.interfaces.executor import (
    BATCH,
    CHECKPOINT_EVERY_S,
    CHECKPOINT_S,
    THREADS,
    UNTIL_EOF,
    WINDOW_PARTS,
    Cause,
    WorkerExit,
)
from mribench.jobs import Context, Shared, run_spec
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results import Lease, Store
from mribench.results.attempt import Attempt, LeaseLost
from mribench.results.specification import read_specification
from mribench.results.status import JobStatus, read_status, write_status
from mribench.results.store import CHECKPOINT
from mribench.training import Interrupted

logger = logging.getLogger("mribench")


def run_job(
    directory: Path,
    registry: Registry | None = None,
    threads: int = 1,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    pass_on: Callable[[int], object] = lambda _: None,
    batch: str = "",
    window_parts: int = 1,
    shared: Shared | None = None,
) -> JobStatus | None:
    """Run the job in a folder, and leave its results and its status there.

    Args:
        directory: holds ``job.json``.
        registry: all entries; loaded when None.
        threads: CPU threads. On the CPU, results are reproducible bit for bit at one number of threads.
        checkpoint_every_s: seconds between checkpoints.
        pass_on: called at the end with the signal that stopped the job, for a process that has more to do.
        batch: id of the batch that the job is run in, for its status.
        window_parts: as of a ``Batch``.
        shared: what the jobs before it in its batch have made; None where it is alone.

    Returns:
        The status as written; None when another process holds the job, or has done it.
    """
    lease = Lease.acquire(directory)
    if lease is None:
        return None
    try:
        if Store(directory.parent.parent).inspect(directory.name).state == "done":
            return None
        take_threads(threads)
        pulse = Pulse(lease, LiveFile(lease.attempt))
        prepare = functools.partial(
            _make_context,
            registry=registry,
            checkpoint_every_s=checkpoint_every_s,
            shared=shared or Shared(),
            window_parts=window_parts,
        )
        status = _run_held(directory, lease.attempt, pulse, prepare, batch)
    except LeaseLost:
        logger.warning("job %s is another process's by now: this one stops", directory.name)
        return None
    finally:
        lease.release()
    if pulse.stopped_by is not None:
        pass_on(pulse.stopped_by)
    return status


def _make_context(
    directory: Path,
    attempt: Attempt,
    pulse: Pulse,
    registry: Registry | None,
    checkpoint_every_s: float,
    shared: Shared,
    window_parts: int,
) -> Context:
    device = take_device()
    return Context(
        registry or load_registry(), directory, directory.parent, device, pulse.tick, checkpoint_every_s,
        pulse.live.watch, attempt.replace, shared, window_parts,
    )  # fmt: skip


def _run_held(
    directory: Path, attempt: Attempt, pulse: Pulse, prepare: Callable[..., Context], batch: str
) -> JobStatus:
    """Run a job whose lease is held, and write its status."""
    with pulse.beating():
        # whoever reads it may ask the job to stop
        write_status(directory, JobStatus("running", batch=batch), attempt.replace)
        status = _attempt(directory, attempt, pulse, prepare)
    status = replace(status, batch=batch)
    if status.state != "done":
        pulse.live.flush()  # what was logged is left to whoever tracks the run, unless the history has it
    write_status(directory, status, attempt.replace)
    if status.state == "done":
        attempt.withdraw(CHECKPOINT)
        pulse.live.remove()
    pulse.live.close()
    return status


def _attempt(directory: Path, attempt: Attempt, pulse: Pulse, prepare: Callable[..., Context]) -> JobStatus:
    started = time.perf_counter()
    try:
        job = read_specification(directory)
        context = prepare(directory, attempt, pulse)
        outcome = run_spec(job.spec, context)
        outcome.job |= measure_cost(started, context.device)
        return JobStatus("done", files=commit(attempt, job, outcome))
    except (Interrupted, KeyboardInterrupt):
        return pulse.interrupted()
    except LeaseLost:
        raise
    except DamagedError as error:
        return _condemn(error, directory)
    except Exception as error:  # noqa: BLE001 - the boundary: a job's failure stops only what needs it
        return status_of(error)


def _condemn(error: DamagedError, directory: Path) -> JobStatus:
    """Have the job run again whose file is damaged; this one waits for it.

    Where the file is another store's, as of results that are verified, that one is left as it is.
    """
    if error.directory.parent != directory.resolve().parent:
        return status_of(error)
    Store(directory.parent.parent).condemn(error.directory.name, error.message)
    reason = f"what it needs is made again: {error.message}"
    return JobStatus("interrupted", reason, cause=Cause.DAMAGED)


def main(
    directories: Sequence[str],
    gpu: str | None,
    threads: int,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    batch: str = "",
    window_parts: int = 1,
    log: bool = True,
) -> None:
    """Run the jobs of a batch, one after another, in a process of their own; each has its own ``log.txt``.

    A job that fails stops none of those after it; a signal, or a disk that is full, stops the process.

    Args:
        directories: of the jobs.
        gpu: that the process may see; None for all.
        threads: as for ``run_job``.
        checkpoint_every_s: as for ``run_job``.
        batch: as for ``run_job``.
        window_parts: as for ``run_job``.
        log: whether output goes to the jobs' logs.

    Exits with a ``WorkerExit``.
    """
    registry = set_up_process(gpu)
    with _stopping_on_signals():
        ends = _run_all(directories, registry, threads, checkpoint_every_s, batch, window_parts, log)
    sys.exit(next((end for end in _GRAVEST_FIRST if end in ends), WorkerExit.DONE))


_LAST = (WorkerExit.UNWRITTEN, WorkerExit.STOPPED)
"""After these no further job is begun."""
_GRAVEST_FIRST = (*_LAST, WorkerExit.FAILED, WorkerExit.ELSEWHERE)


def _run_all(
    directories: Sequence[str],
    registry: Registry,
    threads: int,
    checkpoint_every_s: float,
    batch: str,
    window_parts: int,
    log: bool,
) -> set[WorkerExit]:
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    ends: set[WorkerExit] = set()
    shared = Shared()
    for folder in map(Path, directories):
        if ends and _is_called_off(folder, began):
            ends.add(WorkerExit.ELSEWHERE)
        else:
            ends.add(
                _run_logged(folder, registry, threads, checkpoint_every_s, batch, window_parts, log, shared)
            )
        if ends.intersection(_LAST):
            break
        if _is_orphan():  # short jobs do not see it themselves
            return {WorkerExit.STOPPED}
    return ends


def _is_orphan() -> bool:
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def _is_called_off(folder: Path, began: str) -> bool:
    """Whether a person called a job off while others of its batch were run."""
    status = read_status(folder)
    return status is not None and status.cause is Cause.CANCELLED and status.written >= began


@contextlib.contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Have signals stop the process between two jobs too; a job that runs hears them itself."""
    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(WorkerExit.STOPPED)


def _run_logged(
    folder: Path,
    registry: Registry | None,
    threads: int,
    checkpoint_every_s: float,
    batch: str,
    window_parts: int,
    log: bool,
    shared: Shared,
) -> WorkerExit:
    """Run a job, and say how it ended in its log and as the exit code of a process that runs it alone."""
    try:
        if log:
            write_log_to(folder / "log.txt")
        logger.info("job %s in process %d", folder.name, os.getpid())
        status = run_job(
            folder,
            registry,
            threads,
            checkpoint_every_s,
            batch=batch,
            window_parts=window_parts,
            shared=shared,
        )
    except (OSError, StoreError) as error:
        if cause_of(error) is not Cause.DISK:
            raise
        logger.error("no status can be written: %s", error)
        return WorkerExit.UNWRITTEN
    if status is None:
        logger.info("another process holds this job, or has done it")
        return WorkerExit.ELSEWHERE
    logger.info("%s %s\n%s", status.state, status.said, status.traceback)
    if status.cause is Cause.STOPPED:
        return WorkerExit.STOPPED
    return WorkerExit.DONE if status.state == "done" else WorkerExit.FAILED


def run_words(words: Sequence[str]) -> None:
    """Run the batch of a ``WorkerCommand``, by the words after the module's name and the environment."""
    if UNTIL_EOF in words:
        end_with_input()
    threads = int(os.environ.get(THREADS, "1"))
    checkpoint_every_s = float(os.environ.get(CHECKPOINT_S, CHECKPOINT_EVERY_S))
    batch, window_parts = os.environ.get(BATCH, ""), int(os.environ.get(WINDOW_PARTS, "1"))
    folders = [word for word in words if word != UNTIL_EOF]
    main(folders, None, threads, checkpoint_every_s, batch, window_parts)


if __name__ == "__main__":
    run_words(sys.argv[1:])
