"""Why a job has no result although an older one is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mribench.plan.job import Plan
from mribench.store import Store, read_json


def stale_reasons(plan: Plan, store: Store) -> dict[str, str]:
    """Return, by job id, what an older result of the same name differs in.

    Args:
        plan: the jobs as they are wanted now.
        store: may hold results of other plans.
    """
    wanted = plan.runnable()
    if not (store.root / "jobs").is_dir():
        return {}
    older = {}
    for folder in (store.root / "jobs").iterdir():
        if folder.name not in wanted and (folder / "job.json").exists() and store.is_done(folder.name):
            specification = read_json(folder / "job.json")
            older[specification["id"]] = specification["payload"]
    return {
        job.id: _difference(older[job.id], job.payload)
        for key, job in wanted.items()
        if job.id in older and not store.is_done(key)
    }


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*before, *after} if _plain(before.get(name)) != _plain(after.get(name)))
    return ", ".join(names) if names else "the source of a plugin, the files, or the harness"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
