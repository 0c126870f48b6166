"""Signals that end a run in order: what is done is kept, and what runs is asked to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from mribench.commands.garbage import without_collections

_ENDING = ("SIGTERM", "SIGHUP")
"""Sent by queueing systems and service managers, and when a terminal is closed; Windows has no SIGHUP."""


class EndedBySignalError(BaseException):
    """Raised where the process is when it is asked to end; no ``Exception``, so that nothing swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import modules in here, where nothing has begun: a Ctrl-C ends the process, no garbage is collected.

    Code of other packages may take the exception for a missing module, or lose it.
    """
    with without_collections(), _leave_at_once():
        yield


@contextlib.contextmanager
def _leave_at_once() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    os.write(2, b"\nstopped; nothing was begun\n")
    os._exit(128 + number)


@contextlib.contextmanager
def end_on_signals() -> Iterator[None]:
    """Raise ``EndedBySignalError`` in here for a signal that asks the process to end.

    One that is ignored stays so: ``nohup`` wants a run to outlive its terminal.
    """
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    del frame
    raise EndedBySignalError(number)
