"""One benchmark's results on disk."""

from __future__ import annotations

import datetime
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from mribench.errors import StoreError
from mribench.interfaces.executor import Cause
from mribench.results.atomic import read_json, write_json
from mribench.results.lease import Lease, LeaseState
from mribench.wording import with_hint

SCHEMA = 6
"""Version of the layout on disk. Results of another version are refused, never guessed at."""

DIED = "its process died"
"""Why a job is interrupted that could not say so itself."""

CHECKPOINT = "checkpoint.safetensors"
"""What a job that was stopped goes on from, in its folder."""

State = Literal["todo", "running", "done", "failed", "interrupted"]


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: of the job.
        reason: why it failed or was interrupted, for people.
        traceback: of the error.
        cause: what kind of reason that is; None of a job that is done, or was left by an older mribench.
        hint: what to do about the reason.
        written: when that was written, in ISO 8601.
    """

    state: State
    reason: str = ""
    traceback: str = ""
    cause: Cause | None = None
    hint: str = ""
    written: str = field(default="", compare=False)

    @property
    def said(self) -> str:
        """Why it failed, with the hint, for people."""
        return with_hint(self.reason, self.hint)


_DEAD = JobStatus("interrupted", DIED, cause=Cause.INFRASTRUCTURE)


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
        marker = self.root / "store.json"
        if not marker.exists():
            return
        mend = f'write {{"schema": {SCHEMA}}} into it; nothing else is lost'
        content = read_json(marker, mend)
        if not isinstance(content, dict) or "schema" not in content:
            raise StoreError(f"{marker} is damaged", mend)
        if content["schema"] != SCHEMA:
            raise StoreError(
                f"{self.root} holds results of schema version {content['schema']}, this mribench reads and"
                f" writes {SCHEMA}",
                "use the mribench that wrote them, or choose another place with --results",
            )

    def open(self) -> None:
        """Make the directory, or check that it is ours.

        Raises:
            StoreError: when it cannot be written, or has another schema version.
        """
        marker = self.root / "store.json"
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
        if not marker.exists():
            write_json(marker, {"schema": SCHEMA})

    def directory(self, key: str) -> Path:
        """Return the folder of a job."""
        return self.root / "jobs" / key

    def make_directory(self, key: str) -> Path:
        """Make the folder of a job; return it."""
        directory = self.directory(key)
        directory.mkdir(exist_ok=True)
        return directory

    def status(self, key: str) -> JobStatus:
        """Return what is known of a job; one whose process died is ``interrupted``."""
        directory = self.directory(key)
        path = directory / "status.json"
        if not path.exists():
            lease = Lease.state(directory)
            if lease is LeaseState.FREE:
                return JobStatus("todo")
            # without a status it died before it could say anything at all
            return (
                JobStatus("running")
                if lease is LeaseState.HELD
                else JobStatus("interrupted", DIED, cause=Cause.INFRASTRUCTURE)
            )
        content = read_json(path)
        if not isinstance(content, dict) or content.get("state") not in get_args(State):
            raise StoreError(f"{path} is not the status of a job", "delete its folder and run again")
        said = {name: str(content.get(name, "")) for name in ("reason", "hint", "traceback", "written")}
        cause = content.get("cause")
        status = JobStatus(content["state"], **said, cause=Cause(cause) if cause in set(Cause) else None)
        if status.state == "running" and Lease.state(directory) is not LeaseState.HELD:
            return _DEAD
        return status

    def is_done(self, key: str) -> bool:
        """Whether a job's results are there."""
        return self.status(key).state == "done"

    def plan_path(self, digest: str) -> Path:
        """Return the file of the manifest of a plan, by the digest of its settings."""
        return self.root / "plans" / f"{digest}.json"


def write_status(directory: Path, status: JobStatus) -> None:
    """Write a job's ``status.json`` in one step."""
    written = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(directory / "status.json", {"schema": SCHEMA, **asdict(status), "written": written})
