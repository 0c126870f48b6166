"""mribench: a benchmark harness for self-supervised learning on 3D MRI.

This package is the harness and knows no method, dataset or metric by name: those are plugins. A plugin
author needs ``mribench.hookimpl``, ``mribench.interfaces``, ``mribench.errors``, ``mribench.seeding``,
``mribench.volumes`` and, for the tests, ``mribench.testing``; everything else is private.
"""

from __future__ import annotations

import pluggy

__version__ = "0.1.0"

RESULTS_VERSION = 2
"""Raised whenever a change of the harness changes numbers; part of every job's content key."""

hookimpl = pluggy.HookimplMarker("mribench")
"""Marks a plugin's implementation of one of the hooks in ``mribench.hookspecs``."""

__all__ = ["RESULTS_VERSION", "__version__", "hookimpl"]
