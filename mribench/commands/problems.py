"""Plugins that do not load: said once by every command that needs plugins, and never in the way."""

from __future__ import annotations

from collections.abc import Iterable

import click

from mribench.plugins import load_registry
from mribench.registry import Registry


def load_plugins() -> Registry:
    """Return all entries; warn of the plugins that do not load."""
    registry = load_registry()
    say_skipped(registry.problems)
    return registry


def say_skipped(problems: Iterable[str]) -> None:
    """Warn of plugins that do not load, one sentence each."""
    for problem in problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
