"""What a running job has logged, for whoever tracks the run: ``live.jsonl`` in the job's folder.

Only jobs of a tracked run write it. Its rows are the first rows of ``history.parquet``, which replaces it
when the job is done.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger("mribench")

RUN = "MRIBENCH_RUN"
"""Environment variable that tells a job's process which tracked run asked for it."""
NAME = "live.jsonl"


class LiveFile:
    """Appends the rows of a job to its file; does nothing where the run is not tracked.

    Its first line names the run, so that another run that waits for the job does not report it too.

    Args:
        directory: the job's folder.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._rows: Sequence[dict[str, float]] = ()
        self._written = 0
        self._path.unlink(missing_ok=True)  # of an attempt that was killed
        self._on = bool(os.environ.get(RUN))
        if self._on:
            self._append([{"run": os.environ[RUN]}])

    def watch(self, rows: Sequence[dict[str, float]]) -> None:
        """Take the list that the job's rows are appended to."""
        self._rows = rows

    def flush(self) -> None:
        """Write the rows that are new."""
        new = self._rows[self._written :]
        if self._on and new:
            self._append(new)
            self._written += len(new)

    def remove(self) -> None:
        """Delete the file: the history is there."""
        self._path.unlink(missing_ok=True)

    def _append(self, lines: Sequence[dict[str, Any]]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{json.dumps(line)}\n" for line in lines))
        except OSError as error:  # whoever watches sees less; the job itself needs none of it
            logger.warning("%s cannot be written, losses are tracked at the end only: %s", self._path, error)
            self._on = False


class LiveReader:
    """Reads what is new in a job's file, whole lines only.

    Args:
        directory: the job's folder.
        run: whose jobs are read.
    """

    def __init__(self, directory: Path, run: str) -> None:
        self._path = directory / NAME
        self._run = run
        self._offset = 0

    def read(self) -> list[dict[str, float]] | None:
        """Return the next rows; None while the run's own process has not begun to write."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new_bytes = file.read()
            whole = new_bytes[: new_bytes.rfind(b"\n") + 1]
            rows = [json.loads(line) for line in whole.splitlines()]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # the history has it all in the end
            logger.debug("%s cannot be read: %s", self._path, error)
            return None
        if self._offset == 0 and rows[:1] != [{"run": self._run}]:
            return None
        new = rows[1:] if self._offset == 0 else rows
        self._offset += len(whole)
        return new
