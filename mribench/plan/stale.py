"""Why a job has no result although an older one is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mribench.errors import StoreError
from mribench.plan.changes import Change, changes, differing_references
from mribench.plan.job import Job, Plan
from mribench.results import Store, read_json

UNRECORDED = "the source of a plugin, the files, or the harness"
"""What it can only be where an older mribench did not record it."""
BUILDS_ON = "a job that they build on"


def stale_reasons(plan: Plan, store: Store) -> dict[str, str]:
    """Return, by job id, the names of what an older result of the same name differs in."""
    return {
        name: ", ".join(dict.fromkeys(change.what for change in found))
        for name, found in stale_changes(plan, store).items()
    }


def stale_changes(plan: Plan, store: Store) -> dict[str, tuple[Change, ...]]:
    """Return, by job id, what the newest older result of the same name differs in; never nothing.

    Args:
        plan: the jobs as they are wanted now.
        store: may hold results of other plans.

    Raises:
        StoreError: naming a specification that is damaged.
    """
    if not (store.root / "jobs").is_dir():
        return {}
    done = {key for key in plan.runnable() if store.is_done(key)}
    pending = {job.id: job for job in plan.jobs if job.key is not None and job.key not in done}
    explained = _Explained(plan, store)
    older = _older(plan, store, pending)
    return {name: explained.of(older[name], job) for name, job in pending.items() if name in older}


def specification(store: Store, key: str) -> dict[str, Any]:
    """Return what ``job.json`` of a job says.

    Raises:
        StoreError: when it is not there, or not the specification of a job.
    """
    path = store.directory(key) / "job.json"
    found = read_json(path)
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("payload"), dict)
        or not isinstance(found.get("content", {}), dict)
        or not found.keys() >= {"id", "kind"}
    ):
        raise StoreError(
            f"{path} is not the specification of a job", "restore the file, or delete its folder"
        )
    return found


def _older(plan: Plan, store: Store, pending: Mapping[str, Job]) -> dict[str, dict[str, Any]]:
    """Return the specification of the newest result of each pending job's name."""
    wanted = plan.runnable()
    newest: dict[str, tuple[str, str]] = {}
    found: dict[str, dict[str, Any]] = {}
    for folder in (store.root / "jobs").iterdir():
        if folder.name in wanted or not (folder / "job.json").exists() or not store.is_done(folder.name):
            continue
        older = specification(store, folder.name)
        name = str(older["id"])
        age = (str(read_json(folder / "status.json").get("written") or ""), folder.name)
        if name in pending and age > newest.get(name, ("", "")):
            newest[name], found[name] = age, older
    return found


class _Explained:
    """Compares specifications; the jobs behind many others are compared once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._wanted = plan.runnable()
        self._store = store
        self._behind: dict[tuple[str, str], dict[str, tuple[Change, ...]]] = {}

    def of(self, before: Mapping[str, Any], job: Job) -> tuple[Change, ...]:
        """Return all that changed, for a job and for those that it builds on."""
        own = changes(before, _as_specification(job))
        behind = self._builds_on(before["payload"], job)
        found = [*own, *(_builds_on(name, why) for name, why in behind.items())]
        return tuple(found) or (Change(UNRECORDED, UNRECORDED),)

    def _builds_on(self, payload: Mapping[str, Any], job: Job) -> dict[str, tuple[Change, ...]]:
        """Return by id the jobs behind this one that changed by themselves, and in what."""
        found: dict[str, tuple[Change, ...]] = {}
        for place, (old, new) in differing_references(payload, job.payload).items():
            if old is None or new is None or new not in self._wanted:
                found[place] = ()
            else:
                found |= self._changed(old, new)
        return found

    def _changed(self, old: str, new: str) -> dict[str, tuple[Change, ...]]:
        if (old, new) not in self._behind:
            self._behind[old, new] = self._compare(old, self._wanted[new])
        return self._behind[old, new]

    def _compare(self, old: str, job: Job) -> dict[str, tuple[Change, ...]]:
        if not (self._store.directory(old) / "job.json").exists():
            return {job.id: ()}
        before = specification(self._store, old)
        own = changes(before, _as_specification(job))
        behind = self._builds_on(before["payload"], job)
        if own or not behind:
            return {job.id: own or (Change(UNRECORDED, UNRECORDED),), **behind}
        return behind


def _as_specification(job: Job) -> dict[str, Any]:
    return {"payload": job.payload, "content": job.content}


def _builds_on(name: str, why: tuple[Change, ...]) -> Change:
    details = f" ({'; '.join(change.text for change in why)})" if why else ""
    return Change(BUILDS_ON, f"a job that it builds on: {name}{details}")
