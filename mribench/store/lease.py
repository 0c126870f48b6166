"""Who is working on a job. A lease outlives its holder by at most ``STALE_S``, and not at all on one host."""

from __future__ import annotations

import enum
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import psutil

from mribench.errors import StoreError

STALE_S = 120.0
"""A heartbeat older than this, from another host, means that its holder died."""
HEARTBEAT_S = 2.0


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
        path = directory / "lease.json"
        if cls.state(directory) is LeaseState.STALE:
            # One of several processes that see the stale lease moves it away; the others find it gone.
            grave = path.with_name(f".lease.{uuid.uuid4().hex[:8]}.stale")
            try:
                path.rename(grave)
            except FileNotFoundError:
                return None
            grave.unlink()
        token = uuid.uuid4().hex
        draft = path.with_name(f".lease.{token[:8]}.tmp")
        draft.write_text(json.dumps(_content(token)))
        try:
            os.link(draft, path)  # fails when the lease is there: link is atomic, over NFS too
        except FileExistsError:
            return None
        finally:
            draft.unlink()
        return cls(path, token)

    @staticmethod
    def state(directory: Path) -> LeaseState:
        """Return the state of a job's lease."""
        content = read_lease(directory)
        if content is None:
            return LeaseState.FREE
        if content["host"] == socket.gethostname():
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
    """Return the content of a job's lease, or None where there is none.

    Raises:
        StoreError: when there is one that nobody can have written whole (a crash of the machine).
    """
    path = directory / "lease.json"
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content.keys() >= _FIELDS:
        raise StoreError(f"{path} is damaged", "delete it, unless another process works on that job")
    return content


_FIELDS = {"token", "host", "pid", "started", "heartbeat"}


def _content(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
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
