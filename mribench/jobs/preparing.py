"""Which scans jobs read, and their preparation before any job runs."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mribench.data.maps import usable_scans
from mribench.data.prepare import Reader, image_recipe, maps_recipe, reading_identity, task_recipe
from mribench.data.prepared import Recipe, State, volume_store
from mribench.data.uses import scans_for
from mribench.interfaces.dataset import Dataset, Subject
from mribench.interfaces.options import Component, DatasetRef, TaskRef, ViewsRef
from mribench.jobs.volumes import label_identity
from mribench.registry import Registry, Resolved


@dataclass(frozen=True)
class Wanted:
    """One scan as jobs read it; can be sent to another process.

    Attributes:
        profile: of the benchmark.
        data: the dataset's component, JSON.
        subject: subject id.
        place: of the scan among the subject's.
        spacing_mm: of the working grid; None for the scan's own.
        task: the component of the task that reads it, JSON; empty for pretraining and embeddings.
        maps: whether all maps are wanted, or the image alone.
    """

    profile: str
    data: str
    subject: str
    place: int
    spacing_mm: float | None
    task: str = ""
    maps: bool = False


@dataclass(frozen=True)
class Made:
    """What became of one prepared volume: its key, where it came from, and its size."""

    key: str
    state: State
    n_bytes: int


class Preparation:
    """Finds and prepares the scans of jobs; looks at each dataset once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._opened = functools.cache(self._open)
        self._tasks = functools.cache(self._task)

    def wanted(self, jobs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Wanted]:
        """Return what jobs, each (kind, payload), read, each scan once for each way of reading it.

        Raises:
            DataError: when a subject has not the maps that a job needs.
        """
        return list(dict.fromkeys(wanted for kind, payload in jobs for wanted in self._of(kind, payload)))

    def prepare(self, wanted: Wanted, verify: bool = False) -> list[Made]:
        """Prepare one scan.

        Args:
            wanted: from ``wanted``.
            verify: compare the checksums of what is there.

        Raises:
            DataError: when it cannot be read.
        """
        store, made = volume_store(), []
        for recipe in self._recipes(wanted):
            content, state = store.prepare(recipe, verify)
            made.append(Made(recipe.key, state, content.n_bytes))
        return made

    def _of(self, kind: str, payload: Mapping[str, Any]) -> Iterator[Wanted]:
        if kind == "pretrain":
            needs = self._resolve(ViewsRef, payload["views"], payload["profile"]).make().needs
            spacing_mm = payload["pretrain"]["spacing_mm"]
            for subject in self._subjects(payload, (*payload["train"], *payload["held_out"])):
                for scan in usable_scans(subject, needs):
                    yield self._one(payload, subject, subject.scans.index(scan), spacing_mm, maps=True)
        elif kind == "embed":
            sequences = set(payload["sequences"])
            yield from self._scans(payload, payload["subjects"], sequences, payload["spacing_mm"], None)
        elif kind == "adapt":
            people, spacing_mm = (*payload["train"], *payload["validation"]), payload["adapt"]["spacing_mm"]
            yield from self._scans(payload, people, {payload["sequence"]}, spacing_mm, payload["task"])
        else:
            sequences, spacing_mm = {payload["cell"]["test_sequence"]}, payload["adapt_options"]["spacing_mm"]
            yield from self._scans(payload, payload["subjects"], sequences, spacing_mm, payload["task"])

    def _scans(
        self,
        payload: Mapping[str, Any],
        ids: Iterable[str],
        sequences: set[str],
        spacing_mm: float | None,
        task: Mapping[str, Any] | None,
    ) -> Iterator[Wanted]:
        label = self._tasks(_json(task), payload["profile"])[0].label if task else None
        for subject in self._subjects(payload, ids):
            for place, scan in enumerate(subject.scans):
                if scan.sequence in sequences and scan in scans_for(subject, scan.sequence, label):
                    yield self._one(payload, subject, place, spacing_mm, task)

    def _one(
        self,
        payload: Mapping[str, Any],
        subject: Subject,
        place: int,
        spacing_mm: float | None,
        task: Mapping[str, Any] | None = None,
        maps: bool = False,
    ) -> Wanted:
        data, of_task = _json(payload["data"]), _json(task) if task else ""
        return Wanted(payload["profile"], data, subject.id, place, spacing_mm, of_task, maps)

    def _recipes(self, wanted: Wanted) -> Iterator[Recipe]:
        reader, subjects = self._opened(wanted.data, wanted.profile)
        subject = subjects[wanted.subject]
        scan = subject.scans[wanted.place]
        if wanted.maps:
            yield maps_recipe(reader, scan, wanted.spacing_mm)
        elif not wanted.task:
            yield image_recipe(reader, scan, wanted.spacing_mm)
        else:
            task, identity = self._tasks(wanted.task, wanted.profile)
            recipe = task_recipe(reader, subject, scan, task, wanted.spacing_mm, identity)
            yield recipe.image
            if recipe.label is not None:
                yield recipe.label

    def _subjects(self, payload: Mapping[str, Any], ids: Iterable[str]) -> list[Subject]:
        _, subjects = self._opened(_json(payload["data"]), payload["profile"])
        return [subjects[name] for name in ids]  # planned from the same files right before

    def _open(self, data: str, profile: str) -> tuple[Reader, dict[str, Subject]]:
        resolved = self._resolve(DatasetRef, json.loads(data), profile)
        dataset: Dataset = resolved.make()
        identity = reading_identity(resolved.identity(), dataset, resolved.options)
        return Reader(dataset, identity), {subject.id: subject for subject in dataset.subjects()}

    def _task(self, task: str, profile: str) -> tuple[Any, dict[str, Any]]:
        resolved = self._resolve(TaskRef, json.loads(task), profile)
        return resolved.make(), label_identity(resolved)

    def _resolve(self, kind: type[Component], component: Mapping[str, Any], profile: str) -> Resolved:
        where = f"data prepare: {kind.kind}"
        return self._registry.resolve(kind.model_validate(dict(component)), where, profile)


def _json(component: Mapping[str, Any]) -> str:
    return json.dumps(dict(component), sort_keys=True)
