"""Plugins that do not load: said once by every command that needs plugins, and never in the way."""

from __future__ import annotations

import click

from mribench.plugins import load_registry
from mribench.registry import Registry


def load_plugins() -> Registry:
    """Return all entries; warn of the plugins that do not load."""
    registry = load_registry()
    for problem in registry.problems:
        click.secho(f"skipped: {problem}", fg="yellow", err=True)
    return registry
