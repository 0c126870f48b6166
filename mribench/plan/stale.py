"""Why a job has no result although an older one is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mribench.errors import StoreError
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
            name, payload = _specification(folder / "job.json")
            older[name] = payload
    return {
        job.id: _difference(older[job.id], job.payload)
        for key, job in wanted.items()
        if job.id in older and not store.is_done(key)
    }


def _specification(path: Path) -> tuple[str, Mapping[str, Any]]:
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("payload"), dict) or "id" not in found:
        raise StoreError(
            f"{path} is not the specification of a job", "restore the file, or delete its folder"
        )
    return str(found["id"]), found["payload"]


_DERIVED = ("cell", "split_digest")
"""Parts of a payload that follow from others."""


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    before, after = _plain(before), _plain(after)
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    # an adapt or evaluate job names the jobs before it by their keys, which say nothing to people
    keys = {name for name in names if name in ("pretrain", "adapt") and not isinstance(after.get(name), dict)}
    own = sorted(names.difference(keys, _DERIVED)) or sorted(names.difference(keys) if not keys else ())
    if own:
        return ", ".join(own)
    return "a job that they build on" if keys else "the source of a plugin, the files, or the harness"


def _plain(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload as it comes back from its file: tuples are lists."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(payload)))
    return plain
