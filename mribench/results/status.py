"""``status.json``: what a job has said of itself, and the digests of the files that it left."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mribench.errors import StoreError
from mribench.interfaces.executor import Cause
from mribench.results.atomic import ReplaceFile, read_json, replace_file, seal
from mribench.wording import with_hint

SCHEMA = 6
"""Version of the layout on disk. Results of another version are refused, never guessed at."""

DIED = "its process died"
"""How it is said that a job is interrupted that could not say so itself."""

State = Literal["todo", "running", "done", "failed", "interrupted", "damaged"]
_NAME = "status.json"
_OPTIONAL = ("files", "batch")


@dataclass(frozen=True)
class FileDigest:
    """What a file was when it was written.

    Attributes:
        n_bytes: its size.
        sha256: of its content.
    """

    n_bytes: Annotated[int, Field(ge=0)]
    sha256: str


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: what became of it.
        reason: why it failed, was interrupted, or is damaged, for people.
        traceback: where it failed.
        cause: what kind of reason that is; None of a job that is done, or was left by an older mribench.
        hint: what to do about the reason.
        written: when that was written, in ISO 8601.
        files: of a done job: those that it left, by name; empty in results of older versions.
        batch: id of the batch whose process wrote it; empty where none did.
    """

    state: State
    reason: str = ""
    traceback: str = ""
    cause: Cause | None = None
    hint: str = ""
    written: str = field(default="", compare=False)
    files: Mapping[str, FileDigest] = field(default_factory=dict, compare=False, repr=False)
    batch: str = field(default="", compare=False, repr=False)

    @property
    def said(self) -> str:
        """Why it failed, with the hint, for people."""
        return with_hint(self.reason, self.hint)


_ADAPTER = TypeAdapter(JobStatus)


def write_status(directory: Path, status: JobStatus, replace: ReplaceFile = replace_file) -> None:
    """Write a job's ``status.json`` in one step.

    Args:
        directory: the job's folder.
        status: what it says.
        replace: puts the file there; whoever holds the job's lease gives ``Attempt.replace``.
    """
    written = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    said = {"schema": SCHEMA, **_ADAPTER.dump_python(status, mode="json"), "written": written}
    content = seal({name: value for name, value in said.items() if name not in _OPTIONAL or value})
    replace(directory / _NAME, functools.partial(Path.write_bytes, data=content))


def read_status(directory: Path) -> JobStatus | None:
    """Return what a job has said of itself: None where that is nothing, ``damaged`` where it is lost."""
    path = directory / _NAME
    if not path.exists():
        return None
    try:
        content = read_json(path)
        return _ADAPTER.validate_python(content)
    except StoreError as error:
        return JobStatus("damaged", error.message)
    except ValidationError:
        return JobStatus("damaged", f"{path} is not the status of a job")
