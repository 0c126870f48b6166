"""Who is working on a job. A lease outlives its holder by at most ``STALE_S``, and not at all on one host."""

from __future__ import annotations

import enum
import errno
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import psutil

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
        return cls(path, token) if _create(path, _content(token)) else None

    @staticmethod
    def state(directory: Path) -> LeaseState:
        """Return the state of a job's lease."""
        content = read_lease(directory)
        if content is None:
            return _state_of_unreadable(directory / _NAME)
        here = {"host": socket.gethostname(), "pid_namespace": _pid_namespace()}
        if all(content.get(name) == value for name, value in here.items()):
            return LeaseState.HELD if _alive(content) else LeaseState.STALE
        return LeaseState.HELD if time.time() - content["heartbeat"] < STALE_S else LeaseState.STALE

    def beat(self, progress: dict[str, Any]) -> None:
        """Renew the heartbeat; ``progress`` is shown to whoever watches."""
        if self.owned():
            draft = self._path.with_name(f".lease.{self._token[:8]}.beat")
            draft.write_text(json.dumps({**_content(self._token), **progress}))
            draft.replace(self._path)

    def owned(self) -> bool:
        """Whether the lease is still ours: false when we were taken for dead."""
        content = read_lease(self._path.parent)
        return content is not None and content["token"] == self._token

    def release(self) -> None:
        """Give the lease back."""
        if self.owned():
            self._path.unlink(missing_ok=True)


def read_lease(directory: Path) -> dict[str, Any] | None:
    """Return the content of a job's lease; None where there is none, or none that says whose it is."""
    path = directory / _NAME
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    whole = isinstance(content, dict) and content.keys() >= _FIELDS
    return content if whole else None


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Write a lease where there is none; whether it was written."""
    draft = path.with_name(f".lease.{uuid.uuid4().hex[:8]}.tmp")
    draft.write_text(json.dumps(content))
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


_FIELDS = {"token", "host", "pid", "started", "heartbeat"}


def _content(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_namespace": _pid_namespace(),
        "started": psutil.Process().create_time(),
        "heartbeat": time.time(),
    }


def _alive(content: dict[str, Any]) -> bool:
    """Whether the process of a lease of this host lives; a reused pid has another start time."""
    try:
        process = psutil.Process(content["pid"])
        return (
            abs(process.create_time() - content["started"]) < 2 and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
