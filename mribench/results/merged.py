"""Manifests of several plans of one benchmark, as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.results.manifest import Manifest, PlannedTask, ReportSpec

Item = TypeVar("Item")


def merge(manifests: Sequence[Manifest]) -> Manifest:
    """Return one manifest for several, oldest first; where they differ, the newest describes."""
    newest = manifests[-1]
    profiles = _union(each.profiles for each in manifests)
    variants = _union(each.variants for each in manifests)
    return newest.model_copy(
        update={
            "profiles": profiles,
            "variants": tuple(label for label in variants if label not in profiles),
            "shown_defects": _newest_of(each.shown_defects for each in manifests),
            "empty_masks": _newest_of(each.empty_masks for each in manifests),
            "measured_defects": _newest(
                (each.measured_defects for each in manifests), lambda defect: (defect.base, defect.name)
            ),
            "seeds": _union(each.seeds for each in manifests),
            "methods": _newest((each.methods for each in manifests), lambda method: method.name),
            "arms": _union(each.arms for each in manifests),
            "reference_arms": _union(each.reference_arms for each in manifests),
            "tasks": _merged_tasks(manifests),
            "cohorts": _newest_of(each.cohorts for each in manifests),
            "report": ReportSpec(
                tables=list(_union(each.report.tables for each in manifests)),
                layouts=_newest_of(each.report.layouts for each in manifests),
                examples=all(each.report.examples for each in manifests),
            ),
            "jobs": tuple(job for each in manifests for job in each.jobs),
        }
    )


def _merged_tasks(manifests: Iterable[Manifest]) -> dict[str, PlannedTask]:
    merged: dict[str, PlannedTask] = {}
    for manifest in manifests:
        for name, task in manifest.tasks.items():
            merged[name] = _merged_task(merged[name], task) if name in merged else task
    return merged


def _merged_task(older: PlannedTask, newer: PlannedTask) -> PlannedTask:
    return newer.model_copy(
        update={
            "fractions": tuple(sorted({*older.fractions, *newer.fractions})),
            "train_sequences": _union([older.train_sequences, newer.train_sequences]),
            "test_sequences": _union([older.test_sequences, newer.test_sequences]),
            "sites": _union([older.sites, newer.sites]),
            "metrics": _newest([older.metrics, newer.metrics], lambda metric: metric.id),
        }
    )


def _union(lists: Iterable[Iterable[Item]]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def _newest(lists: Iterable[Iterable[Item]], identify: Callable[[Item], Hashable]) -> tuple[Item, ...]:
    """Return each item once, the last one of those with one identity in the place of the first."""
    return tuple({identify(item): item for items in lists for item in items}.values())


def _newest_of(mappings: Iterable[dict[str, Item]]) -> dict[str, Item]:
    return {name: item for mapping in mappings for name, item in mapping.items()}


def policy_of(manifest: Manifest, profile: str) -> EmptyMaskPolicy | None:
    """Return how the rows of a profile count where a mask is empty; None for the metrics' own penalties."""
    return manifest.empty_masks.get(profile)


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
