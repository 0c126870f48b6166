"""``mribench data make``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int], None]


@click.command(
    "make",
    epilog="\b\nExamples:\n"
    "  mribench data make phantom --layout ixi --subjects 20 --spacing 2 --seed 7 phantom-ixi\n"
    "  mribench data make phantom --layout arc --subjects 5 --spacing 4 phantom-arc\n"
    "  mribench data make labelmap --root label-maps --layout arc --lesions labelmap-arc",
)
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--layout", help="Archive whose files are written: ixi, arc or mpm.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder that it is made from (label maps).")
@click.option("--subjects", type=click.IntRange(1), help="How many.")
@click.option(
    "--spacing", "spacing_mm", type=click.FloatRange(0, min_open=True), help="Edge of the voxels, in mm."
)
@click.option("--seed", type=click.IntRange(0), help="Other seeds make other people.")
@click.option(
    "--lesions/--no-lesions",
    default=None,
    help="Strokes in all, or in none; by default as the archive has them.",
)
@click.option("--draws", type=click.IntRange(1), help="Subjects made of each label map.")
@click.option("--force", is_flag=True, help="Write into OUT even if it is not empty.")
def command(name: str, out: Path, force: bool, **given: Any) -> int:
    """Make the dataset NAME and write it into the folder OUT as real files.

    What is not given is as the dataset has it (see `mribench schema`).
    """
    from rich.console import Console

    options = {key: value for key, value in given.items() if value is not None}
    write = _writer(name, options)
    _check_folder(out, force)
    total = _write_with_progress(write, out, f"making {name}", Console(stderr=True))
    click.echo(f"{total} subjects in {out}")
    return 0


def _writer(name: str, options: dict[str, Any]) -> Callable[[Path, Progress], None]:
    """Return the method with which the dataset writes itself.

    Raises:
        ConfigError: for an unknown dataset, option or value.
        DataError: when the dataset cannot make itself.
    """
    from mribench.errors import DataError
    from mribench.interfaces import DatasetRef
    from mribench.plugins import load_registry

    registry = load_registry()
    component = DatasetRef.model_validate({"name": name, **options})
    dataset = registry.resolve(component, "data make", "corrected").make()
    if not hasattr(dataset, "write"):
        raise DataError(
            f"dataset '{name}' cannot make itself: its files come from {dataset.source}",
            "`mribench data make phantom …` makes simulated heads",
        )
    write: Callable[[Path, Progress], None] = dataset.write
    return write


def _check_folder(out: Path, force: bool) -> None:
    from mribench.errors import DataError

    if out.is_dir() and any(out.iterdir()) and not force:
        raise DataError(f"{out} is not empty", "name another folder, or say --force to write into it")


def _write_with_progress(write: Callable[[Path, Progress], None], out: Path, what: str, console: Any) -> int:
    """Write the cohort, telling how far it has come; return the number of subjects."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    written = 0
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            nonlocal written
            written = done
            progress.update(bar, completed=done, total=total)

        write(out, tell)
    return written
