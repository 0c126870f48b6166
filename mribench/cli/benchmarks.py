"""Commands about a benchmark file: ``run``, ``plan``, ``views``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mribench.cli.options import GivenPath, Span, benchmark_file, set_option
from mribench.commands.signals import importing


@click.command(
    "run",
    epilog="\b\nExamples:\n  mribench run benchmarks/quickstart.yaml\n"
    "  mribench run benchmarks/paper.yaml --jobs 4 --gpus 0,1 --only 'METHOD/*'\n"
    "  mribench run benchmarks/quickstart.yaml --track TRACKER --track OTHER:experiment=mine\n"
    "  mribench run benchmarks/quickstart.yaml --max-runtime 12h --checkpoint-every 5m\n"
    "  mribench run benchmarks/paper.yaml --detach",
)
@benchmark_file
@click.option("--executor", show_default="local", help="Where jobs run: inline, local, or a plugin's.")
@click.option("--jobs", type=click.IntRange(1), help="Jobs at a time; one per GPU, or one per core without.")
@click.option("--threads", type=click.IntRange(1), show_default="1", help="CPU threads of each job.")
@click.option("--gpus", help="GPUs to use, e.g. 0,1; each job sees one. All that are there by default.")
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Jobs to run, with what they need. Repeatable."
)
@click.option("--limit", type=click.IntRange(1), help="Stop after this many jobs of the plan.")
@click.option(
    "--track",
    multiple=True,
    metavar="TRACKER",
    help="Tell a tracker of losses and scores: NAME, or NAME:KEY=VALUE,KEY=VALUE. Results stay the same."
    " `mribench list tracker` lists them. Repeatable.",
)
@click.option("--detach", is_flag=True, help="Run in the background, apart from this terminal.")
@click.option("--detached", is_flag=True, hidden=True, help="Be that run.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--collect", is_flag=True, help="Run nothing; show the tables of what is done so far.")
@click.option(
    "--checkpoint-every", type=Span(endless=False), show_default="60s",
    help="Time between two checkpoints of a job that trains.",
)  # fmt: skip
@click.option(
    "--max-runtime", type=Span(endless=True), show_default="0",
    help="Stop a job that runs longer, with a checkpoint; the next run goes on from it. 0: never.",
)  # fmt: skip
@click.option(
    "--no-progress-timeout", type=Span(endless=True), show_default="2h",
    help="End a job that takes no step for so long, and try it again. 0: never.",
)  # fmt: skip
def run(detach: bool, **options: Any) -> int:
    """Run what FILE describes and is not done yet, then show the tables.

    Results are kept job by job: a run that is stopped or killed goes on where it was. What the machine
    failed (a process killed, a disk full) is tried again; <results>/<benchmark>/logs/ has what happened.
    FILE may say how it is run, under `execution`; what is given here goes before that.
    """
    if detach:
        return _start_apart(options)
    with importing():
        from mribench.commands.run import run_file

    return run_file(**options)


def _start_apart(options: dict[str, Any]) -> int:
    for name in ("dry_run", "collect"):
        if options[name]:
            raise click.UsageError(f"--detach with --{name.replace('_', '-')}: that runs nothing")
    with importing():
        from mribench.commands.background import start_in_background
        from mribench.config import load_benchmark

    name = load_benchmark(options["file"], options["sets"]).benchmark
    return start_in_background(sys.argv[1:], options["results"] / name)


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
    "  mribench plan benchmarks/paper.yaml --why 'METHOD/*'\n"
    "  mribench plan benchmarks/quickstart.yaml --estimate\n"
    "  mribench plan benchmarks/quickstart.yaml --power results/quickstart --difference 2",
)
@benchmark_file
@click.option("--jobs", "show_jobs", is_flag=True, help="List every job.")
@click.option(
    "--estimate", is_flag=True,
    help="Try a few steps of each kind of job on this machine, and say how long all will take, and what"
    " memory. Trials are kept nowhere.",
)  # fmt: skip
@click.option(
    "--power", metavar="RESULTS", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Say how small a difference the plan will see, judged by the spread of results that are there.",
)  # fmt: skip
@click.option(
    "--difference", metavar="SIZE", type=click.FloatRange(min=0, min_open=True),
    help="With --power: say how many seeds, or test subjects, a difference of this size needs, in the units"
    " of tables.",
)  # fmt: skip
@click.option(
    "--why", is_flag=False, flag_value="*", metavar="[PATTERN]",
    help="Say job by job what changed since the result that is there, down to the key.",
)  # fmt: skip
def plan(**options: Any) -> int:
    """Say what FILE would run: what is done, what is stale and why, what waits for data.

    Nothing is made or written, and nothing run but trials. Exit code 1 when data are not in the folder that
    was named for them.
    """
    if options["difference"] is not None and options["power"] is None:
        raise click.UsageError("--difference wants the results that it is judged by: --power RESULTS")
    with importing():
        from mribench.commands.plan import show_plan

    return show_plan(**options)


MOST_SAMPLES, MOST_DRAWS = 32, 100_000
PLANES = ("axial", "coronal", "sagittal")


@click.command(
    "views",
    epilog="\b\nExamples:\n  mribench views benchmarks/quickstart.yaml --out views.png\n"
    "  mribench views benchmarks/quickstart.yaml --method METHOD --plane sagittal --targets --csv views.csv",
)
@click.argument("file", type=GivenPath(dir_okay=False))
@set_option("Change one key of the file.")
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
def views(**options: Any) -> int:
    """Draw what the methods of FILE show a network: views with their sequence and parameters.

    Data, crops, seeds and code are those of the pretrain jobs: step 0 shows the first batch of the job (on
    the CPU). Cohorts that can make themselves are made. A second figure, and --csv, have the distribution of
    the parameters over the first steps; what is measured in voxels is left out there. Nothing is trained.
    """
    from mribench.commands.views import draw_views

    return draw_views(**options)
