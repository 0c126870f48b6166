"""``mribench plugins``."""

from __future__ import annotations

import click


@click.group("plugins")
def command() -> None:
    """Look at the installed plugins."""


@command.command("list", epilog="Example: mribench plugins list")
def list_plugins() -> int:
    """List the plugins that are installed, what each brings, and those that do not load."""
    from mribench.commands.plugins import list_plugins as list_all

    return list_all()


_CHECK_EXAMPLES = """\b
Examples:
  mribench plugins check example-method
  mribench plugins check --set dataset.NAME.root=FOLDER
  mribench plugins check DATASET --set root=FOLDER
  mribench plugins check example-method --encoder ENCODER --set 'encoder.ENCODER.features=[8, 16]'
"""


@command.command("check", epilog=_CHECK_EXAMPLES)
@click.argument("name", required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Give an option: KIND.NAME.KEY=VALUE, or KEY=VALUE for every entry checked that has it. Repeatable.",
)
@click.option("--encoder", metavar="ENCODER", help="Check objectives with this encoder, not with samples.")
def check(name: str | None, settings: tuple[str, ...], encoder: str | None) -> int:
    """Run the conformance checks on the plugin or the entry NAME, or on all.

    Each entry has its line, whatever goes wrong in another. What cannot be checked here, for want of a
    package, of a dataset's files or of an option, is skipped with the reason. The exit code is 1 where an
    entry fails, or a plugin does not load.
    """
    from mribench.commands.plugins import check_plugins

    return check_plugins(name, settings, encoder)
