"""Assembles a fresh plugin manager; loads entry points one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

import pluggy

from mribench import hookspecs
from mribench.errors import PluginError, did_you_mean
from mribench.interfaces.entry import KINDS, Entry
from mribench.interfaces.executor import Executor
from mribench.interfaces.options import Options
from mribench.interfaces.table_source import TableSource
from mribench.registry import Registered, Registry
from mribench.user import ensure_user_name

GROUP = "mribench"
"""The entry-point group of every plugin, first-party or not."""
TABLES_GROUP = "mribench.tables"
"""That of plugins of tables, apart from the others: a report imports these alone, and so no torch."""
EXECUTORS_GROUP = "mribench.executors"
"""That of executors whose queue ``mribench status`` asks, apart for the same reason."""
GROUPS = (GROUP, TABLES_GROUP, EXECUTORS_GROUP)


def load_registry(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load all plugins into a fresh registry.

    A broken plugin is named in ``Registry.problems`` and skipped; it never stops the others.

    Args:
        points: entry points to load; those of the installed distributions when None.

    Raises:
        PluginError: when two plugins register the same kind and name.
    """
    ensure_user_name()
    registry = Registry()
    found = [point for group in GROUPS for point in entry_points(group=group)] if points is None else points
    for point in sorted(found, key=lambda point: (point.name, point.value)):
        try:
            entries = _load(point)
        except PluginError as error:
            registry.problems.append(error.message)
            continue
        name, version = _distribution(point)
        for entry in entries:
            registry.add(Registered(entry, point.name, name, version))
    return registry


def load_tables() -> tuple[tuple[TableSource, ...], Sequence[str]]:
    """Load the plugins of tables alone.

    Returns:
        what adds tables to a report, and one sentence for each plugin that was skipped.

    Raises:
        PluginError: as ``load_registry``.
    """
    registry = load_registry(entry_points(group=TABLES_GROUP))
    entries = (registered.entry for registered in registry if registered.entry.kind == "table")
    return tuple(entry.factory(entry.options()) for entry in entries), registry.problems


def load_executors() -> tuple[tuple[type[Executor], ...], Sequence[str]]:
    """Load the executors alone that may have jobs in a queue.

    Returns:
        their classes, and one sentence for each plugin that was skipped.

    Raises:
        PluginError: as ``load_registry``.
    """
    registry = load_registry(entry_points(group=EXECUTORS_GROUP))
    factories = [registered.entry.factory for registered in registry if registered.entry.kind == "executor"]
    classes = tuple(made for made in factories if isinstance(made, type) and issubclass(made, Executor))
    return classes, registry.problems


def _load(point: EntryPoint) -> list[Entry]:
    """Import one entry point and collect its entries, in a manager of its own."""
    where = f"plugin '{point.name}' ({point.value})"
    try:
        plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what a native extension raises when it panics
        raise PluginError(f"{where} cannot be imported: {_said(error)}") from error
    manager = pluggy.PluginManager("mribench")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=point.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"{where} has a hook that mribench does not know or cannot call: {_said(error)}"
        ) from error
    try:
        entries = [entry for result in manager.hook.mribench_entries() for entry in result]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{where} fails in mribench_entries: {_said(error)}") from error
    for entry in entries:
        _check(entry, where)
    if not entries:
        raise PluginError(f"{where} registers nothing; is a function 'mribench_entries' marked @hookimpl?")
    return entries


def _check(entry: object, where: str) -> None:
    """Raise ``PluginError`` for what the registry could not use."""
    if not isinstance(entry, Entry):
        raise PluginError(f"{where}: mribench_entries returned {entry!r}, expected an Entry")
    what = f"{where}: entry '{entry.name}'"
    if entry.kind not in KINDS:
        raise PluginError(f"{what} is of unknown kind '{entry.kind}'; {did_you_mean(str(entry.kind), KINDS)}")
    if not isinstance(entry.name, str) or not entry.name:
        raise PluginError(f"{what} of kind '{entry.kind}': expected text as its name")
    if not (isinstance(entry.options, type) and issubclass(entry.options, Options)):
        raise PluginError(f"{what}: expected its options to be a subclass of Options, got {entry.options!r}")
    if not callable(entry.factory):
        raise PluginError(f"{what}: expected its factory to be callable, got {entry.factory!r}")


def _said(error: BaseException) -> str:
    """Return an error in one line: ``KeyError: 'x'``."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name, dist.version) if dist is not None else ("unknown", "unknown")
