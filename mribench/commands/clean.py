"""What ``mribench clean`` does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from mribench.commands import RUBBISH
from mribench.commands.status import check_results
from mribench.results import Lease, LeaseState, Store
from mribench.results.load import read_manifests
from mribench.results.specification import find_specification
from mribench.results.store import CHECKPOINT
from mribench.results.sweep import GRAVE, find_hidden
from mribench.wording import count, size

BY_DEFAULT = tuple(name for name in RUBBISH if name != "plans")


@dataclass(frozen=True)
class _Rubbish:
    """A file or folder that can go.

    Attributes:
        path: of it.
        name: for people.
        job: folder of the job that it is of; None of a plan, or of what is of no job.
    """

    path: Path
    name: str
    job: Path | None

    def n_bytes(self) -> int:
        """Return how much room it takes."""
        files = [self.path, *self.path.rglob("*")] if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())


def clean_results(directory: Path, what: tuple[str, ...], yes: bool) -> int:
    """Say what in DIRECTORY no result needs, and delete it when told to."""
    store = check_results(directory)
    wanted = what or BY_DEFAULT
    total, found = 0, 0
    for name in [name for name in RUBBISH if name in wanted]:
        rubbish = [each for each in _find(store, name, "plans" in wanted) if _is_idle(each)]
        n_bytes = sum(each.n_bytes() for each in rubbish)
        click.echo(f"{name}: {len(rubbish)} ({size(n_bytes)}): {RUBBISH[name]}")
        for each in rubbish:
            click.echo(f"  {each.name}")
            if yes:
                _delete(each.path)
        total, found = total + n_bytes, found + len(rubbish)
    said = f"{count(found, 'item')}, {size(total)}"
    click.echo(f"deleted: {said}" if yes else f"{said} would be deleted; --yes does it")
    return 0


def _find(store: Store, what: str, with_plans: bool) -> Iterator[_Rubbish]:
    """Yield what can go of one sort."""
    if what == "plans":
        for path in _list_old_plans(store.root):
            yield _Rubbish(path, path.name, None)
        return
    if what == "temporary":
        yield from _list_temporary(store.root)
        return
    asked = _list_asked(store.root, with_plans)
    if not asked:
        return  # without plans nothing is known of what is wanted
    for folder in sorted((store.root / "jobs").glob("*")):
        if not folder.is_dir():
            continue  # not one of ours
        said = find_specification(folder)
        name = said.id if said else folder.name
        state = store.status(folder.name).state
        if what == "stale" and folder.name not in asked:
            yield _Rubbish(folder, f"{name} ({folder.name})", folder)
        elif what == "failed" and state == "failed" and folder.name in asked:
            yield _Rubbish(folder, name, folder)
        elif what == "checkpoints" and state == "done" and (folder / CHECKPOINT).exists():
            yield _Rubbish(folder / CHECKPOINT, name, folder)


def _list_asked(root: Path, newest_only: bool) -> set[str]:
    """Return the keys of the jobs that plans ask for."""
    old = set(_list_old_plans(root)) if newest_only else set()
    kept = [path for path in (root / "plans").glob("*.json") if path not in old]
    manifests = [manifest for path in kept for manifest in read_manifests(root, path.stem)]
    return {job.key for manifest in manifests for job in manifest.jobs if job.key}


def _list_old_plans(root: Path) -> list[Path]:
    """Return the plans of which there is a newer one of the same benchmark file."""
    dated = []
    for path in (root / "plans").glob("*.json"):
        (manifest,) = read_manifests(root, path.stem)
        dated.append((manifest.created, manifest.file, path))
    newest = {file: path for _, file, path in sorted(dated)}
    return [path for _, file, path in sorted(dated) if newest[file] != path]


def _list_temporary(root: Path) -> Iterator[_Rubbish]:
    """Yield hidden files that are older than any write takes."""
    for path in sorted(find_hidden(root)):
        job = path.parent if path.parent.parent.name == "jobs" else None
        yield _Rubbish(path, str(path.relative_to(root)), job)


def _is_idle(rubbish: _Rubbish) -> bool:
    """Whether nobody works on the job."""
    return rubbish.job is None or Lease.state(rubbish.job) is not LeaseState.HELD


def _delete(path: Path) -> None:
    """Delete a file; a folder is moved away in one step first, so that no run finds half of it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    grave = path.with_name(GRAVE.format(path.name))
    path.rename(grave)
    shutil.rmtree(grave)
