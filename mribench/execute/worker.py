"""Runs one job from its folder, whoever asked for it: ``python -m mribench.execute.worker FOLDER``."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import logging
import multiprocessing
import multiprocessing.connection
import os
import platform
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mribench.errors import StoreError
from mribench.execute.causes import cause_of, status_of
from mribench.execute.leash import end_with_input
from mribench.execute.live import LiveFile
from mribench.execute.processes import keep_freed_memory
from mribench.execute.provenance import plugins_of, versions
from mribench.interfaces.executor import (
    CHECKPOINT_EVERY_S,
    CHECKPOINT_S,
    THREADS,
    UNTIL_EOF,
    Cause,
    WorkerExit,
)
from mribench.jobs import Context, Outcome, run_spec
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results import Lease, Store, replace_file
from mribench.results.environment import Environment, write_environment
from mribench.results.lease import HEARTBEAT_S
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, JobRow, write_table
from mribench.results.specification import Specification, read_specification
from mribench.results.stopping import StopRequest, forget_stop_request, read_stop_request
from mribench.results.store import CHECKPOINT, JobStatus, write_status
from mribench.training import Interrupted
from mribench.training.weights import save_weights

logger = logging.getLogger("mribench")

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


def run_job(
    directory: Path,
    registry: Registry | None = None,
    threads: int = 1,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    pass_on: Callable[[int], object] = lambda _: None,
) -> JobStatus | None:
    """Run the job in a folder, and leave its results and its status there.

    Args:
        directory: holds ``job.json``.
        registry: all entries; loaded when None.
        threads: CPU threads. On the CPU, results are reproducible bit for bit at one number of threads.
        checkpoint_every_s: seconds between checkpoints.
        pass_on: called at the end with the signal that stopped the job, for a process that has more to do.

    Returns:
        The status as written; None when another process holds the job, or has done it.
    """
    lease = Lease.acquire(directory)
    if lease is None:
        return None
    if Store(directory.parent.parent).is_done(directory.name):
        lease.release()
        return None
    torch.set_num_threads(threads)
    keep_freed_memory()
    pulse = _Pulse(lease, LiveFile(directory), directory)
    status = JobStatus("running")
    try:
        with pulse.beating():
            write_status(directory, status)  # whoever reads it may ask the job to stop
            status = _attempt(directory, registry, pulse, checkpoint_every_s)
        if lease.owned():
            # what was logged is left to whoever tracks the run, unless the history has it
            (pulse.live.remove if status.state == "done" else pulse.live.flush)()
            write_status(directory, status)
    finally:
        lease.release()
    if pulse.stopped_by is not None:
        pass_on(pulse.stopped_by)
    return status


def _attempt(
    directory: Path, registry: Registry | None, pulse: _Pulse, checkpoint_every_s: float
) -> JobStatus:
    started = time.perf_counter()
    try:
        job = read_specification(directory)
        registry = registry or load_registry()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if torch.cuda.is_initialized():  # another job of this process used it
            torch.cuda.reset_peak_memory_stats(device)
        context = Context(
            registry, directory, directory.parent, device, pulse.tick, checkpoint_every_s, pulse.live.watch
        )
        outcome = run_spec(job.spec, context)
        outcome.job |= _cost(started, device)
        if not pulse.owned():
            return JobStatus("interrupted", "another process took the job over", cause=Cause.INFRASTRUCTURE)
        _commit(directory, job, outcome)
    except (Interrupted, KeyboardInterrupt):
        return pulse.interrupted()
    except Exception as error:  # noqa: BLE001 - the boundary: a job's failure stops only what needs it
        return status_of(error)
    return JobStatus("done")


def _commit(directory: Path, job: Specification, outcome: Outcome) -> None:
    """Write everything, each file in one step; the status comes last, and only then is the job done."""
    for name, state in outcome.weights.items():
        save_weights(directory / name, state)
    if outcome.history:
        history = pa.Table.from_pylist(_aligned(outcome.history))
        replace_file(directory / "history.parquet", lambda path: pq.write_table(history, path))
    row: JobRow = {
        "job_key": directory.name,
        "id": job.id,
        "kind": job.kind,
        **outcome.job,
        "split_digest": job.spec.split_digest,
        "versions": _versions(job),
    }
    _write(directory / "job.parquet", [row], JOB_SCHEMA)
    if job.kind == "evaluate":
        _write(directory / "records.parquet", outcome.scores, SCORE_FILE_SCHEMA)
    for name, (rows, schema) in outcome.tables.items():
        _write(directory / name, rows, schema)
    pictures = outcome.files if job.examples else {}
    for name, content in pictures.items():
        replace_file(directory / name, functools.partial(Path.write_bytes, data=content))
    write_environment(directory, _environment(job, outcome))
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _write(path: Path, rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> None:
    replace_file(path, lambda temporary: write_table(temporary, rows, schema))


def _aligned(rows: list[dict[str, float]]) -> list[dict[str, float | None]]:
    """Give every row every column."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [dict.fromkeys(names) | row for row in rows]


def _environment(job: Specification, outcome: Outcome) -> Environment:
    return Environment(
        **dataclasses.asdict(job.provenance),
        host=socket.gethostname(),
        platform=platform.platform(),
        device=outcome.job["device"],
        python=platform.python_version(),
        versions=dict(part.split("=") for part in _versions(job).split()),
        threads=torch.get_num_threads(),
        written=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _versions(job: Specification) -> str:
    return versions(plugins_of(job.content))


def _cost(started: float, device: torch.device) -> JobRow:
    if device.type == "cuda":
        memory, name = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_name(device)
    else:
        scale = 1 if sys.platform == "darwin" else 1024
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        name = f"cpu {platform.processor() or platform.machine()}"
    return {"wall_s": time.perf_counter() - started, "peak_memory_bytes": memory, "device": name}


class _Pulse:
    """Keeps the lease alive, and tells the job to stop."""

    def __init__(self, lease: Lease, live_file: LiveFile, directory: Path) -> None:
        self._lease = lease
        self._directory = directory
        self._request: StopRequest | None = None
        self.live = live_file
        self._done, self._total = 0, 0
        self._first: tuple[float, int] | None = None
        self._stop = threading.Event()
        self.stopped_by: int | None = None
        self._ended = threading.Event()

    def tick(self, done: int, total: int) -> None:
        """Note the progress; raise ``Interrupted`` when asked to stop."""
        self._done, self._total = done, total
        if self._first is None:
            self._first = (time.monotonic(), done)
        if self._stop.is_set():
            raise Interrupted

    def owned(self) -> bool:
        """Whether the lease is still ours."""
        return self._lease.owned()

    def _rate(self) -> float | None:
        """Return the steps a second since the first one of this attempt."""
        if self._first is None:
            return None
        since, done = self._first
        seconds = time.monotonic() - since
        return (self._done - done) / seconds if self._done > done and seconds > 0 else None

    def stop(self, number: int | None = None, frame: FrameType | None = None) -> None:
        """Ask the job to stop after the step in progress; a signal's number is kept."""
        del frame
        self.stopped_by = number
        self._stop.set()

    def interrupted(self) -> JobStatus:
        """Return the status of the job that was asked to stop: by a request, or by a signal."""
        if self._request is None:
            reason, cause = "stopped; it goes on from its checkpoint", Cause.STOPPED
        else:
            reason, cause = self._request.reason, self._request.cause
            forget_stop_request(self._directory)
        return JobStatus("interrupted", reason, cause=cause)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Beat in a thread; take signals that end a process as wishes to stop, where they can be taken."""
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        main = threading.current_thread() is threading.main_thread()
        heard = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.stop) for number in heard} if main else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._ended.set()
            thread.join()

    def _beat(self) -> None:
        parent = multiprocessing.parent_process()
        while not self._ended.wait(HEARTBEAT_S):
            self._lease.beat(self._done, self._total or None, self._rate())
            if self._lease.owned():
                self.live.flush()
            if self._request is None and (request := read_stop_request(self._directory)):
                self._request = request
                self.stop()
            if parent is not None and not parent.is_alive():
                self.stop()  # whoever started us was killed: keep what is done, and end


def visible_gpu(gpu: str, visible: str) -> str:
    """Return what lets a process see one GPU and no other.

    Args:
        gpu: its number among the GPUs that this process sees, as ``--gpus`` counts them, or its name.
        visible: what restricts those, as a queueing system sets it: ``4,5``; empty where nothing does.
    """
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return names[int(gpu)] if gpu.isdigit() and int(gpu) < len(names) else gpu


def main(
    directory: str,
    gpu: str | None,
    threads: int,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    log: bool = True,
) -> None:
    """Run a job in a process of its own, its output in ``log.txt``.

    Exits with a ``WorkerExit``.
    """
    if gpu is not None:
        os.environ[_VISIBLE] = visible_gpu(gpu, os.environ.get(_VISIBLE, ""))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    folder = Path(directory)
    try:
        if log:
            _write_log_to(folder / "log.txt")
        logger.info("job %s in process %d", folder.name, os.getpid())
        status = run_job(folder, _inherited_registry(), threads, checkpoint_every_s)
    except (OSError, StoreError) as error:
        if cause_of(error) is not Cause.DISK:
            raise
        logger.error("no status can be written: %s", error)
        sys.exit(WorkerExit.UNWRITTEN)
    if status is None:
        logger.info("another process holds this job, or has done it")
        sys.exit(WorkerExit.ELSEWHERE)
    logger.info("%s %s\n%s", status.state, status.said, status.traceback)
    if status.cause is Cause.STOPPED:
        sys.exit(WorkerExit.STOPPED)
    sys.exit(WorkerExit.DONE if status.state == "done" else WorkerExit.FAILED)


def _inherited_registry() -> Registry | None:
    """Return the entries that the server of this process has loaded; None in a process without one."""
    warm = sys.modules.get("mribench.execute.warm")
    return warm.REGISTRY if warm is not None else None


def _write_log_to(path: Path) -> None:
    """Have everything that this process says appended to a file."""
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    if UNTIL_EOF in sys.argv[2:]:
        end_with_input()
    threads = int(os.environ.get(THREADS, "1"))
    main(sys.argv[1], None, threads, float(os.environ.get(CHECKPOINT_S, CHECKPOINT_EVERY_S)))
