"""Processes that jobs and preparations run in: how they start, and with which environment."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any


def process_context() -> BaseContext:
    """Return how processes start: forked from a server that has imported torch and the plugins already.

    Where there is no such server (Windows) each process starts anew.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mribench.execute.warm"])
    return context


def start_process(target: Callable[..., object], *arguments: Any, name: str | None = None) -> BaseProcess:
    """Start a process that calls ``target(*arguments)`` with this process's environment of now.

    A fork server keeps the environment that it was started with, by whichever run of this process came
    first: without handing it over, a later run's jobs would look into that one's cache.
    """
    context: Any = process_context()
    process: BaseProcess = context.Process(
        target=_call, args=(dict(os.environ), target, arguments), name=name
    )
    process.start()
    return process


def take_environment(environment: Mapping[str, str]) -> None:
    """Replace the environment of this process."""
    os.environ.clear()
    os.environ.update(environment)


def _call(environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    take_environment(environment)
    target(*arguments)
