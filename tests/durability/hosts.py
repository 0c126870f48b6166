"""Processes that are hosts of their own: other processes, another name, a clock that is off, one kernel.

Each is in PID, UTS, mount and time namespaces of its own, which needs root. No namespace has a time of day of
its own, so that Python's functions for it are replaced; the file system's clock is the kernel's, as a file
server's would be.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from durability_lab import Command, fork

_NEW_TIME, _NEW_MOUNTS, _NEW_NAMES, _NEW_PROCESSES = 0x80, 0x20000, 0x4000000, 0x20000000
"""Of ``linux/sched.h``."""


def start_host(
    output: Path, name: str, skew_s: float, target: Callable[..., object], *arguments: object
) -> Command:
    """Call a function on a host of its own.

    Args:
        output: where it writes to.
        name: of the host.
        skew_s: how far its clock is ahead.
        target: is called there; the exit code of the host is what it returns.
        arguments: of it.
    """
    return fork(output, _be_host, name, skew_s, target, arguments)


def kill_host(command: Command) -> None:
    """Kill all of a host at once: the end of its first process is that of all others."""
    for process in psutil.Process(command.process.pid).children():
        process.kill()
    command.process.join()


def _be_host(name: str, skew_s: float, target: Callable[..., object], arguments: tuple[object, ...]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_TIME | _NEW_MOUNTS | _NEW_NAMES | _NEW_PROCESSES):
        raise OSError(ctypes.get_errno(), "no namespaces can be made here")
    Path("/proc/self/timens_offsets").write_text(f"boottime {abs(int(skew_s)) * 100} 0\n")
    first = os.fork()
    if first:
        _, status = os.waitpid(first, 0)
        os._exit(0 if status == 0 else 1)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    socket.sethostname(name)
    _skew(skew_s)
    os._exit(int(target(*arguments) or 0))


def _skew(skew_s: float) -> None:
    """Have this process believe that it is later."""
    own_time, delta = time.time, datetime.timedelta(seconds=skew_s)

    class Skewed(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(own_time(), tz) + delta

    time.time = lambda: own_time() + skew_s
    datetime.datetime = Skewed  # type: ignore[misc]
