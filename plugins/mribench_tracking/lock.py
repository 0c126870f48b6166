"""One process at a time: two runs that begin at once must not both make the tables of a new store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

WAIT_S = 120.0


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock, by means of an SQLite file: it goes with its process, however that ends.

    Args:
        path: the file; it stays behind, empty.

    Raises:
        sqlite3.OperationalError: when another process holds it for ``WAIT_S``.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
