"""Names of jobs, files and tensors by shell patterns, in one way on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the shell patterns, by its letters as they are."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
