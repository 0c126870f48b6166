"""A benchmark harness for self-supervised learning on 3D MRI: all that is the same for every method.

Methods, datasets, tasks and metrics are plugins, and no room here knows one by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pluggy

    hookimpl: pluggy.HookimplMarker
    """Marks a plugin's implementation of one of the hooks in ``mribench.hookspecs``."""

__version__ = "0.1.0"

RESULTS_VERSION = 3
"""Raised whenever a change of the harness changes numbers; part of every job's content key."""

__all__ = ["RESULTS_VERSION", "__version__", "hookimpl"]


def __getattr__(name: str) -> object:
    """Make ``hookimpl`` when it is asked for: little is imported before the command line hears Ctrl-C."""
    if name != "hookimpl":
        raise AttributeError(f"module 'mribench' has no attribute '{name}'")
    import pluggy

    globals()[name] = marker = pluggy.HookimplMarker("mribench")
    return marker
