"""The scans of a task's subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mribench.data.maps import select_by_id
from mribench.data.prepare import COUNTS
from mribench.data.task_recipes import TaskRecipe, make_task_recipe
from mribench.data.uses import ScanSet, TaskImages
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import Subject
from mribench.interfaces.task import Task, TaskVolume
from mribench.jobs.context import Context
from mribench.registry import Resolved
from mribench.results.records import JobRow
from mribench.results.specification import AdaptSpec, Covariates, EvaluateSpec


def label_identity(task: Resolved) -> dict[str, Any]:
    """Return what of a task its label maps depend on: all but its scores and its decoder."""
    return task.identity(without=("metric", "decoder"))


def voxel_row(counts: Mapping[str, int]) -> JobRow:
    """Return counts of clipped and repaired voxels as the job row has them."""
    clipped, repaired = (counts[name] for name in COUNTS)
    return {"clipped_vox": clipped, "repaired_vox": repaired}


def _with_planned(subject: Subject, covariates: Covariates) -> Subject:
    """Return a subject with the covariates that the job was planned with: its key has them."""
    return replace(subject, covariates={**subject.covariates, **covariates.get(subject.id, {})})


def working_spacing_mm(spec: AdaptSpec | EvaluateSpec) -> float | None:
    """Return the voxel edge of the working grid; None for each image's own."""
    given = spec.adapt["spacing_mm"]
    return float(given) if isinstance(given, int | float) else None


class TaskScans:
    """Reads the scans of a sequence, or of several that are channels, from the store of prepared volumes.

    Attributes:
        label_sources: how many labels lay beside the image (``own``) and how many were the subject's.
    """

    def __init__(
        self,
        spec: AdaptSpec | EvaluateSpec,
        context: Context,
        task: Task,
        ids: Sequence[str],
        spacing_mm: float | None,
    ) -> None:
        self._reader = context.open_reader(spec.data, spec.profile)
        self._task = task
        self._task_identity = label_identity(context.resolve(spec.task, spec.profile))
        self._spacing_mm = spacing_mm
        self._scans = [
            (_with_planned(subject, spec.covariates), scans)
            for subject in select_by_id(self._reader.dataset, ids)
            for scans in TaskImages.of(Channels(spec.channels), task).select(subject)
        ]
        self._recipes: list[TaskRecipe] = []
        self._counts: Counter[str] = Counter()
        self.label_sources: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._scans)

    def __getitem__(self, index: int) -> TaskVolume:
        return self._recipes[index].load()

    def __iter__(self) -> Iterator[TaskVolume]:
        return (self.read(subject, scan) for subject, scan in self._scans)

    def pairs(self) -> Sequence[tuple[Subject, ScanSet]]:
        """Return the scans without reading them."""
        return self._scans

    def prepare(self) -> None:
        """Prepare every scan for reading by place, ``scans[0]`` …, any number of times.

        Raises:
            DataError: when one cannot be read, or has no label and needs one.
        """
        self._recipes = [self._read(subject, scan)[0] for subject, scan in self._scans]

    def read(self, subject: Subject, scan: ScanSet) -> TaskVolume:
        """Read one scan, or its channels, and count what was found in it.

        Raises:
            DataError: when it cannot be read, or has no label and needs one.
        """
        return self._read(subject, scan)[1]

    def _read(self, subject: Subject, scan: ScanSet) -> tuple[TaskRecipe, TaskVolume]:
        recipe = make_task_recipe(
            self._reader, subject, scan, self._task, self._spacing_mm, self._task_identity
        )
        volume = recipe.load()
        self._counts.update(recipe.counts())
        self.label_sources[recipe.source] += 1
        return recipe, volume

    def voxel_counts(self) -> JobRow:
        """Return how many voxels of the scans read so far were clipped and repaired, for the job row."""
        return voxel_row(self._counts)

    def label_source(self) -> str:
        """Return the label sources as the job row has them: ``own:6 subject:1``."""
        return " ".join(f"{source}:{count}" for source, count in sorted(self.label_sources.items()))
