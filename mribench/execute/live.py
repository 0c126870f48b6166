"""What a running job has logged, for whoever tracks the run: ``live.jsonl`` in the job's folder.

Only jobs of a tracked run write it. Its rows are the first rows of ``history.parquet``, which replaces it
when the job is done.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mribench.results.attempt import Attempt

logger = logging.getLogger("mribench")

RUN = "MRIBENCH_RUN"
"""Environment variable that tells a job's process which tracked run asked for it."""
NAME = "live.jsonl"


class LiveFile:
    """Appends the rows of a job to its file; does nothing where the run is not tracked.

    Its first line names the run, so that another run that waits for the job does not report it too. It is
    kept open: who has lost the job appends to a file without a name, never to that of the next attempt.

    Args:
        attempt: at the job; its private folder is where the file begins.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._rows: Sequence[dict[str, float]] = ()
        self._written = 0
        self._file: int | None = None
        attempt.withdraw(NAME)  # of an attempt that was killed
        if os.environ.get(RUN):
            self._begin({"run": os.environ[RUN]})

    def watch(self, rows: Sequence[dict[str, float]]) -> None:
        """Take the list that the job's rows are appended to."""
        self._rows = rows

    def flush(self) -> None:
        """Write the rows that are new."""
        new = self._rows[self._written :]
        if self._file is not None and new:
            self._append(new)
            self._written += len(new)

    def remove(self) -> None:
        """Delete the file: the history is there."""
        self.close()
        self._attempt.withdraw(NAME)

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self, first: Mapping[str, Any]) -> None:
        try:
            self._file = os.open(self._attempt.folder / NAME, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        except OSError as error:
            self._give_up(error)
            return
        self._append([first])
        self._attempt.publish([NAME])

    def _append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self._file is None:
            return
        try:
            os.write(self._file, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Go on without: whoever watches sees less, the job itself needs none of it."""
        name = self._attempt.directory / NAME
        logger.warning("%s cannot be written, losses are tracked at the end only: %s", name, error)
        self.close()


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
