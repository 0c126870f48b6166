"""Executors of this machine: in this process, or a process for each job."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from mribench import hookimpl
from mribench.execute.processes import start_process
from mribench.interfaces.entry import Entry
from mribench.interfaces.executor import Completed, Executor, Resources
from mribench.interfaces.options import NoOptions


class InlineExecutor(Executor):
    """Runs each job in this process; for debugging, and for tests."""

    def __init__(self, options: NoOptions, resources: Resources) -> None:
        del options
        self._threads = resources.threads
        self._waiting: list[tuple[str, Path]] = []

    @property
    def capacity(self) -> int:
        """One job at a time."""
        return 1

    def submit(self, key: str, directory: Path) -> None:
        """Keep the job for ``completed``, which runs it."""
        self._waiting.append((key, directory))

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Run what was submitted."""
        from mribench.execute.worker import run_job

        del timeout_s
        while self._waiting:
            key, directory = self._waiting.pop(0)
            status = run_job(directory, threads=self._threads, pass_on=signal.raise_signal)
            yield Completed(key, elsewhere=status is None)

    def close(self) -> None:
        """Nothing to end."""


class LocalExecutor(Executor):
    """Runs one process per job, forked from a server that has imported torch and the plugins already.

    With GPUs, each job sees one of them.
    """

    def __init__(self, options: NoOptions, resources: Resources) -> None:
        del options
        self._threads = resources.threads
        places = itertools.cycle(resources.gpus or (None,))
        self._slots: list[str | None] = list(itertools.islice(places, resources.jobs))
        self._capacity = len(self._slots)
        self._running: dict[int, tuple[str, str | None, BaseProcess]] = {}

    @property
    def capacity(self) -> int:
        """Processes at a time."""
        return self._capacity

    def submit(self, key: str, directory: Path) -> None:
        """Start a process for the job on a free slot."""
        from mribench.execute import worker

        gpu = self._slots.pop(0)
        process = start_process(worker.main, str(directory), gpu, self._threads, name=key)
        self._running[process.sentinel] = (key, gpu, process)

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the jobs whose processes ended."""
        from mribench.execute import worker

        ended = connection.wait(list(self._running), timeout_s)
        for sentinel in [known for known in self._running if known in ended]:
            key, gpu, process = self._running.pop(sentinel)
            process.join()
            self._slots.append(gpu)
            code = process.exitcode or 0
            how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
            died = code not in (0, worker.ELSEWHERE)
            yield Completed(
                key, f"its process was {how}; see its log.txt" if died else "", code == worker.ELSEWHERE
            )

    def close(self) -> None:
        """Ask what still runs to stop, and wait for it; kill it after half a minute."""
        for _, _, process in self._running.values():
            process.terminate()
        for _, _, process in self._running.values():
            process.join(timeout=30)
            if process.is_alive():
                process.kill()
        self._running.clear()


@hookimpl
def mribench_entries() -> list[Entry]:
    """Register the executors of this machine."""
    return [
        Entry("executor", "inline", InlineExecutor, NoOptions, "one job after another in this process"),
        Entry("executor", "local", LocalExecutor, NoOptions, "one process per job on this machine"),
    ]
