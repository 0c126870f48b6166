"""Manifests of several plans of one benchmark, as one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

_LISTS = ("seeds", "arms", "reference_arms")
_TASK_LISTS = ("fractions", "train_sequences", "test_sequences", "sites")


def merge(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one manifest for several, oldest first; where they differ, the newest describes.

    ``profiles`` lists the profiles of all of them.
    """
    newest = manifests[-1]
    merged = {
        **newest,
        **{name: _union(manifest[name] for manifest in manifests) for name in _LISTS},
        "profiles": _union([manifest["profile"]] for manifest in manifests),
        "methods": _by_name((m["methods"] for m in manifests), lambda method: method["name"]),
        "tasks": {},
        "report": {"tables": _union(manifest["report"]["tables"] for manifest in manifests)},
    }
    for manifest in manifests:
        for name, task in manifest["tasks"].items():
            merged["tasks"][name] = _merged_task(merged["tasks"].get(name), task)
    return merged


def _merged_task(older: dict[str, Any] | None, newer: dict[str, Any]) -> dict[str, Any]:
    if older is None:
        return dict(newer)
    lists = {name: _union([older[name], newer[name]]) for name in _TASK_LISTS}
    metrics = _by_name([older["metrics"], newer["metrics"]], lambda metric: metric["id"])
    return {**older, **newer, **lists, "fractions": sorted(lists["fractions"]), "metrics": metrics}


def _union(lists: Iterable[Iterable[Any]]) -> list[Any]:
    return list(dict.fromkeys(item for items in lists for item in items))


def _by_name(
    lists: Iterable[Iterable[dict[str, Any]]], name: Callable[[dict[str, Any]], Hashable]
) -> list[dict[str, Any]]:
    return list({name(item): item for items in lists for item in items}.values())
