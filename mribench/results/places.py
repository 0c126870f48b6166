"""Places that files are to be written to, checked before anything is computed for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mribench.errors import ConfigError, StoreError

_ELSEWHERE = "choose another place"


@contextmanager
def writing(what: Path | str, hint: str) -> Iterator[None]:
    """Refuse what the system refuses to write within the block.

    Args:
        what: is written, for the sentence.
        hint: what to do about it.

    Raises:
        StoreError: for an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {what}: {error.strerror or error}", hint) from error


def check_place(path: Path, option: str) -> None:
    """Refuse a path that no file can be put at, even when the folders above it are made.

    Args:
        path: of the file.
        option: that it was given with, for the sentence.

    Raises:
        ConfigError: for a folder, and for a place in a file or in a folder of somebody else.
    """
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder, expected a file", "name a file in it")
    _check_above(path, option)


def check_file(path: Path, option: str) -> None:
    """Refuse a path that cannot be written to as it is: as ``check_place``, but no folder is made for it.

    Raises:
        ConfigError: for a folder, a file of somebody else, and a place in no folder.
    """
    if path.exists() and not path.is_dir():
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{option} {path}: cannot be written to", _ELSEWHERE)
        return
    check_place(path, option)
    if not path.absolute().parent.exists():
        raise ConfigError(
            f"{option} {path}: cannot write it, there is no folder {path.parent}",
            "make the folder, or choose another place",
        )


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that files cannot be written into, whether it is there or to be made.

    Raises:
        ConfigError: for a file, and for a place in a file or in a folder of somebody else.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{option} {path}: is a file, expected a folder", _ELSEWHERE)
    if path.is_dir() and not os.access(path, os.W_OK):
        raise ConfigError(f"{option} {path}: cannot be written to", _ELSEWHERE)
    _check_above(path, option)


def _check_above(path: Path, option: str) -> None:
    if path.is_dir():
        return
    existing = next((folder for folder in path.absolute().parents if folder.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = "is no folder" if not existing.is_dir() else "cannot be written to"
        raise ConfigError(f"{option} {path}: {existing} {what}", _ELSEWHERE)
