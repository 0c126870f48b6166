"""Executors of this machine: in this process, or a process for each batch of jobs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess

import psutil

from mribench import hookimpl
from mribench.errors import StoreError
from mribench.execute.memory import count_memory_kills
from mribench.execute.places import Place, Places
from mribench.execute.processes import ServerLostError, start_process
from mribench.interfaces.entry import Entry
from mribench.interfaces.executor import Batch, Cause, Completed, Executor, Resources
from mribench.interfaces.options import NoOptions
from mribench.registry import Registry

_PATIENCE_S = 30.0
"""How long a job may take to stop at the end of a run."""
_UNKNOWN = 255
"""Exit code that ``multiprocessing`` gives a process whose server died: nobody saw how it ended."""


class InlineExecutor(Executor):
    """Runs each job in this process; for debugging, and for tests."""

    def __init__(self, options: NoOptions, resources: Resources) -> None:
        del options
        self._resources = resources
        self._registry: Registry | None = None
        self._waiting: list[Batch] = []

    @property
    def capacity(self) -> int:
        """One batch at a time."""
        return 1

    def submit(self, batch: Batch) -> None:
        """Keep the batch for ``completed``, which runs it."""
        self._waiting.append(batch)

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Run what was submitted."""
        del timeout_s
        while self._waiting:
            yield self._run(self._waiting.pop(0))

    def _run(self, batch: Batch) -> Completed:
        from mribench.execute.causes import cause_of
        from mribench.execute.worker import run_job
        from mribench.jobs import Shared
        from mribench.plugins import load_registry

        self._registry = self._registry or load_registry()
        asked, shared = self._resources, Shared()
        try:
            ends = [
                run_job(
                    directory,
                    self._registry,
                    threads=asked.threads,
                    checkpoint_every_s=asked.checkpoint_every_s,
                    pass_on=signal.raise_signal,
                    batch=batch.id,
                    shared=shared,
                    window_parts=batch.window_parts,
                )
                for directory in batch.folders.values()
            ]
        except (OSError, StoreError) as error:
            if cause_of(error) is not Cause.DISK:
                raise
            return Completed(batch.id, str(error), cause=Cause.DISK)
        return Completed(batch.id, elsewhere=None in ends)

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class _Running:
    """A batch's process.

    Attributes:
        batch: its jobs.
        place: of its process on a GPU, or on the CPU.
        process: as the server that forked it tells of it; after that server's death it tells nothing.
        itself: the process, whoever forked it; None where it was gone at once.
        kills: processes that the kernel had killed for want of memory when it started.
    """

    batch: Batch
    place: Place
    process: BaseProcess
    itself: psutil.Process | None = field(init=False)
    kills: int = field(init=False)

    def __post_init__(self) -> None:
        self.kills = count_memory_kills()
        try:
            self.itself = psutil.Process(self.process.pid)
        except psutil.NoSuchProcess:
            self.itself = None

    def lives(self) -> bool:
        """Whether the process is there still."""
        if self.itself is None:
            return False
        try:
            return self.itself.is_running() and self.itself.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class LocalExecutor(Executor):
    """Runs one process per batch, forked from a server that has imported torch and the plugins already.

    With GPUs, each process sees one of them; several share one by the memory that they take. When the server
    dies they live on, and are watched to their end.
    """

    def __init__(self, options: NoOptions, resources: Resources) -> None:
        del options
        self._threads = resources.threads
        self._checkpoint_every_s = resources.checkpoint_every_s
        self._places = Places(resources)
        self._weighs_memory = bool(resources.gpu_memory_bytes)
        self._capacity = resources.jobs
        self._running: dict[int, _Running] = {}
        self._orphans: list[_Running] = []
        self._unstarted: list[Completed] = []

    @property
    def capacity(self) -> int:
        """Processes at a time."""
        return self._capacity

    @property
    def weighs_memory(self) -> bool:
        """Where jobs share GPUs."""
        return self._weighs_memory

    def has_room(self, batch: Batch) -> bool:
        """Whether a GPU has the memory, or nothing to do."""
        return self._places.have_room(batch.gpu_bytes)

    def submit(self, batch: Batch) -> None:
        """Start a process for the batch on the GPU that has the most room."""
        from mribench.execute import worker

        place = self._places.take(batch.gpu_bytes)
        folders = [str(folder) for folder in batch.folders.values()]
        asked = (folders, place.gpu, self._threads, self._checkpoint_every_s, batch.id, batch.window_parts)
        try:
            process = start_process(worker.main, *asked, name=batch.id)
        except (ServerLostError, BlockingIOError) as error:  # the latter: no more processes for this user
            self._places.give_back(place)
            self._unstarted.append(Completed(batch.id, f"no process could be started for it: {error}"))
            return
        self._running[process.sentinel] = _Running(batch, place, process)

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the batches whose processes ended."""
        while self._unstarted:
            yield self._unstarted.pop()
        ended = connection.wait(list(self._running), timeout_s)
        for sentinel in [known for known in self._running if known in ended]:
            running = self._running.pop(sentinel)
            running.process.join()
            if running.lives():
                self._orphans.append(running)
                continue
            self._places.give_back(running.place)
            yield _judge(running)
        for orphan in [each for each in self._orphans if not each.lives()]:
            self._orphans.remove(orphan)
            self._places.give_back(orphan.place)
            yield _judge(orphan)

    def kill(self, key: str) -> None:
        """Kill a job's process."""
        for running in self._all():
            if key in running.batch.folders and running.itself is not None and running.lives():
                running.itself.kill()

    def close(self) -> None:
        """Ask what still runs to stop, and wait for it; kill it after half a minute."""
        processes = [running.itself for running in self._all() if running.itself and running.lives()]
        for process in processes:
            _signal(process, signal.SIGTERM)
        _, stubborn = psutil.wait_procs(processes, timeout=_PATIENCE_S)
        for process in stubborn:
            _signal(process, signal.SIGKILL)
        for running in self._running.values():
            running.process.join()
        self._running.clear()
        self._orphans.clear()

    def _all(self) -> list[_Running]:
        return [*self._running.values(), *self._orphans]


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended by itself, in this moment


def _judge(running: _Running) -> Completed:
    """Say what the end of a process means: by itself only where it left no word."""
    code = running.process.exitcode or 0
    if code in (-signal.SIGKILL, _UNKNOWN) and count_memory_kills() > running.kills:
        said = "out of memory: the kernel killed its process; fewer --jobs or a smaller batch_size need less"
        return Completed(running.batch.id, said, cause=Cause.OUT_OF_MEMORY)
    if code == _UNKNOWN:
        return Completed(running.batch.id, "its process ended after the server that forked it had died")
    return Completed.of_exit(running.batch.id, code)


@hookimpl
def mribench_entries() -> list[Entry]:
    """Register the executors of this machine."""
    return [
        Entry("executor", "inline", InlineExecutor, NoOptions, "one job after another in this process"),
        Entry("executor", "local", LocalExecutor, NoOptions, "processes on this machine"),
    ]
