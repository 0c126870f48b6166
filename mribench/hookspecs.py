"""The hooks of mribench, and nothing else. See the hook reference in README.md."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from mribench.interfaces.entry import Entry

hookspec = pluggy.HookspecMarker("mribench")


@hookspec
def mribench_entries() -> Iterable[Entry]:
    """Return the entries that this plugin adds: datasets, views, objectives, encoders, tasks or metrics.

    Called once when plugins are loaded. Two entries of one kind and name are an error that names both
    owners.
    """
    raise NotImplementedError
