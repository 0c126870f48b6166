"""What ``mribench data table`` does: drafts a table of the scans in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mribench.commands.plugins import load_plugins
from mribench.errors import ConfigError, DataError, did_you_mean
from mribench.interfaces import Dataset
from mribench.registry import Registry
from mribench.wording import count


def draft_table(folder: Path, output: Path | None, dataset: str | None) -> int:
    """Print a draft, or write it to a file that is not there yet.

    Raises:
        ConfigError: when no dataset reads tables, or several do and none is named.
        DataError: when there is nothing to list, or ``output`` cannot be written.
    """
    readers = _readers(load_plugins())
    if dataset is not None and dataset not in readers:
        raise ConfigError(f"--dataset {dataset}: reads no table of scans", did_you_mean(dataset, readers))
    if dataset is None and len(readers) != 1:
        raise ConfigError(
            f"{len(readers)} datasets read tables of scans, expected one",
            f"say --dataset NAME; {did_you_mean('', readers)}",
        )
    draft = readers[dataset or next(iter(readers))].draft_table(folder)
    if output is None:
        sys.stdout.write(draft.text)
    else:
        _write(output, draft.text)
        click.echo(f"{count(draft.images, 'image')} in {output}", err=True)
    for remark in draft.remarks:
        click.secho(remark, fg="yellow", err=True)
    return 0


def _readers(registry: Registry) -> dict[str, type[Dataset]]:
    """Return the datasets that draft tables, by name."""
    readers = {}
    for registered in registry:
        factory = registered.entry.factory
        if isinstance(factory, type) and issubclass(factory, Dataset) and _drafts(factory):
            readers[registered.entry.name] = factory
    return readers


def _drafts(factory: type[Dataset]) -> bool:
    return factory.draft_table.__func__ is not Dataset.draft_table.__func__  # type: ignore[attr-defined]


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise DataError(
            f"{output} is there already, and is not overwritten", "choose another name, or move it away"
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot write {output}: {error.strerror}", "choose a folder that can be written"
        ) from error
