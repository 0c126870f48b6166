"""``mribench weights``: look at files of weights."""

from __future__ import annotations

from typing import Any

import click

from mribench.cli.options import GivenPath, OrderedGroup, set_option


@click.group("weights", cls=OrderedGroup, epilog="Example: mribench weights describe model.pt")
def weights_group() -> None:
    """Look at files of weights."""


@weights_group.command(
    "describe",
    epilog="\b\nExamples:\n"
    "  mribench weights describe model.pt\n"
    "  mribench weights describe model.pt --at state_dict --encoder ENCODER --set width=384",
)
@click.argument("file", type=GivenPath(dir_okay=False))
@click.option("--at", metavar="KEY", help="Where FILE has the tensors, if in several places.")
@click.option("--encoder", metavar="NAME", help="Say which tensors fit this encoder, by name and shape.")
@set_option("Give an option of the encoder.")
def describe(**options: Any) -> int:
    """Draft the manifest of the weights in FILE, for you to complete.

    It says what FILE holds, by prefix, and with --encoder which tensors fit, are missing or have no place.
    Nothing in FILE is run, and nothing is written; docs/weights.md explains the keys.
    """
    from mribench.commands.weights_describe import describe_weights

    return describe_weights(**options)
