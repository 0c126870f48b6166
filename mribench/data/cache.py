"""Where mribench keeps what it can make again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Return mribench's cache folder: ``MRIBENCH_CACHE``, else the platform's user cache.

    The folder is not created. Everything in it can be deleted at any time between runs.
    """
    given = os.environ.get("MRIBENCH_CACHE")
    if given:
        return Path(given).expanduser()
    return _user_cache() / "mribench"


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
