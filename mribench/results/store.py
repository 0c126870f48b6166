"""One benchmark's results on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mribench.errors import StoreError
from mribench.interfaces.executor import Cause
from mribench.results.lease import Lease, LeaseLost, LeaseState
from mribench.results.marker import check_marker, mend_marker
from mribench.results.sound import find_damage, find_small_damage, find_unreadable
from mribench.results.status import DIED, JobStatus, read_status, write_status
from mribench.volumes.cache import sync_folder

CHECKPOINT = "checkpoint.safetensors"
"""What a job that was stopped goes on from, in its folder."""
_DIED = JobStatus("interrupted", DIED, cause=Cause.INFRASTRUCTURE)


class Store:
    """``<results>/<benchmark>/``: ``jobs/<key>/``, ``plans/``, ``report/``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Check that what is there, if anything, is ours; writes nothing.

        Raises:
            StoreError: when it is no folder of results, or of another schema version.
        """
        for folder in (self.root, self.root / "jobs"):
            if folder.exists() and not folder.is_dir():
                raise StoreError(f"{folder} is a file, expected a folder", "choose another --results")
        check_marker(self.root)

    def open(self) -> None:
        """Make the directory, or check that it is ours.

        Raises:
            StoreError: when it cannot be written, or has another schema version.
        """
        self.check()
        try:
            (self.root / "jobs").mkdir(parents=True, exist_ok=True)
            (self.root / "plans").mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the results directory {self.root}: {error.strerror}",
                "check the permissions, or choose another place with --results",
            ) from error
        if not os.access(self.root / "jobs", os.W_OK):
            raise StoreError(
                f"cannot write to {self.root / 'jobs'}", "check the permissions, or use --results"
            )
        mend_marker(self.root)

    def directory(self, key: str) -> Path:
        """Return the folder of a job."""
        return self.root / "jobs" / key

    def make_directory(self, key: str) -> Path:
        """Make the folder of a job; return it."""
        directory = self.directory(key)
        if not directory.is_dir():
            directory.mkdir(exist_ok=True)
            sync_folder(directory.parent)
        return directory

    def status(self, key: str) -> JobStatus:
        """Return what is known of a job.

        One whose process died is ``interrupted``. One whose status cannot be read, or that lacks a file or
        has one of another size, is ``damaged``: it alone has to be run again.
        """
        directory = self.directory(key)
        status = read_status(directory)
        if status is None:
            lease = Lease.state(directory)
            if lease is LeaseState.FREE:
                return JobStatus("todo")
            # without a status it died before it could say anything at all
            return JobStatus("running") if lease is LeaseState.HELD else _DIED
        if status.state in ("running", "damaged"):
            held = Lease.state(directory) is LeaseState.HELD
            return JobStatus("running") if held else _without_holder(status)
        if status.state == "done" and (damage := find_damage(directory, status.files)):
            return JobStatus("damaged", damage)
        return status

    def inspect(self, key: str) -> JobStatus:
        """Return what is known of a job, as ``status``; small files of a done one are compared by content.

        Large ones are compared by whoever loads them.
        """
        status = self.status(key)
        if status.state != "done":
            return status
        directory = self.directory(key)
        damage = find_small_damage(directory, status.files) if status.files else find_unreadable(directory)
        return JobStatus("damaged", damage) if damage else status

    def find_checkpoint_ns(self, key: str) -> int | None:
        """Return when the checkpoint of a job was written, in ns of the file system's clock; None without."""
        path = self.directory(key) / CHECKPOINT
        return path.stat().st_mtime_ns if path.exists() else None

    def condemn(self, key: str, reason: str) -> bool:
        """Note that the files of a done job are damaged, so that it is run again; whether that was noted.

        Another process may have it in its hands by now, which is as good.
        """
        return self._note(key, JobStatus("damaged", reason), lambda _: True)

    def note_failure(self, key: str, status: JobStatus) -> bool:
        """Note how a job ended whose process died, unless it is done or held; whether that was noted."""
        return self._note(key, status, lambda known: known.state != "done")

    def _note(self, key: str, status: JobStatus, may: Callable[[JobStatus], bool]) -> bool:
        """Write the status of a job while its lease is held."""
        directory = self.directory(key)
        lease = Lease.acquire(directory)
        if lease is None:
            return False
        try:
            if not may(read_status(directory) or JobStatus("todo")):
                return False
            write_status(directory, status, lease.attempt.replace)
        except LeaseLost:
            return False
        finally:
            lease.release()
        return True

    def is_done(self, key: str) -> bool:
        """Whether a job's results are there."""
        return self.status(key).state == "done"

    def plan_path(self, digest: str) -> Path:
        """Return the file of the manifest of a plan, by the digest of its settings."""
        return self.root / "plans" / f"{digest}.json"


def _without_holder(status: JobStatus) -> JobStatus:
    return _DIED if status.state == "running" else status
