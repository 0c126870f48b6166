"""The samples of a task: images on the working grid, the label on both, and what brings a result back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mribench.data.head import zscore
from mribench.data.prepare import (
    Identity,
    Reader,
    count_repairs,
    describe_origin,
    digest_scan,
    make_image_recipe,
    sum_counts,
)
from mribench.data.prepared import PreparedContent, Recipe, get_volume_store
from mribench.data.to_native import ToNative
from mribench.data.uses import ScanSet, find_label_owner
from mribench.errors import DataError
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import IMAGE, Dataset, Scan, Subject
from mribench.interfaces.task import Task, TaskVolume
from mribench.volumes import Volume, resample_to


@dataclass(frozen=True)
class TaskRecipe:
    """One scan for a task.

    Attributes:
        image: recipe of the first channel and the foreground on the working grid.
        label: recipe of the class map, or None where the task has no label.
        source: where the label comes from (``own``, ``subject``, ``none``).
        subject: whom the scans are of.
        scan: the first channel.
        sequence: of the scans, by their name.
        others: recipes of the other channels on the same grid.
        target: recipe of the image to predict, likewise; None where there is none.
    """

    image: Recipe
    label: Recipe | None
    source: str
    subject: Subject
    scan: Scan
    sequence: str
    others: tuple[Recipe, ...] = ()
    target: Recipe | None = None

    def load(self) -> TaskVolume:
        """Return the scan, memory-mapped."""
        store = get_volume_store()
        image = store.read(self.image)
        classes = store.read(self.label).arrays if self.label else {}
        on_working = classes.get("working", classes.get("native"))
        return TaskVolume(
            subject=self.subject.id,
            session=self.scan.session,
            sequence=self.sequence,
            image=self._stack(image),
            foreground=torch.from_numpy(image.arrays["foreground"]),
            label=None if on_working is None else torch.from_numpy(on_working),
            native_label=classes.get("native"),
            spacing_mm=tuple(image.facts["working"]["spacing_mm"]),
            native_spacing_mm=tuple(image.facts["native"]["spacing_mm"]),
            to_native=ToNative(image.facts),
            covariates=dict(self.subject.covariates),
            mean=image.facts["mean"],
            sd=image.facts["sd"],
            target=None if self.target is None else _load_channel(self.target)[None],
        )

    def _stack(self, first: PreparedContent) -> Tensor:
        """Return the channels ``(C, I, J, K)``; one alone stays mapped."""
        image = torch.from_numpy(first.arrays["image"])
        return torch.stack([image, *map(_load_channel, self.others)]) if self.others else image[None]

    def recipes(self) -> list[Recipe]:
        """Return all that it is made of."""
        optional = [recipe for recipe in (self.label, self.target) if recipe is not None]
        return [self.image, *self.others, *optional]

    def counts(self) -> dict[str, int]:
        """Return how many voxels were clipped and repaired when the files were read."""
        recipes = {id(recipe): recipe for recipe in self.recipes()}
        return sum_counts(get_volume_store().read(recipe).facts for recipe in recipes.values())


def _load_channel(recipe: Recipe) -> Tensor:
    return torch.from_numpy(get_volume_store().read(recipe).arrays["image"])


def make_task_recipe(
    reader: Reader,
    subject: Subject,
    scans: Scan | ScanSet,
    task: Task,
    spacing_mm: float | None,
    task_identity: Identity | None = None,
) -> TaskRecipe:
    """Return the recipes of the scans of one sample for a task.

    Args:
        reader: reads the files.
        subject: whom the scans are of.
        scans: have an image each; one scan, or its channels and its target.
        task: maps class memberships to classes.
        spacing_mm: isotropic voxel size of the working grid; None keeps the image's own.
        task_identity: of the task's entry; without it, labels are not stored.

    Raises:
        DataError: when the task needs a label and the subject has none.
    """
    asked = scans if isinstance(scans, ScanSet) else ScanSet((scans,))
    scan = asked.first
    image = make_image_recipe(reader, scan, spacing_mm)

    def on_grid(other: Scan) -> Recipe:
        return image if other is scan else _make_channel_recipe(reader, other, image)

    made = TaskRecipe(
        image, None, "none", subject, scan,
        sequence=Channels(tuple(channel.sequence for channel in asked.channels)).name,
        others=tuple(on_grid(other) for other in asked.channels[1:]),
        target=None if asked.target is None else on_grid(asked.target),
    )  # fmt: skip
    if task.label is None:
        return made
    owner = find_label_owner(subject, scan, task.label)
    if owner is None:
        of_session = f" of session '{scan.session}'" if scan.session else ""
        raise DataError(
            f"subject {subject.id} has no '{task.label}' label for its {scan.sequence} scan{of_session}",
            "leave the subject out of the split, or put its label beside the image",
        )
    source = "own" if owner is scan else "subject"
    label = _label_recipe(reader, owner, task, task.label, image, task_identity)
    return replace(made, label=label, source=source)


def load_task_volume(
    dataset: Dataset, subject: Subject, scan: Scan, task: Task, spacing_mm: float | None
) -> tuple[TaskVolume, str]:
    """Return one scan ready for a task, read anew, and where its label came from; jobs use the store."""
    recipe = make_task_recipe(Reader(dataset), subject, scan, task, spacing_mm)
    return recipe.load(), recipe.source


def _make_channel_recipe(reader: Reader, scan: Scan, first: Recipe) -> Recipe:
    """Return the recipe of a scan's image, z-scored, on the working grid of another image."""

    def build() -> PreparedContent:
        grid = get_volume_store().read(first).facts["working"]
        native = reader.dataset.read_images(scan)[IMAGE]
        moved = resample_to(native, np.array(grid["affine"]), grid["shape_vox"], order=1)
        return PreparedContent({"image": zscore(moved.data)}, count_repairs(native))

    made_of = describe_origin("channel", reader, scan, None)
    return Recipe(made_of and first.made_of and {**made_of, "onto": first.made_of}, build)


def _label_recipe(
    reader: Reader, owner: Scan, task: Task, label: str, image: Recipe, task_identity: Identity | None
) -> Recipe:
    """Return the recipe of a class map on the image's own grid and, where it is another, the working one."""

    def build() -> PreparedContent:
        facts = get_volume_store().read(image).facts
        memberships = reader.dataset.read_labels(owner, label)
        classes = Volume(task.label_map(memberships.data).astype(np.float32), memberships.affine)
        on_native = _move_to(classes, facts["native"])
        arrays = {"native": _shrink_dtype(on_native.data)}
        if not facts["same_grid"]:
            arrays["working"] = _shrink_dtype(_move_to(on_native, facts["working"]).data)
        return PreparedContent(arrays, count_repairs(memberships))

    files = digest_scan(owner, label)
    if image.made_of is None or task_identity is None or files is None:
        return Recipe(None, build)
    made_of = {"what": "label", "image": image.made_of, "label": label, "files": files, "task": task_identity}
    return Recipe({**made_of, "sequence": owner.sequence}, build)


def _move_to(classes: Volume, grid: Mapping[str, Any]) -> Volume:
    return resample_to(classes, np.array(grid["affine"]), grid["shape_vox"], order=0)


def _shrink_dtype(classes: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest of uint8, int16, int32 and int64 that holds them."""
    low, high = int(classes.min()), int(classes.max())
    for dtype in (np.uint8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return classes.astype(dtype)
    return classes.astype(np.int64)
