"""Why a job has no result although an older one is there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from mribench.errors import StoreError
from mribench.plan.changes import Change, find_changes
from mribench.plan.job import Job, Plan
from mribench.results import Store
from mribench.results.specification import Specification, find_specification

logger = logging.getLogger("mribench")

UNRECORDED = "the source of a plugin, the files, or the harness"
"""What it can only be where nothing that is recorded differs."""
BUILDS_ON = "a job that they build on"
_STAGES = {"adapt_key": "adapt", "pretrain_key": "pretrain", "trial_keys": "the trials of learning rates"}


def stale_changes(plan: Plan, store: Store) -> dict[str, tuple[Change, ...]]:
    """Return, by job id, what the newest older result of the same name differs in; never nothing.

    Args:
        plan: the jobs as they are wanted now.
        store: may hold results of other plans.

    A specification that is damaged is named, and its result explains nothing.
    """
    if not (store.root / "jobs").is_dir():
        return {}
    done = {key for key in plan.runnable() if store.is_done(key)}
    pending = {job.id: job for job in plan.jobs if job.key is not None and job.key not in done}
    explained = _Explained(plan, store)
    older = _find_older(plan, store, pending)
    return {name: explained.explain(older[name], job) for name, job in pending.items() if name in older}


def _find_older(plan: Plan, store: Store, pending: Mapping[str, Job]) -> dict[str, Specification]:
    """Return the specification of the newest result of each pending job's name."""
    wanted = plan.runnable()
    ages: dict[str, tuple[str, str]] = {}
    newest: dict[str, Specification] = {}
    for folder in (store.root / "jobs").iterdir():
        if folder.name in wanted or not folder.is_dir():
            continue
        status = store.status(folder.name)
        older = _recall(folder) if status.state == "done" else None
        if older is None or older.id not in pending:
            continue
        age = (status.written, folder.name)
        if age > ages.get(older.id, ("", "")):
            ages[older.id], newest[older.id] = age, older
    return newest


def _recall(folder: Path) -> Specification | None:
    """Return the specification of an older result; None where it is gone, or damaged, which is said."""
    try:
        return find_specification(folder)
    except StoreError as error:
        logger.warning("damaged: %s", error.message)
        return None


class _Explained:
    """Compares specifications; the jobs behind many others are compared once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._wanted = plan.runnable()
        self._store = store
        self._behind: dict[tuple[str, str], dict[str, tuple[Change, ...]]] = {}

    def explain(self, before: Specification, job: Job) -> tuple[Change, ...]:
        """Return all that changed, for a job and for those that it builds on."""
        behind = self._find_behind(before, job)
        changes = [*_own_changes(before, job), *(_builds_on(name, why) for name, why in behind.items())]
        return tuple(changes) or (Change(UNRECORDED, UNRECORDED),)

    def _find_behind(self, before: Specification, job: Job) -> dict[str, tuple[Change, ...]]:
        """Return by id the jobs behind this one that changed by themselves, and in what."""
        behind: dict[str, tuple[Change, ...]] = {}
        old_keys = before.spec.builds_on()
        for field, new in job.spec.builds_on().items():
            old = old_keys.get(field, ())
            if len(old) != len(new):
                behind[_STAGES[field]] = ()
                continue
            for old_key, new_key in zip(old, new, strict=True):
                behind |= self._compare_keys(_STAGES[field], old_key, new_key)
        return behind

    def _compare_keys(self, stage: str, old: str, new: str) -> dict[str, tuple[Change, ...]]:
        if old == new:
            return {}
        return self._compare_once(old, new) if new in self._wanted else {stage: ()}

    def _compare_once(self, old: str, new: str) -> dict[str, tuple[Change, ...]]:
        if (old, new) not in self._behind:
            self._behind[old, new] = self._compare(old, self._wanted[new])
        return self._behind[old, new]

    def _compare(self, old: str, job: Job) -> dict[str, tuple[Change, ...]]:
        before = _recall(self._store.directory(old))
        if before is None:
            return {job.id: ()}
        own, behind = _own_changes(before, job), self._find_behind(before, job)
        if own or not behind:
            return {job.id: own or (Change(UNRECORDED, UNRECORDED),), **behind}
        return behind


def _own_changes(before: Specification, job: Job) -> tuple[Change, ...]:
    if job.content is None:  # its data are missing
        return ()
    return find_changes((before.spec, before.content), (job.spec, job.content))


def _builds_on(name: str, why: tuple[Change, ...]) -> Change:
    details = f" ({'; '.join(change.text for change in why)})" if why else ""
    return Change(BUILDS_ON, f"a job that it builds on: {name}{details}")
