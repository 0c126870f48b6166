"""What ``mribench data make`` does: writes a dataset that can make itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mribench.config.overrides import apply_setting, parse_setting
from mribench.errors import DataError
from mribench.interfaces import Dataset, DatasetRef
from mribench.plugins import load_registry
from mribench.wording import count


def make_dataset(name: str, out: Path, sets: Sequence[str], force: bool) -> int:
    """Write the dataset ``name`` into the folder ``out``; ``sets`` are ``KEY=VALUE`` of its options.

    Raises:
        ConfigError: for an unknown dataset, option or value.
        DataError: when the dataset cannot make itself, or ``out`` cannot be written.
    """
    component: dict[str, Any] = {"name": name}
    for text in sets:
        apply_setting(component, parse_setting(text))
    resolved = load_registry().resolve(DatasetRef.model_validate(component), f"dataset.{name}", "corrected")
    dataset: Dataset = resolved.make()
    _check_folder(out, force)
    total = _write(dataset, out, f"making {name}")
    click.echo(f"{count(total, 'subject')} in {out}")
    for remark in dataset.remarks():
        click.secho(remark.reason, fg="yellow", err=True)
    return 0


def _check_folder(out: Path, force: bool) -> None:
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
    return DataError(f"cannot write {out}: {error.strerror or error}", "name a folder that can be written")


def _write(dataset: Dataset, out: Path, what: str) -> int:
    """Write the cohort, telling how far it has come; return the number of subjects."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    console = Console(stderr=True)
    written = 0
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            nonlocal written
            written = done
            progress.update(bar, completed=done, total=total)

        try:
            dataset.write(out, tell)
        except OSError as error:
            raise _cannot_write(out, error) from error
    return written
