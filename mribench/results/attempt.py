"""One attempt at a job: a private folder, whose files reach the job's folder by a rename.

Whoever takes a job over deletes the private folders of all others. A process that was frozen meanwhile finds
nothing left to rename when it wakes up, at whatever step that is: it cannot write over what another made.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mribench.results.atomic import WRITE_HINT, write_synced
from mribench.results.places import writing
from mribench.volumes.cache import sync_folder

_PREFIX = ".attempt."
_TRIES = 1000
"""How often a folder is deleted anew that somebody still writes into."""


class LeaseLost(Exception):  # noqa: N818 - not an error: another process does the job
    """Another process has taken the job over; nothing more of this attempt can be written."""


class Attempt:
    """The private folder of one attempt.

    Args:
        directory: the job's folder.
        token: of the lease that the attempt is made under.
    """

    def __init__(self, directory: Path, token: str) -> None:
        self.directory = directory
        self.folder = directory / f"{_PREFIX}{token}"

    def begin(self) -> None:
        """Make the private folder."""
        self.folder.mkdir()

    def prepare(self, name: str, write: Callable[[Path], object]) -> Path:
        """Write a file into the private folder through ``write(path)``; return where it lies there.

        Raises:
            LeaseLost: when the job is another's by now.
            StoreError: when it cannot be written.
        """
        path = self.folder / name
        with writing(self.directory / name, WRITE_HINT), self._lost():
            write_synced(path, write)
        return path

    def publish(self, names: Sequence[str]) -> None:
        """Move prepared files to their places in the job's folder, each in one step, in this order.

        Raises:
            LeaseLost: as ``prepare``; files before that one are in their places.
            StoreError: when the folder cannot be written.
        """
        with writing(self.directory, WRITE_HINT), self._lost():
            for name in names:
                (self.folder / name).replace(self.directory / name)
            sync_folder(self.directory)

    def replace(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a file of the job's folder in one step, as ``replace_file``.

        Raises:
            LeaseLost: as ``prepare``.
            StoreError: when it cannot be written.
        """
        self.prepare(path.name, write)
        self.publish([path.name])

    def withdraw(self, name: str) -> None:
        """Delete a file of the job's folder, if it is there.

        Raises:
            LeaseLost: as ``prepare``.
        """
        try:
            (self.directory / name).replace(self.folder / name)
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise LeaseLost from None
        else:
            (self.folder / name).unlink(missing_ok=True)  # else what is begun under its name goes on after it

    def discard(self) -> None:
        """Delete the private folder, whatever its attempt writes at this moment.

        Raises:
            OSError: when it cannot be deleted.
        """
        for _ in range(_TRIES):
            try:
                shutil.rmtree(self.folder)
            except FileNotFoundError:
                if not self.folder.exists():
                    return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
            else:
                return
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self.folder))

    def discard_others(self) -> None:
        """Delete what others left: those who lost the job, and those who died."""
        for folder in self.directory.glob(f"{_PREFIX}*"):
            if folder != self.folder:
                Attempt(self.directory, folder.name.removeprefix(_PREFIX)).discard()

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self.folder.is_dir() and Path(str(error.filename)).parent != self.folder:
                raise
            raise LeaseLost from error
