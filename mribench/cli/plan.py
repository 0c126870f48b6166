"""``mribench plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mribench.cli.options import benchmark_file


class _Plan(click.Command):
    """Takes ``--why FILE`` for what it was meant: every job of FILE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter:
            place = given.index("--why") + 1 if "--why" in given else len(given)
            if place == len(given) or not _is_file(given[place]):
                raise
        ctx.params.clear()
        return super().parse_args(ctx, [*given[:place], "*", *given[place:]])


def _is_file(text: str) -> bool:
    return Path(text).suffix in (".yaml", ".yml") or Path(text).is_file()


@click.command(
    "plan",
    cls=_Plan,
    epilog="\b\nExamples:\n  mribench plan benchmarks/paper.yaml\n"
    "  mribench plan benchmarks/paper.yaml --why 'METHOD/*'",
)
@benchmark_file
@click.option("--jobs", "show_jobs", is_flag=True, help="List every job.")
@click.option(
    "--why", is_flag=False, flag_value="*", metavar="[PATTERN]",
    help="Say job by job what changed since the result that is there, down to the key.",
)  # fmt: skip
def command(**options: Any) -> int:
    """Say what FILE would run: what is done, what is stale and why, what waits for data.

    Nothing is run, made or written. Exit code 1 when data are not in the folder that was named for them.
    """
    from mribench.commands.plan import show_plan

    return show_plan(**options)
