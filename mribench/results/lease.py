"""Who is working on a job. A lease outlives its holder by at most ``STALE_S``, and not at all on one host.

The lease is ``lease.json`` in the job's folder. Who finds that its holder died becomes its heir by making
``.lease.<token>.heir``, which only one process can. An heir may die too, and has an heir then: the last of
this line is who has the job. The heir deletes the private folders of all before it, which nobody of them can
make again, and only then puts its own lease in the place of theirs. From the moment that it has deleted them
nobody but its own heir can change the lease, so what it sees then is what it replaces.
"""

from __future__ import annotations

import enum
import errno
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mribench.results.atomic import write_synced
from mribench.results.attempt import Attempt, LeaseLost
from mribench.results.holder import Holder

STALE_S = 120.0
"""A heartbeat older than this, from another host, means that its holder died."""
HEARTBEAT_S = 2.0
LEASE = "lease.json"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What ``link`` fails with where the file system has none: exFAT, some CIFS, BeeGFS and FUSE mounts."""
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
"""What a file system says that takes no file now."""
_GONE = (FileNotFoundError, NotADirectoryError)


class LeaseState(enum.Enum):
    """Whether a job is free, worked on, or left behind by a process that died."""

    FREE = "free"
    HELD = "held"
    STALE = "stale"


@dataclass(frozen=True)
class _Claim:
    """A lease, or what an heir wrote.

    Attributes:
        path: of the file.
        token: of its holder; of the file itself where it says nothing.
        holder: None where the file says nothing: it is being made, or the power was lost.
    """

    path: Path
    token: str
    holder: Holder | None

    @property
    def heir(self) -> Path:
        """File of who takes the job over from this one."""
        return self.path.with_name(f".lease.{self.token}.heir")

    def state(self) -> LeaseState:
        """Judge it: by its process where that can be looked at, else by its age."""
        if self.holder is not None and self.holder.is_neighbour():
            return LeaseState.HELD if self.holder.is_alive() else LeaseState.STALE
        try:
            age_s = measure_age_s(self.path)
        except _GONE:  # renewed or given back at this moment
            return LeaseState.HELD
        return LeaseState.HELD if age_s < STALE_S else LeaseState.STALE


class Lease:
    """The right to run one job.

    Attributes:
        attempt: the private folder of whoever holds it; nothing reaches the job's folder but from there.
    """

    def __init__(self, directory: Path, token: str) -> None:
        self.attempt = Attempt(directory, token)
        self._path = directory / LEASE
        self._token = token

    @classmethod
    def acquire(cls, directory: Path) -> Lease | None:
        """Take the lease of a job's folder, or return None where another process holds it."""
        if cls.state(directory) is LeaseState.HELD:
            return None
        lease = cls(directory, uuid.uuid4().hex)
        lease.attempt.begin()
        taken = False
        try:
            taken = lease._take()
        finally:
            if not taken:
                lease.attempt.discard()
        if not taken:
            return None
        lease.attempt.discard_others()
        return lease

    @staticmethod
    def state(directory: Path) -> LeaseState:
        """Return the state of a job's lease."""
        line = _read_line(directory)
        return line[-1].state() if line else LeaseState.FREE

    def beat(self, done: int = 0, total: int | None = None, rate: float | None = None) -> None:
        """Renew the heartbeat, with the steps done, those in all and those a second, for whoever watches.

        Where there is no room for that, the time of the lease is set, which needs none.

        Raises:
            OSError: when it cannot be written.
        """
        if not self.owned():
            return
        try:
            self._draft(done, total, rate).replace(self._path)
        except _GONE:  # taken over in between
            return
        except OSError:
            os.utime(self._path)
            raise

    def owned(self) -> bool:
        """Whether the lease is still ours: false when we were taken for dead.

        Raises:
            OSError: when it cannot be read, which says nothing about whose it is.
        """
        try:
            holder = Holder.model_validate_json(self._path.read_bytes())
        except (*_GONE, ValidationError):
            return False
        return holder.token == self._token and self.attempt.folder.is_dir()

    def release(self) -> None:
        """Give the lease back."""
        try:
            if self.owned():
                self.attempt.withdraw(LEASE)
        except LeaseLost:
            return
        self.attempt.discard()

    def _take(self) -> bool:
        line = _read_line(self.attempt.directory)
        if not line:
            return self._create(self._path)
        if line[-1].state() is LeaseState.HELD or not self._create(line[-1].heir):
            return False
        for claim in line:
            Attempt(self.attempt.directory, claim.token).discard()
        now = _read_line(self.attempt.directory)
        leads_here = bool(now) and now[-1].token == self._token
        valid = {claim.token for claim in now}
        if leads_here:
            try:
                self._draft().replace(self._path)
            except _GONE:  # frozen here for so long that somebody took over
                return False
            valid.clear()
        for claim in line:
            if claim.token not in valid:  # it can never come again
                claim.heir.unlink(missing_ok=True)
        return leads_here

    def _draft(self, done: int = 0, total: int | None = None, rate: float | None = None) -> Path:
        path = self.attempt.folder / LEASE
        path.write_text(Holder.here(self._token, done, total, rate).model_dump_json())
        return path

    def _create(self, path: Path) -> bool:
        """Write a lease where there is none; whether it was written."""
        content = Holder.here(self._token).model_dump_json()
        draft = self.attempt.folder / LEASE
        try:
            write_synced(draft, lambda new: new.write_text(content))
            os.link(draft, path)  # fails when the lease is there: link is atomic, over NFS too
        except FileExistsError:
            return False
        except FileNotFoundError:  # who holds the job has deleted the folder of whoever wants it
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _create_without_link(path, draft)
        draft.unlink(missing_ok=True)  # it is the same file: the next one must not be written into it
        return True


def read_lease(directory: Path) -> Holder | None:
    """Return who holds a job; None where nobody does, or the lease does not say who."""
    line = _read_line(directory)
    return line[-1].holder if line else None


def find_heartbeat_age_s(directory: Path) -> float | None:
    """Return the seconds since who holds a job was last heard of; None where nobody holds it."""
    line = _read_line(directory)
    try:
        return measure_age_s(line[-1].path) if line else None
    except _GONE:
        return None


def measure_age_s(path: Path) -> float:
    """Return the age of a file by the clock of whoever keeps it, which no clock of a host bears on.

    A file is written beside it, and the two times are compared. Where nothing can be written, this host's
    clock must do.

    Raises:
        OSError: when there is no such file, or its file system fails.
    """
    probe = path.with_name(f".lease.{uuid.uuid4().hex}.now")
    try:
        try:
            probe.touch()
            now_s = probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        now_s = time.time()
    return now_s - path.stat().st_mtime


def _read_line(directory: Path) -> list[_Claim]:
    """Return the lease, its heir, the heir's heir, to the last; nothing where the job is free."""
    line: list[_Claim] = []
    claim = _read(directory / LEASE)
    while claim is not None:
        line.append(claim)
        claim = _read(claim.heir)
    return line


def _read(path: Path) -> _Claim | None:
    try:
        holder = Holder.model_validate_json(path.read_bytes())
    except _GONE:
        return None
    except (ValidationError, OSError):  # half written, of an older mribench, or not to be read
        return _read_nameless(path)
    return _Claim(path, holder.token, holder)


def _read_nameless(path: Path) -> _Claim | None:
    """Return a claim that says nothing; it goes by the file's own identity."""
    try:
        status = path.stat()
    except _GONE:
        return None
    return _Claim(path, f"{status.st_ino:x}-{status.st_mtime_ns:x}", None)


def _create_without_link(path: Path, draft: Path) -> bool:
    """As ``_create``: an empty file is made exclusively, then replaced by the lease.

    In between the lease is there and says nothing, which others take for held.
    """
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    try:
        draft.replace(path)
    except _GONE:  # who holds the job has deleted the folder of whoever wants it
        path.unlink(missing_ok=True)
        return False
    return True
