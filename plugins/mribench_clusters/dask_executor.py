"""Dask: each job is a task that starts a process on one of the workers, and returns its exit code alone.

mribench keeps the order, the state and the results; Dask hands jobs to machines. So nothing is lost with a
worker that holds a result, or with the scheduler.
"""

from __future__ import annotations

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
from mribench.interfaces import Completed, Executor, Options, Resources, WorkerCommand

_PATIENCE_S = 30.0
"""How long a job may take to stop at the end of a run, and a scheduler to answer."""
_COUNTED_EVERY_S = 5.0
_PREFIX = "MRIBENCH_"
"""Environment variables that go along to the workers: where the cache lies, and the like."""
_running: dict[str, subprocess.Popen[bytes]] = {}
"""On a worker: the processes of its jobs, by key."""


class DaskOptions(Options):
    """Options of the executor."""

    scheduler: str | None = Field(
        None, description="address of a scheduler, tcp://host:8786; workers on this machine by default"
    )
    resources: str | None = Field(
        None, description="what a job needs of a worker's own resources, such as GPU=1; several with +"
    )


class DaskExecutor(Executor):
    """Runs each job as a process on a Dask worker.

    Raises:
        PluginError: when the package is not there.
        ConfigError: when no scheduler answers.
    """

    def __init__(self, options: DaskOptions, resources: Resources) -> None:
        if find_spec("distributed") is None:
            raise PluginError("--executor dask needs the package distributed: pip install 'mribench[dask]'")
        self._resources = resources
        self._wanted = _read_resources(options.resources)
        self._cluster, self._client = _connect(options.scheduler, resources)
        self._futures: dict[str, Any] = {}
        self._attempts = 0
        self._workers = 1
        self._counted_s = -_COUNTED_EVERY_S

    @property
    def capacity(self) -> int:
        """As many jobs as the workers have threads."""
        if time.monotonic() - self._counted_s > _COUNTED_EVERY_S:
            self._counted_s = time.monotonic()
            self._workers = max(1, sum(self._client.nthreads().values()))
        return self._workers

    def submit(self, key: str, directory: Path) -> None:
        """Hand the job to a worker."""
        self._attempts += 1
        command = WorkerCommand.of(directory.resolve(), self._resources, until_eof=True)
        own = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
        self._futures[key] = self._client.submit(
            run_job,
            key,
            command.words[1:],
            {**own, **command.environment},
            str(Path.cwd()),
            key=f"mribench-{key}-{self._attempts}",  # another attempt is another task
            pure=False,
            retries=0,
            resources=self._wanted,
        )

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        """Yield the jobs whose tasks have ended."""
        from distributed import wait

        if self._futures:
            try:
                wait(list(self._futures.values()), timeout=timeout_s, return_when="FIRST_COMPLETED")
            except TimeoutError:
                return
        for key, future in list(self._futures.items()):
            if future.done():
                del self._futures[key]
                yield _judge(key, future)

    def kill(self, key: str) -> None:
        """Kill a job's process, wherever it runs."""
        self._client.run(end_jobs, [key], kill=True, on_error="ignore")

    def close(self) -> None:
        """Ask what still runs to stop, wait for it, and leave the workers to whoever owns them."""
        keys = list(self._futures)
        if keys and self._client.status == "running":
            self._client.cancel(list(self._futures.values()))  # those that wait for a worker
            self._client.run(end_jobs, keys, on_error="ignore")
        self._futures.clear()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def run_job(key: str, words: Collection[str], environment: Mapping[str, str], folder: str) -> int:
    """Run one job on a worker, in a process of its own; return its exit code.

    The process has a pipe from the worker as its input, which closes when the worker dies.
    """
    process = subprocess.Popen(  # noqa: S603 - mribench's own module
        [sys.executable, *words],
        env={**os.environ, **environment},
        cwd=folder,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    _running[key] = process
    try:
        return process.wait()
    finally:
        del _running[key]
        if process.stdin is not None:
            process.stdin.close()


def end_jobs(keys: Collection[str], kill: bool = False) -> None:
    """End the processes of some jobs on this worker, and wait for them a while.

    Args:
        keys: of the jobs; those that are elsewhere do not matter.
        kill: at once, without a checkpoint.
    """
    processes = [process for key, process in list(_running.items()) if key in keys]
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
        return None, Client(scheduler, timeout=_PATIENCE_S)
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


def _judge(key: str, future: Any) -> Completed:
    """Say what the end of a task means."""
    if future.status == "finished":
        return Completed.of_exit(key, future.result())
    if future.status == "error":
        error = future.exception()
        said = " ".join(str(error).split())
        return Completed(key, f"its Dask worker was lost: {type(error).__name__}: {said}")
    return Completed(key, "Dask lost its task: was the scheduler started again?")
