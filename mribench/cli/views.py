"""``mribench views``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mribench.cli.options import GivenPath

MOST_SAMPLES, MOST_DRAWS = 32, 100_000
PLANES = ("axial", "coronal", "sagittal")


@click.command(
    "views",
    epilog="\b\nExamples:\n  mribench views benchmarks/quickstart.yaml --out views.png\n"
    "  mribench views benchmarks/quickstart.yaml --method METHOD --plane sagittal --targets --csv views.csv",
)
@click.argument("file", type=GivenPath(dir_okay=False))
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key of the file. Repeatable."
)
@click.option(
    "--out", type=GivenPath(), default=Path("views.png"), show_default=True,
    help="The contact sheet: .png, .pdf or .svg. The distributions go beside it, as <name>-parameters.",
)  # fmt: skip
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Show this method only. Repeatable.")
@click.option(
    "--samples", type=click.IntRange(1, MOST_SAMPLES), default=4, show_default=True,
    help="Samples of each view generator.",
)  # fmt: skip
@click.option(
    "--plane", type=click.Choice(PLANES), default="axial", show_default=True, help="Of the central slices."
)
@click.option("--targets", is_flag=True, help="Also show the targets, which are free of artefacts.")
@click.option("--seed", type=click.IntRange(0), help="Train seed; the file's first by default.")
@click.option(
    "--step", type=click.IntRange(0), default=0, show_default=True, help="Step of the training to show."
)
@click.option(
    "--draws", type=click.IntRange(0, MOST_DRAWS), default=500, show_default=True,
    help="Draw the parameters of so many views, or some more; 0 for none.",
)  # fmt: skip
@click.option(
    "--csv", "table", type=GivenPath(), metavar="CSV",
    help="Also write what was drawn: one row for each number of each view.",
)  # fmt: skip
def command(**options: Any) -> int:
    """Draw what the methods of FILE show a network: views with their sequence and parameters.

    Data, crops, seeds and code are those of the pretrain jobs: step 0 shows the first batch of the job (on
    the CPU). Cohorts that can make themselves are made. A second figure, and --csv, have the distribution of
    the parameters over the first steps; what is measured in voxels is left out there. Nothing is trained.
    """
    from mribench.commands.views import draw_views

    return draw_views(**options)
