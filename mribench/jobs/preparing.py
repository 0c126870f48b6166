"""Which scans jobs read, and their preparation before any job runs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mribench.config import PretrainSettings
from mribench.data.class_maps import make_classes_recipe
from mribench.data.maps import make_shown_recipe
from mribench.data.prepare import Reader, identify_reading, make_head_recipe, make_image_recipe
from mribench.data.prepared import Recipe, State, get_volume_store
from mribench.data.showing import Showing
from mribench.data.task_recipes import make_task_recipe
from mribench.data.uses import ScanSet, TaskImages
from mribench.digests import canonical_json
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import Dataset, Subject
from mribench.interfaces.options import Component, DatasetRef, TaskRef
from mribench.interfaces.task import Task
from mribench.interfaces.views import ViewGenerator
from mribench.jobs.volumes import label_identity, working_spacing_mm
from mribench.registry import Registry, Resolved
from mribench.results.specification import (
    AdaptSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    PretrainSpec,
)


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
        onto: place of the scan on whose working grid the maps are wanted.
        head: volume in which the head is found; empty where it is not wanted.
        label: that is wanted beside the maps; empty for none.
        volume: whose grid the label is wanted on.
        others: places of the other channels of a task's sample.
        target: place of the image that a task predicts; None where it predicts none.
    """

    profile: str
    data: str
    subject: str
    place: int
    spacing_mm: float | None
    task: str = ""
    maps: bool = False
    onto: int = 0
    head: str = ""
    label: str = ""
    volume: str = ""
    others: tuple[int, ...] = ()
    target: int | None = None


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

    def find_wanted(self, specs: Iterable[JobSpec]) -> list[Wanted]:
        """Return what jobs read, each scan once for each way of reading it.

        Raises:
            DataError: when a subject has not the maps that a job needs.
        """
        return list(dict.fromkeys(wanted for spec in specs for wanted in self._read_by(spec)))

    def prepare(self, wanted: Wanted, verify: bool = False) -> list[Made]:
        """Prepare one scan.

        Args:
            wanted: from ``find_wanted``.
            verify: compare the checksums of what is there.

        Raises:
            DataError: when it cannot be read.
        """
        store, made = get_volume_store(), []
        for recipe in self._recipes(wanted):
            content, state = store.prepare(recipe, verify)
            made.append(Made(recipe.key, state, content.n_bytes))
        return made

    def _read_by(self, spec: JobSpec) -> Iterator[Wanted]:
        match spec:
            case PretrainSpec():
                yield from self._read_to_pretrain(spec)
            case EmbedSpec():
                yield from self._read_to_embed(spec)
            case AdaptSpec():
                yield from self._read_for_task(spec, (*spec.train, *spec.validation))
            case EvaluateSpec():
                yield from self._read_for_task(spec, spec.subjects)

    def _read_to_pretrain(self, spec: PretrainSpec) -> Iterator[Wanted]:
        generator: ViewGenerator = self._resolve(spec.views, spec.profile).make()
        options = PretrainSettings.model_validate(spec.pretrain)
        head = generator.needs[0] if options.min_foreground is not None else ""
        for source in spec.sources:
            showing = Showing.of(generator, source.sequences)
            data = _to_json(source.data)
            for subject in self._subjects(data, spec.profile, (*source.train, *source.held_out)):
                for group in showing.require_groups(subject):
                    onto = subject.scans.index(group[0])
                    for place in map(subject.scans.index, group):
                        seen = head if place == onto else ""
                        yield Wanted(
                            spec.profile, data, subject.id, place, options.spacing_mm, maps=True, onto=onto,
                            head=seen, label=generator.needs_label, volume=generator.needs[0],
                        )  # fmt: skip

    def _read_to_embed(self, spec: EmbedSpec) -> Iterator[Wanted]:
        data = _to_json(spec.data)
        for subject in self._subjects(data, spec.profile, spec.subjects):
            for place, scan in enumerate(subject.scans):
                if scan.sequence in spec.sequences:
                    yield Wanted(spec.profile, data, subject.id, place, spec.spacing_mm)

    def _read_for_task(self, spec: AdaptSpec | EvaluateSpec, ids: Iterable[str]) -> Iterator[Wanted]:
        read_for, data, spacing_mm = _to_json(spec.task), _to_json(spec.data), working_spacing_mm(spec)
        images = TaskImages.of(Channels(spec.channels), self._tasks(read_for, spec.profile)[0])
        for subject in self._subjects(data, spec.profile, ids):
            for scans in images.select(subject):
                first, *others = map(subject.scans.index, scans.channels)
                target = None if scans.target is None else subject.scans.index(scans.target)
                yield Wanted(
                    spec.profile, data, subject.id, first, spacing_mm, read_for, others=tuple(others),
                    target=target,
                )  # fmt: skip

    def _recipes(self, wanted: Wanted) -> Iterator[Recipe]:
        reader, subjects = self._opened(wanted.data, wanted.profile)
        subject = subjects[wanted.subject]
        scan = subject.scans[wanted.place]
        if wanted.maps:
            yield make_shown_recipe(reader, scan, subject.scans[wanted.onto], wanted.spacing_mm)
            if wanted.label:
                yield make_classes_recipe(reader, scan, wanted.label, wanted.volume, wanted.spacing_mm)
            if wanted.head:
                yield make_head_recipe(reader, scan, wanted.head, wanted.spacing_mm)
        elif not wanted.task:
            yield make_image_recipe(reader, scan, wanted.spacing_mm)
        else:
            task, identity = self._tasks(wanted.task, wanted.profile)
            channels = (scan, *(subject.scans[place] for place in wanted.others))
            target = None if wanted.target is None else subject.scans[wanted.target]
            scans = ScanSet(channels, target)
            yield from make_task_recipe(reader, subject, scans, task, wanted.spacing_mm, identity).recipes()

    def _subjects(self, data: str, profile: str, ids: Iterable[str]) -> list[Subject]:
        _, subjects = self._opened(data, profile)
        return [subjects[name] for name in ids]  # planned from the same files right before

    def _open(self, data: str, profile: str) -> tuple[Reader, dict[str, Subject]]:
        resolved = self._resolve(DatasetRef.model_validate_json(data), profile)
        dataset: Dataset = resolved.make()
        identity = identify_reading(resolved.identity(), dataset, resolved.options)
        return Reader(dataset, identity), {subject.id: subject for subject in dataset.subjects()}

    def _task(self, task: str, profile: str) -> tuple[Task, dict[str, Any]]:
        resolved = self._resolve(TaskRef.model_validate_json(task), profile)
        return resolved.make(), label_identity(resolved)

    def _resolve(self, component: Component, profile: str) -> Resolved:
        return self._registry.resolve(component, f"data prepare: {component.kind}", profile)


def _to_json(component: Component) -> str:
    return canonical_json(component.model_dump(mode="json"))
