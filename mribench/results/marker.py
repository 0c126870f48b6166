"""``store.json``: that a folder is one of results, and of which version of the layout."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

from mribench.errors import StoreError
from mribench.results.atomic import read_json, write_json
from mribench.results.status import SCHEMA

logger = logging.getLogger("mribench")

MARKER = "store.json"
_OURS = json.dumps(SCHEMA)
_LONGEST = 40
"""Characters of a version as messages show it."""
_MEND = f'write {{"schema": {SCHEMA}}} into it; nothing else is lost'


def check_marker(root: Path) -> None:
    """Check that results are of this version; writes nothing.

    A marker that is not there or is damaged says nothing. Then the jobs do: each has the version in its
    ``status.json``.

    Raises:
        StoreError: when they are of another version, or nothing says of which.
    """
    try:
        versions = {_read_version(root / MARKER)}
    except StoreError as error:
        versions = _ask_jobs(root)
        if not versions and (root / MARKER).exists():
            raise StoreError(error.message, _MEND) from error
        if versions == {_OURS} and (root / MARKER).exists():
            logger.warning("%s; its jobs say that it is of version %s", error.message, _OURS)
    others = sorted(versions - {_OURS})
    if others:
        raise StoreError(
            f"{root} holds results of schema version {others[0]}, this mribench reads and writes {SCHEMA}",
            "use the mribench that wrote them, or choose another place with --results",
        )


def mend_marker(root: Path) -> None:
    """Write the marker of results that were checked, unless it is there and sound.

    Raises:
        StoreError: when it cannot be written.
    """
    try:
        _read_version(root / MARKER)
    except StoreError:
        write_json(root / MARKER, {"schema": SCHEMA})


def _read_version(path: Path) -> str:
    """Return the version that a file of results says, as JSON."""
    content = read_json(path, _MEND)
    if not isinstance(content, dict) or "schema" not in content:
        raise StoreError(f"{path} is damaged", _MEND)
    return json.dumps(content["schema"])[:_LONGEST]


def _ask_jobs(root: Path) -> set[str]:
    """Return the versions that the jobs' own files say; what is damaged of them says nothing."""
    said = set()
    for path in root.glob("jobs/*/status.json"):
        with contextlib.suppress(StoreError):
            said.add(_read_version(path))
    return said
