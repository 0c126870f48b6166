"""The packages behind the trackers are optional: looked for when one is asked for, imported when used."""

from __future__ import annotations

from importlib.util import find_spec

from mribench.errors import PluginError


def need(tracker: str, *modules: str) -> None:
    """Check that the packages of a tracker are there, without importing them.

    Args:
        tracker: name of the tracker and of mribench's extra.
        modules: what it imports, each a top-level module named as its package.

    Raises:
        PluginError: when one is not there.
    """
    for module in modules:
        if find_spec(module) is None:
            raise PluginError(
                f"tracking with {tracker} needs the package {module}: pip install 'mribench[{tracker}]'"
            )
