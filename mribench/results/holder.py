"""Which process holds something, told apart from every other process without a look at a clock."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE, _START = 0, 19
"""Fields of ``/proc/<pid>/stat`` after the name of the program; see proc(5)."""
_DEAD = ("Z", "X", "x")


class Holder(BaseModel):
    """Who holds a lease, and how far the job is.

    Attributes:
        token: of this one lease.
        host: name of the holder's host, for people.
        boot: one start of the kernel that the process runs on; of the host where a system has no such thing.
        pid: of its process.
        pid_namespace: that the pid is of.
        start: when its process started: clock ticks since that start of the kernel; seconds since the epoch
            where a system has no such thing.
        done: steps of the job that are done.
        total: steps in all; None while it has not said so.
        rate: steps a second of this attempt; None while there are none.
    """

    model_config = ConfigDict(frozen=True)

    token: str
    host: str
    boot: str
    pid: int
    pid_namespace: str = ""
    start: float
    done: int = 0
    total: int | None = None
    rate: float | None = None

    @classmethod
    def here(cls, token: str, done: int = 0, total: int | None = None, rate: float | None = None) -> Holder:
        """Return this process as a holder."""
        pid = os.getpid()
        return cls(
            token=token,
            host=socket.gethostname(),
            boot=find_boot(),
            pid=pid,
            pid_namespace=find_pid_namespace(),
            start=_find_start(pid) or 0.0,
            done=done,
            total=total,
            rate=rate,
        )

    def is_neighbour(self) -> bool:
        """Whether it runs where this process can look at it."""
        here = self.boot == find_boot() and self.pid_namespace == find_pid_namespace()
        return here and not _is_hidden(self.pid)

    def is_alive(self) -> bool:
        """Whether its process, which is a neighbour, lives; a reused pid has another start."""
        return _find_start(self.pid) == self.start


@functools.cache
def find_boot() -> str:
    """Return what names this start of the kernel, the same in all of its containers."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not on Linux
        return socket.gethostname()


def find_pid_namespace() -> str:
    """Return which processes a pid speaks of: containers of one host may each count from 1."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path: its target is a name
    except OSError:  # not on Linux
        return ""


def _find_start(pid: int) -> float | None:
    """Return when a process started; None where there is none, or what is left of one that ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None if _BOOT_ID.exists() else _ask_system(pid)
    fields = text[text.rindex(")") + 1 :].split()  # the name may have spaces and brackets in it
    return None if fields[_STATE] in _DEAD else float(fields[_START])


def _is_hidden(pid: int) -> bool:
    """Whether there is a process that only its owner may see, as many clusters mount ``/proc``."""
    if Path(f"/proc/{pid}").exists() or os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return False


def _ask_system(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
