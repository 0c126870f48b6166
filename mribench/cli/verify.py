"""``mribench verify``."""

from __future__ import annotations

import math
from typing import Any

import click

from mribench.cli.options import GivenPath, settings_of_file
from mribench.errors import ConfigError

_KINDS = ("pretrain", "adapt", "evaluate", "embed")
_TOLERANCE = "--tolerance: expected a finite number ≥ 0"


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    del context, parameter
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{_TOLERANCE}, got {value:g}", "leave it out to compare exactly")
    return value


@click.command(
    "verify",
    epilog="\b\nExamples:\n  mribench verify results/quickstart\n"
    "  mribench verify results/mine --root COHORT=FOLDER\n"
    "  mribench verify results/quickstart --all --kind evaluate --only 'METHOD/*'",
)
@click.argument("what", metavar="FILE|DIR", type=GivenPath())
@click.option(
    "--sample", "count", type=click.IntRange(1), default=5, show_default=True,
    help="How many results to draw; the jobs that they build on are run again too.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Run all again, not a sample.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same sample.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Names of jobs to draw from. Repeatable.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(_KINDS),
    help="Kinds of job to run again; others are taken as they are. Repeatable; default: all.",
)  # fmt: skip
@click.option(
    "--tolerance", type=float, callback=_finite, default=0.0, show_default=True,
    help="Largest difference of a value that counts as none. With one, digests are not compared.",
)  # fmt: skip
@click.option(
    "--root", "roots", multiple=True, metavar="COHORT=PATH",
    help="Where a cohort of `data:` lies here. Repeatable; default: where FILE, or the results, say.",
)  # fmt: skip
@settings_of_file
def command(**options: Any) -> int:
    """Run a sample of the results of a benchmark FILE, or of a results DIR, again, and compare.

    Nothing in the results is changed. Score rows, weights and digests must come out exactly the same; on
    another device or with other versions they may not, which is then said. The files of all done jobs are
    also checked for contradictions. Exit 1 when anything differs or cannot be run again.
    """
    from mribench.commands.verify import verify_results

    return verify_results(**options)
