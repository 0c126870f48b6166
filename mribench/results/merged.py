"""Manifests of several plans of one benchmark, as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from mribench.interfaces.entry import EmptyMaskPolicy

_LISTS = ("seeds", "arms", "reference_arms")
_TASK_LISTS = ("fractions", "train_sequences", "test_sequences", "sites")


def merge(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one manifest for several, oldest first; where they differ, the newest describes.

    Beside what a manifest has: ``profiles`` lists the profiles of all; ``shown_defects`` has, by profile, the
    known defects that it reproduces with their sentences; ``empty_masks`` how it counts those, null for the
    penalties of the metrics; ``measured_defects`` lists those to be measured,
    each a mapping with ``name``, ``summary``, ``metrics``, ``empty_masks``, ``profile`` (label of the rows that show it, null
    when it changes the report only) and ``base`` (that of the rows without it). ``variants`` are the labels
    of rows that stand in no other table.
    """
    newest = manifests[-1]
    merged = {
        **newest,
        **{name: _union(manifest[name] for manifest in manifests) for name in _LISTS},
        "profiles": _union([manifest["profile"]] for manifest in manifests),
        "shown_defects": {m["profile"]: dict(m.get("defects", {}).get("shown", {})) for m in manifests},
        "empty_masks": {m["profile"]: m.get("defects", {}).get("empty_masks") for m in manifests},
        "measured_defects": _by_name(
            map(_measured, manifests), lambda defect: (defect["base"], defect["name"])
        ),
        "variants": [
            label
            for label in _union(manifest.get("variants", ()) for manifest in manifests)
            if label not in {manifest["profile"] for manifest in manifests}
        ],
        "methods": _by_name((m["methods"] for m in manifests), lambda method: method["name"]),
        "tasks": {},
        "cohorts": {name: about for m in manifests for name, about in m.get("cohorts", {}).items()},
        "report": {
            "examples": all(manifest["report"].get("examples", True) for manifest in manifests),
            "tables": _union(manifest["report"]["tables"] for manifest in manifests),
            "layouts": {
                name: layout
                for manifest in manifests
                for name, layout in manifest["report"].get("layouts", {}).items()
            },
        },
    }
    for manifest in manifests:
        for name, task in manifest["tasks"].items():
            merged["tasks"][name] = _merged_task(merged["tasks"].get(name), task)
    return merged


def shown_as(manifest: dict[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with another ``report:`` part, in the benchmark file that it holds too.

    Args:
        manifest: of a plan, or of several merged.
        report: the part as JSON: ``tables``, and ``layouts`` by name.
    """
    config = {"config": {**manifest["config"], "report": report}} if "config" in manifest else {}
    return {**manifest, **config, "report": report}


def policy_of(manifest: Mapping[str, Any], profile: str) -> EmptyMaskPolicy | None:
    """Return how the rows of a profile count where a mask is empty; None for the metrics' own penalties."""
    policy = manifest.get("empty_masks", {}).get(profile)
    return EmptyMaskPolicy(**policy) if policy else None


def profile_sentence(shown: Mapping[str, Collection[str]]) -> str:
    """Return the sentence ``Profile: as-released, reproducing the known defects: a, b.`` of a caption.

    Args:
        shown: names of the known defects, by profile.
    """
    texts = [
        f"{profile}, reproducing the known defects: {', '.join(sorted(names))}" if names else profile
        for profile, names in shown.items()
    ]
    return f"Profile: {('; ' if any(shown.values()) else ', ').join(texts)}."


def profiles_shown(manifest: Mapping[str, Any]) -> dict[str, Collection[str]]:
    """Return, by profile of a merged manifest, the names of the known defects that it reproduces."""
    shown = manifest.get("shown_defects", {})
    return {profile: list(shown.get(profile, ())) for profile in manifest["profiles"]}


def _measured(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = manifest.get("defects", {}).get("measured", {})
    return [{**defect, "name": name, "base": manifest["profile"]} for name, defect in found.items()]


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
