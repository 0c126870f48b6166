"""Dask: each batch of jobs is a task that starts a process on a worker, and returns its exit code alone.

mribench keeps the order, the state and the results; Dask hands jobs to machines. So nothing is lost with a
worker that holds a result, or with the scheduler.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field

from mribench.errors import ConfigError, PluginError
from mribench.interfaces import Batch, Completed, Executor, Options, Resources, WorkerCommand

logger = logging.getLogger("mribench")

_PATIENCE_S = 30.0
"""How long a job may take to stop at the end of a run."""
_ANSWER_S = 10.0
"""How long a scheduler may take to answer."""
_RESTART_S = 300.0
"""How long a scheduler that went away is waited for."""
_COUNTED_EVERY_S = 5.0
_PREFIX = "MRIBENCH_"
"""Environment variables that go along to the workers: where the cache lies, and the like."""
_STARTUP_S = 5.0
"""How long a process imports what jobs need."""
_running: dict[str, subprocess.Popen[bytes]] = {}
"""On a worker: the processes of its batches, by their ids."""


class DaskOptions(Options):
    """Options of the executor."""

    scheduler: str | None = Field(
        None, description="address of a scheduler, tcp://host:8786; workers on this machine by default"
    )
    resources: str | None = Field(
        None, description="what a job needs of a worker's own resources, such as GPU=1; several with +"
    )


class DaskExecutor(Executor):
    """Runs each batch of jobs as a process on a Dask worker.

    Raises:
        PluginError: when the package is not there.
        ConfigError: when no scheduler answers.
    """

    def __init__(self, options: DaskOptions, resources: Resources) -> None:
        if find_spec("distributed") is None:
            raise PluginError("--executor dask needs the package distributed: pip install 'mribench[dask]'")
        self._resources = resources
        self._wanted = _read_resources(options.resources)
        self._scheduler = options.scheduler
        self._cluster, self._client = _connect(options.scheduler, resources)
        self._futures: dict[str, Any] = {}
        self._keys: dict[str, frozenset[str]] = {}
        self._workers = 1
        self._counted_s = -_COUNTED_EVERY_S

    @property
    def capacity(self) -> int:
        """As many processes as the workers have threads."""
        if time.monotonic() - self._counted_s > _COUNTED_EVERY_S and self._client.status == "running":
            self._counted_s = time.monotonic()
            with _scheduler_may_be_lost("the number of workers stays what it was"):
                self._workers = max(1, sum(self._client.nthreads().values()))
        return self._workers

    @property
    def startup_s(self) -> float:
        """Each process imports everything anew."""
        return _STARTUP_S

    def submit(self, batch: Batch) -> None:
        """Hand the batch to a worker.

        Raises:
            ConfigError: when the scheduler went away, and none has answered for some minutes.
        """
        self._reach_scheduler()
        command = WorkerCommand.of(batch, self._resources, until_eof=True)
        own = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
        self._keys[batch.id] = frozenset(batch.folders)
        self._futures[batch.id] = self._client.submit(
            run_batch,
            batch.id,
            command.words[1:],
            {**own, **command.environment},
            str(Path.cwd()),
            key=f"mribench-{next(iter(batch.folders))}-{batch.id}",
            pure=False,
            retries=0,
            resources=self._wanted,
        )

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the batches whose tasks have ended."""
        from distributed import CancelledError, wait

        if self._futures:
            try:
                wait(list(self._futures.values()), timeout=timeout_s, return_when="FIRST_COMPLETED")
            except TimeoutError:
                return
            except CancelledError as error:  # its tasks went with the scheduler: each is judged below
                logger.warning("the Dask scheduler was lost: %s", error.__class__.__name__)
        for name, future in list(self._futures.items()):
            if future.done():
                del self._futures[name], self._keys[name]
                yield _judge(name, future)

    def kill(self, key: str) -> None:
        """Kill a job's process, wherever it runs."""
        names = [name for name, keys in self._keys.items() if key in keys]
        self._end_batches(names, kill=True)

    def close(self) -> None:
        """Ask what still runs to stop, wait for it, and leave the workers to whoever owns them."""
        names = list(self._futures)
        if names and self._client.status == "running":
            with _scheduler_may_be_lost("its jobs stop when their workers do"):
                self._client.cancel(list(self._futures.values()))  # those that wait for a worker
            self._end_batches(names, kill=False)
        self._futures.clear()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _end_batches(self, names: Collection[str], kill: bool) -> None:
        with _scheduler_may_be_lost("its jobs stop when their workers do"):
            self._client.run(end_batches, names, kill=kill, on_error="ignore")

    def _reach_scheduler(self) -> None:
        """Make another client where this one has given up: whoever owns a scheduler starts it again."""
        if self._client.status != "closed":
            return
        logger.warning("the Dask scheduler does not answer: it is waited for")
        end_s = time.monotonic() + _RESTART_S
        while True:
            try:
                self._cluster, self._client = _connect(self._scheduler, self._resources)
            except ConfigError:
                if time.monotonic() > end_s:
                    raise
            else:
                return


@contextlib.contextmanager
def _scheduler_may_be_lost(what: str) -> Iterator[None]:
    """Go on where a scheduler does not answer, and say what that means."""
    try:
        yield
    except OSError as error:
        logger.warning("the Dask scheduler does not answer, %s: %s", what, error)


def run_batch(name: str, words: Collection[str], environment: Mapping[str, str], folder: str) -> int:
    """Run the jobs of a batch on a worker, in a process of their own; return its exit code.

    The process has a pipe from the worker as its input, which closes when the worker dies.
    """
    process = subprocess.Popen(  # noqa: S603 - mribench's own module
        [sys.executable, *words],
        env={**os.environ, **environment},
        cwd=folder,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    _running[name] = process
    try:
        return process.wait()
    finally:
        del _running[name]
        if process.stdin is not None:
            process.stdin.close()


def end_batches(names: Collection[str], kill: bool = False) -> None:
    """End the processes of some batches on this worker, and wait for them a while.

    Args:
        names: ids of the batches; those that are elsewhere do not matter.
        kill: at once, without a checkpoint.
    """
    processes = [process for name, process in list(_running.items()) if name in names]
    for process in processes:
        if kill:
            process.kill()
        else:
            process.terminate()
    until_s = time.monotonic() + _PATIENCE_S
    while any(process.poll() is None for process in processes) and time.monotonic() < until_s:
        time.sleep(0.1)
    for process in processes:
        process.kill()  # does nothing where it has ended


def _connect(scheduler: str | None, resources: Resources) -> tuple[Any, Any]:
    """Return a cluster of our own, None where it is somebody else's, and a client of it."""
    from distributed import Client, LocalCluster

    if scheduler is None:
        cluster = LocalCluster(
            n_workers=resources.jobs,
            threads_per_worker=1,
            memory_limit=0,  # jobs are processes of their own, which Dask does not count
            dashboard_address="127.0.0.1:0",
        )
        return cluster, Client(cluster)
    try:
        return None, Client(scheduler, timeout=_ANSWER_S)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--executor dask: no scheduler answers at {scheduler}: {' '.join(str(error).split())}",
            "start one with `dask scheduler`, or leave `scheduler` out for workers on this machine",
        ) from error


def _read_resources(text: str | None) -> dict[str, float] | None:
    """Return ``GPU=1+MEMORY=2`` as a mapping."""
    if text is None:
        return None
    wanted = {}
    for part in text.split("+"):
        name, _, amount = part.partition("=")
        try:
            wanted[name.strip()] = float(amount or "1")
        except ValueError:
            raise ConfigError(
                f"--executor dask: resources: expected NAME=NUMBER, got '{part}'", "such as GPU=1"
            ) from None
    return wanted


def _judge(name: str, future: Any) -> Completed:
    """Say what the end of a task means."""
    if future.status == "finished":
        return Completed.of_exit(name, future.result())
    if future.status == "error":
        error = future.exception()
        said = " ".join(str(error).split())
        return Completed(name, f"its Dask worker was lost: {type(error).__name__}: {said}")
    return Completed(name, "Dask lost its task: was the scheduler started again?")
