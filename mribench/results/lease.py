"""Who is working on a job. A lease outlives its holder by at most ``STALE_S``, and not at all on one host."""

from __future__ import annotations

import enum
import errno
import os
import socket
import time
import uuid
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

STALE_S = 120.0
"""A heartbeat older than this, from another host, means that its holder died."""
HEARTBEAT_S = 2.0
_NAME = "lease.json"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What ``link`` fails with where the file system has none: exFAT, some CIFS, BeeGFS and FUSE mounts."""


class LeaseState(enum.Enum):
    """Whether a job is free, worked on, or left behind by a process that died."""

    FREE = "free"
    HELD = "held"
    STALE = "stale"


class Holder(BaseModel):
    """Who holds a lease, since when, and how far the job is.

    Attributes:
        token: of this one lease.
        host: name of the holder's host.
        pid: of its process.
        pid_namespace: that the pid is of.
        started: when its process started, in seconds since the epoch.
        heartbeat: when it was last heard of, in seconds since the epoch.
        done: steps of the job that are done.
        total: steps in all; None while it has not said so.
        rate: steps a second of this attempt; None while there are none.
    """

    model_config = ConfigDict(frozen=True)

    token: str
    host: str
    pid: int
    pid_namespace: str = ""
    started: float
    heartbeat: float
    done: int = 0
    total: int | None = None
    rate: float | None = None

    @classmethod
    def here(cls, token: str, done: int = 0, total: int | None = None, rate: float | None = None) -> Holder:
        """Return this process as a holder, as of now."""
        return cls(
            token=token,
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_namespace=_pid_namespace(),
            started=psutil.Process().create_time(),
            heartbeat=time.time(),
            done=done,
            total=total,
            rate=rate,
        )

    def is_neighbour(self) -> bool:
        """Whether it runs where this process can look at it."""
        return self.host == socket.gethostname() and self.pid_namespace == _pid_namespace()

    def is_alive(self) -> bool:
        """Whether its process, which is a neighbour, lives; a reused pid has another start time."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class Lease:
    """The right to run one job, held as ``lease.json`` in its folder."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._token = token

    @classmethod
    def acquire(cls, directory: Path) -> Lease | None:
        """Take the lease of a job's folder, or return None where another process holds it."""
        path = directory / _NAME
        if cls.state(directory) is LeaseState.STALE:
            # One of several processes that see the stale lease moves it away; the others find it gone.
            grave = path.with_name(f".lease.{uuid.uuid4().hex[:8]}.stale")
            try:
                path.rename(grave)
            except FileNotFoundError:
                return None
            grave.unlink()
        token = uuid.uuid4().hex
        return cls(path, token) if _create(path, Holder.here(token)) else None

    @staticmethod
    def state(directory: Path) -> LeaseState:
        """Return the state of a job's lease."""
        holder = read_lease(directory)
        if holder is None:
            return _state_of_unreadable(directory / _NAME)
        if holder.is_neighbour():
            return LeaseState.HELD if holder.is_alive() else LeaseState.STALE
        return LeaseState.HELD if time.time() - holder.heartbeat < STALE_S else LeaseState.STALE

    def beat(self, done: int = 0, total: int | None = None, rate: float | None = None) -> None:
        """Renew the heartbeat, with the steps done, those in all and those a second, for whoever watches."""
        if self.owned():
            draft = self._path.with_name(f".lease.{self._token[:8]}.beat")
            draft.write_text(Holder.here(self._token, done, total, rate).model_dump_json())
            draft.replace(self._path)

    def owned(self) -> bool:
        """Whether the lease is still ours: false when we were taken for dead."""
        holder = read_lease(self._path.parent)
        return holder is not None and holder.token == self._token

    def release(self) -> None:
        """Give the lease back."""
        if self.owned():
            self._path.unlink(missing_ok=True)


def read_lease(directory: Path) -> Holder | None:
    """Return who holds a job; None where nobody does, or the lease does not say who."""
    try:
        return Holder.model_validate_json((directory / _NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def _create(path: Path, holder: Holder) -> bool:
    """Write a lease where there is none; whether it was written."""
    draft = path.with_name(f".lease.{uuid.uuid4().hex[:8]}.tmp")
    draft.write_text(holder.model_dump_json())
    try:
        os.link(draft, path)  # fails when the lease is there: link is atomic, over NFS too
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_without_link(path, draft)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _create_without_link(path: Path, draft: Path) -> bool:
    """As ``_create``: an empty file is made exclusively, then replaced by the lease.

    In between the lease is there and says nothing, which others take for held.
    """
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    draft.replace(path)
    return True


def _state_of_unreadable(path: Path) -> LeaseState:
    """Judge a lease that says nothing by its file's age.

    It is being made at this moment, or was left behind by a crash of the machine.
    """
    try:
        age_s = time.time() - path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return LeaseState.FREE
    return LeaseState.HELD if age_s < STALE_S else LeaseState.STALE


def _pid_namespace() -> str:
    """Return which processes a pid speaks of: containers of one host name may each count from 1."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path: its target is a name
    except OSError:  # not on Linux
        return ""
