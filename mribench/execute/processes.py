"""Processes that jobs and preparations run in: how they start, with which environment and memory."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import forkserver, resource_tracker
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
    resource_tracker.ensure_running()  # which sets the mask anew; the server asks for it too
    with _deaf_to_interrupts():
        forkserver.ensure_running()
    return context


ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes in here that do not hear signals that end a command until they ask for it.

    A terminal, or a queueing system, sends them to all processes of a command. The server would be
    interrupted while it imports what jobs need; it ends with whoever started it in any case.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_PAUSES_S = (0.1, 0.5, 2.0)


class ServerLostError(Exception):
    """The server that processes are forked from died while it was asked for one."""


def start_process(target: Callable[..., object], *arguments: Any, name: str | None = None) -> BaseProcess:
    """Start a process that calls ``target(*arguments)`` with this process's environment of now.

    A fork server keeps the environment that it was started with, by whichever run of this process came
    first: without handing it over, a later run's jobs would look into that one's cache.

    Raises:
        ServerLostError: when the server that processes are forked from died, several times in a row.
    """
    for pause_s in _PAUSES_S:
        context: Any = process_context()  # starts a new server where the old one died
        process: BaseProcess = context.Process(
            target=_call, args=(dict(os.environ), target, arguments), name=name
        )
        try:
            process.start()
        except (EOFError, ConnectionError, BrokenPipeError) as error:
            lost = error
            time.sleep(pause_s)
        else:
            return process
    raise ServerLostError from lost


def take_environment(environment: Mapping[str, str]) -> None:
    """Replace the environment of this process."""
    os.environ.clear()
    os.environ.update(environment)


def begin(environment: Mapping[str, str]) -> None:
    """Make a process that a server started one of this run: its environment, and it hears signals."""
    take_environment(environment)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _call(environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    begin(environment)
    target(*arguments)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of ``mallopt`` in the C library of GNU (malloc.h)."""
_FROM_SYSTEM_BYTES = 2**25
_KEPT_BYTES = 2**29


def keep_freed_memory() -> bool:
    """Let the process keep up to 512 MiB that it has freed, and take all but the largest tensors from there.

    The C library of GNU gives large blocks back at once, and the system clears them anew when they are asked
    for again: thousands of page faults for every pair of views, a fifth of its time. Elsewhere than on Linux
    with that library nothing is changed.

    Returns:
        whether the settings were taken.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    taken = mallopt(_MMAP_THRESHOLD, _FROM_SYSTEM_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    return bool(taken)
