"""Imported once by the server that job processes are forked from, so that none of them imports torch anew."""

from __future__ import annotations

import mribench.execute.worker  # noqa: F401
from mribench.plugins import load_registry

load_registry()
