"""``mribench doctor``."""

from __future__ import annotations

from typing import Any

import click


@click.command("doctor", epilog="Example: mribench doctor")
def command(**options: Any) -> int:
    """Say what this machine has, for a question or a bug report."""
    from mribench.commands.doctor import describe_machine

    return describe_machine(**options)
