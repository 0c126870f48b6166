"""What ``mribench views`` does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.table import Table

from mribench.commands.plugins import load_plugins
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import make_text, print_table, say, say_missing
from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.results.places import check_file, check_place, writing
from mribench.views.canvas import check_path
from mribench.views.distributions import draw_distributions
from mribench.views.parameters import compute_sequence_shares, count_redraws_per_100_views, write_table
from mribench.views.samples import MadeSamples, draw_parameters, make_samples
from mribench.views.sheet import PLANES, draw_sheet
from mribench.views.sources import Source, open_sources

Drawn = list[tuple[Source, MadeSamples]]
_SUMMARY: dict[str, Literal["left", "right"]] = {
    "methods": "left", "views": "left", "drawn": "right", "sequences": "left",
    "redraws per 100 views": "right",
}  # fmt: skip


def draw_views(
    file: Path,
    sets: tuple[str, ...],
    out: Path,
    methods: tuple[str, ...],
    samples: int,
    plane: str,
    targets: bool,
    seed: int | None,
    step: int,
    draws: int,
    table: Path | None,
) -> int:
    """Draw what the methods of FILE show a network: views with their sequence and parameters."""
    _check_paths(out, table, draws)
    torch.set_num_threads(1)  # as a job has; small tensors gain nothing from more
    console = Console()
    with RunProgress(console) as progress:
        registry = load_plugins()
        resolved = resolve(load_benchmark(file, sets), registry)
        sources, missing = open_sources(
            resolved, registry, seed=seed, step=step, methods=methods, progress=progress.preparing
        )
        say_missing(Console(stderr=True), missing)
        shown = [(source, make_samples(source, samples, step, progress.preparing)) for source in sources]
        drawn = [(source, draw_parameters(source, draws, progress.preparing)) for source in sources if draws]
    written = _draw(out, shown, drawn, plane, targets, f"{file.name}, training seed {{seed}}, {{what}}", step)
    if table is not None:
        written.append(_write_table(table, drawn))
    _summarise(console, drawn or shown)
    for path in written:
        say(console, make_text(f"wrote {path}").plain)
    return 0


def _check_paths(out: Path, table: Path | None, draws: int) -> None:
    """Refuse what cannot be written, before anything is made."""
    check_path(out, "--out")
    if draws:
        check_place(_name_beside(out), f"--out {out}: beside it")
    if table is None:
        return
    if not draws:
        raise ConfigError("--csv has the parameters that are drawn, and --draws is 0", "leave --draws out")
    check_file(table, "--csv") if table.exists() else check_place(table, "--csv")
    if table.absolute() in (out.absolute(), _name_beside(out).absolute()):
        raise ConfigError(f"--csv {table}: is the figure's name too", "choose another")


def _draw(
    out: Path, shown: Drawn, drawn: Drawn, plane: str, targets: bool, where: str, step: int
) -> list[Path]:

    (chosen,) = [known for known in PLANES if known == plane]
    seed = shown[0][0].spec.seed
    note = where.format(seed=seed, what=f"from step {step}")
    draw_sheet(shown, chosen, note, targets).save(out)
    written = [out]
    if drawn:
        views = " or ".join(sorted({f"{made.n_shown:,}" for _, made in drawn}))
        note = where.format(seed=seed, what=f"from step 0: {views} views of each generator")
        draw_distributions(drawn, note).save(_name_beside(out))
        written.append(_name_beside(out))
    return written


def _name_beside(out: Path) -> Path:
    return out.with_name(f"{out.stem}-parameters{out.suffix}")


def _write_table(path: Path, drawn: Drawn) -> Path:
    with writing(path, "give another --csv"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            write_table(file, drawn)
    return path


def _summarise(console: Console, drawn: Drawn) -> None:
    table = Table()
    for name, justify in _SUMMARY.items():
        table.add_column(name, justify=justify)
    for source, made in drawn:
        shares = ", ".join(
            f"{name or '–'} {100 * share:.0f} %" for name, share in compute_sequence_shares(made).items()
        )
        table.add_row(
            make_text(", ".join(source.methods)), make_text(source.views), f"{made.n_shown:,}",
            make_text(shares),
            f"{count_redraws_per_100_views(made):.1f}",
        )  # fmt: skip
    print_table(console, table)
