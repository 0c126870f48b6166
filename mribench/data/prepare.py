"""From files to what a job works on: maps for pretraining, scans for a task.

Everything here goes through the store of prepared volumes (``mribench.data.prepared``): a file is read,
reoriented and resampled once, and memory-mapped after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mribench.data.head import find_foreground, measure_scale, zscore
from mribench.data.inspection import inspect_file
from mribench.data.prepared import PreparedContent, Recipe, get_volume_store
from mribench.data.uses import ScanSet, find_label_owner
from mribench.errors import DataError
from mribench.interfaces.channels import Channels
from mribench.interfaces.dataset import IMAGE, Dataset, Scan, Subject
from mribench.interfaces.input_file import by_content
from mribench.interfaces.options import Options
from mribench.interfaces.task import Task, TaskVolume
from mribench.volumes import Volume, resample_to, same_grid, target_grid

COUNTS = ("clipped_vox", "repaired_vox")
"""What is counted where files are read; see ``Volume``."""

Identity = Mapping[str, Any]


def identify_reading(entry: Identity, dataset: Dataset, options: Options) -> dict[str, Any]:
    """Return what decides, besides the files, what a dataset reads: its source and options, without paths.

    Args:
        entry: the identity of its entry: ``name``, ``distribution`` and ``source`` are taken.
        dataset: says which options matter.
        options: all of them.
    """
    reading = dataset.reading_options()
    if reading is None:
        reading = {name: value for name, value in options.model_dump().items() if not isinstance(value, Path)}
        reading = by_content(reading)
    return {**{part: entry[part] for part in ("name", "distribution", "source")}, "options": reading}


@dataclass(frozen=True)
class Reader:
    """A dataset, and its ``identify_reading``: without that, nothing that it reads is stored."""

    dataset: Dataset
    identity: Identity | None = None


def make_maps_recipe(reader: Reader, scan: Scan, spacing_mm: float | None) -> Recipe:
    """Return the recipe of all maps of a scan, each ``(I, J, K)`` float32 in RAS, resampled where asked."""

    def build() -> PreparedContent:
        volumes = reader.dataset.read_images(scan)
        moved = {name: _put_on_grid(volume, spacing_mm) for name, volume in volumes.items()}
        spacing = {name: list(volume.spacing_mm) for name, volume in moved.items()}
        arrays = {name: volume.data for name, volume in moved.items()}
        return PreparedContent(arrays, {"spacing_mm": spacing, **_count_repairs(*volumes.values())})

    return Recipe(_describe_origin("maps", reader, scan, spacing_mm), build)


def make_aligned_recipe(reader: Reader, scan: Scan, onto: Scan, spacing_mm: float | None) -> Recipe:
    """Return the recipe of a scan's image ``(I, J, K)`` on the working grid of another scan."""

    def build() -> PreparedContent:
        moving = reader.dataset.read_images(scan)[IMAGE]
        grid = _put_on_grid(reader.dataset.read_images(onto)[IMAGE], spacing_mm)
        moved = resample_to(moving, grid.affine, grid.shape_vox, order=1)
        facts = {"spacing_mm": {IMAGE: list(moved.spacing_mm)}, **_count_repairs(moving)}
        return PreparedContent({IMAGE: moved.data}, facts)

    made_of = _describe_origin("aligned", reader, scan, spacing_mm)
    grid_of = _describe_origin("grid", reader, onto, spacing_mm)
    return Recipe(made_of and grid_of and {**made_of, "onto": grid_of}, build)


def make_head_recipe(reader: Reader, scan: Scan, volume: str, spacing_mm: float | None) -> Recipe:
    """Return the recipe of the head ``(I, J, K)``, boolean, of a scan on its working grid.

    Args:
        reader: reads the files.
        scan: a set of maps, or an image.
        volume: in which the head is found.
        spacing_mm: of the working grid; None for the scan's own.
    """

    def build() -> PreparedContent:
        native = reader.dataset.read_images(scan)[volume]
        head = find_foreground(_put_on_grid(native, spacing_mm).data)
        return PreparedContent({"foreground": head}, _count_repairs(native))

    made_of = _describe_origin("head", reader, scan, spacing_mm)
    return Recipe(made_of and {**made_of, "volume": volume}, build)


def load_maps(recipe: Recipe, scan: Scan, needs: Sequence[str]) -> dict[str, Tensor]:
    """Return the maps of a scan, each ``(I, J, K)`` float32, memory-mapped.

    Args:
        recipe: from ``make_maps_recipe``.
        scan: a set of maps, or an image.
        needs: maps that the view generator cannot do without.

    Raises:
        DataError: when a map is missing.
    """
    arrays = get_volume_store().read(recipe).arrays
    absent = [name for name in needs if name not in arrays]
    if absent:
        files = ", ".join(str(path) for path in scan.images.values())
        raise DataError(
            f"the view generator needs the maps {', '.join(needs)}; {', '.join(absent)} is not among {files}",
            "pretrain on quantitative maps, or choose a view generator that needs images only",
        )
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


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
            to_native=_resampler(image.facts),
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


@dataclass(frozen=True)
class LoadedImage:
    """One scan as a task sees it, without a label.

    Attributes:
        image: ``(1, I, J, K)``, z-scored float32.
        foreground: the head, ``(I, J, K)`` boolean.
        mean: of the image, clipped, in its own units.
        sd: its standard deviation.
        counts: how many voxels were clipped and repaired when the file was read.
    """

    image: Tensor
    foreground: Tensor
    mean: float
    sd: float
    counts: dict[str, int]


def load_image(reader: Reader, subject: Subject, scan: Scan, spacing_mm: float | None) -> LoadedImage:
    """Return one scan as a task sees it, without a label.

    Raises:
        DataError: when the scan cannot be read, or is a set of maps.
    """
    if "image" not in scan.images:
        raise DataError(
            f"subject {subject.id}: {scan.sequence} is a set of maps, expected one image",
            "name sequences of images",
        )
    content = get_volume_store().read(make_image_recipe(reader, scan, spacing_mm))
    image, head = (torch.from_numpy(content.arrays[name]) for name in ("image", "foreground"))
    counts = {name: int(content.facts[name]) for name in COUNTS}
    return LoadedImage(image[None], head, content.facts["mean"], content.facts["sd"], counts)


def make_image_recipe(reader: Reader, scan: Scan, spacing_mm: float | None) -> Recipe:
    """Return the recipe of a scan's image, z-scored, and its foreground, both on the working grid."""

    def build() -> PreparedContent:
        native = reader.dataset.read_images(scan)["image"]
        working = _put_on_grid(native, spacing_mm)
        arrays = {"image": zscore(working.data), "foreground": find_foreground(working.data)}
        grids = {"native": _describe_grid(native), "working": _describe_grid(working)}
        mean, sd = measure_scale(working.data)
        facts = {"mean": mean, "sd": sd, "same_grid": same_grid(native, working)}
        return PreparedContent(arrays, {**grids, **facts, **_count_repairs(native)})

    return Recipe(_describe_origin("image", reader, scan, spacing_mm), build)


def _make_channel_recipe(reader: Reader, scan: Scan, first: Recipe) -> Recipe:
    """Return the recipe of a scan's image, z-scored, on the working grid of another image."""

    def build() -> PreparedContent:
        grid = get_volume_store().read(first).facts["working"]
        native = reader.dataset.read_images(scan)[IMAGE]
        moved = resample_to(native, np.array(grid["affine"]), grid["shape_vox"], order=1)
        return PreparedContent({"image": zscore(moved.data)}, _count_repairs(native))

    made_of = _describe_origin("channel", reader, scan, None)
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
        return PreparedContent(arrays, _count_repairs(memberships))

    files = _digest_scan(owner, label)
    if image.made_of is None or task_identity is None or files is None:
        return Recipe(None, build)
    made_of = {"what": "label", "image": image.made_of, "label": label, "files": files, "task": task_identity}
    return Recipe({**made_of, "sequence": owner.sequence}, build)


def _move_to(classes: Volume, grid: Mapping[str, Any]) -> Volume:
    return resample_to(classes, np.array(grid["affine"]), grid["shape_vox"], order=0)


def _describe_origin(
    what: str, reader: Reader, scan: Scan, spacing_mm: float | None
) -> dict[str, Any] | None:
    files = _digest_scan(scan) if reader.identity is not None else None
    if files is None:
        return None
    spacing = None if spacing_mm is None else float(spacing_mm)
    reading = {"reading": reader.identity, "sequence": scan.sequence}
    return {"what": what, "files": files, "spacing_mm": spacing, **reading}


def _digest_scan(scan: Scan, label: str | None = None) -> list[list[Any]] | None:
    """Return role, file name and digest of each image, or of each file of a label; None if one is not there.

    The name is there because a dataset may tell a map's unit by it.
    """
    if label is None:
        files = [(name, 0, path) for name, path in sorted(scan.images.items())]
    else:
        files = [(label, place, path) for place, path in enumerate(scan.labels[label])]
    found = [
        [*role, path.name, inspect_file(path, label is not None, scan.is_maps).digest]
        for *role, path in files
    ]
    return found if all(digest for *_, digest in found) else None


def _put_on_grid(volume: Volume, spacing_mm: float | None) -> Volume:
    if spacing_mm is None or np.allclose(volume.spacing_mm, spacing_mm, atol=1e-3):
        return volume
    affine, shape = target_grid(volume, spacing_mm)
    return resample_to(volume, affine, shape, order=1)


def _shrink_dtype(classes: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest of uint8, int16, int32 and int64 that holds them."""
    low, high = int(classes.min()), int(classes.max())
    for dtype in (np.uint8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return classes.astype(dtype)
    return classes.astype(np.int64)


def _count_repairs(*volumes: Volume) -> dict[str, int]:
    return sum_counts(vars(volume) for volume in volumes)


def sum_counts(parts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sum of each of ``COUNTS`` over some parts that have them."""
    total = Counter(dict.fromkeys(COUNTS, 0))
    for part in parts:
        total.update({name: int(part[name]) for name in COUNTS})
    return dict(total)


def _describe_grid(volume: Volume) -> dict[str, Any]:
    shape, spacing = list(volume.shape_vox), list(volume.spacing_mm)
    return {"affine": volume.affine.tolist(), "shape_vox": shape, "spacing_mm": spacing}


class _resampler:  # noqa: N801 - a picklable closure
    """Brings ``(C, I, J, K)`` from the working grid to the image's own, linearly per channel."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._same = facts["same_grid"]
        self._affine = np.array(facts["working"]["affine"])
        self._native = (np.array(facts["native"]["affine"]), facts["native"]["shape_vox"])

    def __call__(self, values: Tensor) -> Tensor:
        if self._same:
            return values
        channels = [resample_to(Volume(c.numpy(), self._affine), *self._native, order=1).data for c in values]
        return torch.from_numpy(np.stack(channels))
