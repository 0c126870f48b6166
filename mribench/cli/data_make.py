"""``mribench data make``."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mribench.cli.options import GivenPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from mribench.errors import DataError
    from mribench.registry import Registry

    Progress = Callable[[int, int], None]

_KEY = re.compile(r"^data make\.(\w+)")  # as the registry names it


@click.command(
    "make",
    epilog="\b\nExamples:\n"
    "  mribench data make phantom --layout ixi --subjects 20 --spacing 2 --seed 7 phantom-ixi\n"
    "  mribench data make phantom --layout arc --subjects 5 --spacing 4 phantom-arc\n"
    "  mribench data make labelmap --root label-maps --layout arc --lesions labelmap-arc",
)
@click.argument("name")
@click.argument("out", type=GivenPath(file_okay=False))
@click.option("--layout", help="Archive whose files are written: ixi, arc or mpm.")
@click.option("--root", type=GivenPath(), help="Folder that it is made from (label maps).")
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
@click.option(
    "--unknown",
    type=click.Choice(["refuse", "background"]),
    help="Label numbers that stand in no table: refuse the map, or take them for air.",
)
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
    click.echo(f"{total} subject{'' if total == 1 else 's'} in {out}")
    asked = options.get("subjects", 0)
    if asked * options.get("draws", 1) > total:
        click.secho(
            f"fewer than asked for: --subjects {asked} takes so many label maps, and there are only"
            f" {total // options.get('draws', 1)}; --draws makes several subjects of each",
            fg="yellow",
            err=True,
        )
    return 0


def _writer(name: str, options: dict[str, Any]) -> Callable[[Path, Progress], None]:
    """Return the method with which the dataset writes itself.

    Raises:
        ConfigError: for an unknown dataset, option or value.
        DataError: when the dataset cannot make itself.
    """
    from mribench.errors import ConfigError, DataError
    from mribench.interfaces import DatasetRef
    from mribench.plugins import load_registry

    registry = load_registry()
    component = DatasetRef.model_validate({"name": name, **options})
    _check_options(name, options, registry)
    try:
        dataset = registry.resolve(component, "data make", "corrected").make()
    except ConfigError as error:
        raise ConfigError(_KEY.sub(lambda key: _option(key[1]), error.message), error.hint) from error
    if not hasattr(dataset, "write"):
        raise DataError(
            f"dataset '{name}' cannot make itself: its files come from {dataset.source}",
            "`mribench data make phantom …` makes simulated heads",
        )
    write: Callable[[Path, Progress], None] = dataset.write
    return write


def _check_options(name: str, options: dict[str, Any], registry: Registry) -> None:
    """Refuse options that the dataset does not have; an unknown dataset is left to the registry."""
    from mribench.errors import ConfigError

    if name not in registry.names("dataset"):
        return
    known = registry.get("dataset", name).entry.options.model_fields
    strange = [_option(key) for key in options if key not in known]
    if strange:
        parameters = [p for p in command.params if isinstance(p, click.Option)]
        there = ", ".join(p.opts[0] for p in parameters if p.name in known)
        raise ConfigError(
            f"dataset '{name}' has no option {', '.join(strange)}",
            f"its options: {there}" if there else "it has no options here",
        )


def _option(key: str) -> str:
    """Return how an option is written on the command line."""
    return next((p.opts[0] for p in command.params if p.name == key), f"--{key.replace('_', '-')}")


def _check_folder(out: Path, force: bool) -> None:
    from mribench.errors import DataError

    try:
        full = out.is_dir() and any(out.iterdir())
        there = next(place for place in (out, *out.absolute().parents) if place.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _cannot_write(out, error) from error
    if full and not force:
        raise DataError(f"{out} is not empty", "name another folder, or say --force to write into it")


def _cannot_write(out: Path, error: OSError) -> DataError:
    from mribench.errors import DataError

    return DataError(f"cannot write {out}: {error.strerror or error}", "name a folder that can be written")


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

        try:
            write(out, tell)
        except OSError as error:
            raise _cannot_write(out, error) from error
    return written
