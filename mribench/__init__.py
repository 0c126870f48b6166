"""A benchmark harness for self-supervised learning on 3D MRI: all that is the same for every method.

Methods, datasets, tasks and metrics are plugins, and no room here knows one by name.
"""

from __future__ import annotations

import pluggy

__version__ = "0.1.0"

RESULTS_VERSION = 3
"""Raised whenever a change of the harness changes numbers; part of every job's content key."""

hookimpl = pluggy.HookimplMarker("mribench")
"""Marks a plugin's implementation of one of the hooks in ``mribench.hookspecs``."""

__all__ = ["RESULTS_VERSION", "__version__", "hookimpl"]
