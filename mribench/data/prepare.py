"""From files to what a job works on: maps for pretraining, scans for a task.

Everything here goes through the store of prepared volumes (``mribench.data.prepared``): a file is read,
reoriented and resampled once, and memory-mapped after that.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mribench.data.head import find_foreground, measure_scale, zscore
from mribench.data.inspection import inspect_file
from mribench.data.prepared import PreparedContent, Recipe, get_volume_store
from mribench.errors import DataError
from mribench.interfaces.dataset import IMAGE, Dataset, Scan, Subject
from mribench.interfaces.input_file import by_content
from mribench.interfaces.options import Options
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
        moved = {name: put_on_grid(volume, spacing_mm) for name, volume in volumes.items()}
        spacing = {name: list(volume.spacing_mm) for name, volume in moved.items()}
        arrays = {name: volume.data for name, volume in moved.items()}
        return PreparedContent(arrays, {"spacing_mm": spacing, **count_repairs(*volumes.values())})

    return Recipe(describe_origin("maps", reader, scan, spacing_mm), build)


def make_aligned_recipe(reader: Reader, scan: Scan, onto: Scan, spacing_mm: float | None) -> Recipe:
    """Return the recipe of a scan's image ``(I, J, K)`` on the working grid of another scan."""

    def build() -> PreparedContent:
        moving = reader.dataset.read_images(scan)[IMAGE]
        grid = put_on_grid(reader.dataset.read_images(onto)[IMAGE], spacing_mm)
        moved = resample_to(moving, grid.affine, grid.shape_vox, order=1)
        facts = {"spacing_mm": {IMAGE: list(moved.spacing_mm)}, **count_repairs(moving)}
        return PreparedContent({IMAGE: moved.data}, facts)

    made_of = describe_origin("aligned", reader, scan, spacing_mm)
    grid_of = describe_origin("grid", reader, onto, spacing_mm)
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
        head = find_foreground(put_on_grid(native, spacing_mm).data)
        return PreparedContent({"foreground": head}, count_repairs(native))

    made_of = describe_origin("head", reader, scan, spacing_mm)
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
        working = put_on_grid(native, spacing_mm)
        arrays = {"image": zscore(working.data), "foreground": find_foreground(working.data)}
        grids = {"native": _describe_grid(native), "working": _describe_grid(working)}
        mean, sd = measure_scale(working.data)
        facts = {"mean": mean, "sd": sd, "same_grid": same_grid(native, working)}
        return PreparedContent(arrays, {**grids, **facts, **count_repairs(native)})

    return Recipe(describe_origin("image", reader, scan, spacing_mm), build)


def describe_origin(what: str, reader: Reader, scan: Scan, spacing_mm: float | None) -> dict[str, Any] | None:
    """Return what a volume of a scan is made of; None where that is not to be stored."""
    files = digest_scan(scan) if reader.identity is not None else None
    if files is None:
        return None
    spacing = None if spacing_mm is None else float(spacing_mm)
    reading = {"reading": reader.identity, "sequence": scan.sequence}
    return {"what": what, "files": files, "spacing_mm": spacing, **reading}


def digest_scan(scan: Scan, label: str | None = None) -> list[list[Any]] | None:
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


def put_on_grid(volume: Volume, spacing_mm: float | None) -> Volume:
    """Return a volume on its working grid: of this voxel edge, or its own."""
    if spacing_mm is None or np.allclose(volume.spacing_mm, spacing_mm, atol=1e-3):
        return volume
    affine, shape = target_grid(volume, spacing_mm)
    return resample_to(volume, affine, shape, order=1)


def count_repairs(*volumes: Volume) -> dict[str, int]:
    """Return how many voxels of some volumes were clipped and repaired when they were read."""
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


def __getattr__(name: str) -> Any:
    """Return what had its place here in 0.1, for scripts that were written for it."""
    if name == "load_task_volume":
        return importlib.import_module("mribench.data.task_recipes").load_task_volume
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
