"""Patches that are larger than the images that they are cut from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mribench.config import PretrainSource, ResolvedBenchmark
from mribench.data.uses import select_scans
from mribench.plan.cohorts import Cohort
from mribench.volumes.grids import make_canonical, read_grid

Shape = tuple[int, int, int]


def patch_notes(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> list[str]:
    """Return a sentence for each patch size that exceeds images: what is beyond them is padded.

    Only headers are read. Cohorts whose data are missing are left out.
    """
    return list(dict.fromkeys(_notes(resolved, cohorts)))


def _notes(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> Iterator[str]:
    for name, pretraining in resolved.pretrained().items():
        options = pretraining.options
        images = [path for source in options.data for path in _source_images(cohorts[source.cohort], source)]
        own = "patch_vox" in resolved.config.methods[name].pretrain.model_fields_set
        where = f"methods.{name}.pretrain.patch_vox" if own else "defaults.pretrain.patch_vox"
        yield from _note(where, options.patch_vox, options.spacing_mm, images)
    for name, task in resolved.tasks.items():
        cohort, learning = cohorts[task.spec.data], task.spec.learning
        label = task.task.make().label
        ids = cohort.split.train if cohort.split else ()
        images = [
            path
            for channels in task.spec.trained_on
            for path in _first_images(cohort, ids, channels.sequences[0], label)
        ]
        where = f"tasks.{name}.{task.spec.learning_key}.patch_vox"
        yield from _note(where, learning.patch_vox, learning.spacing_mm, images)
    for name, spec in resolved.config.invariance.items():
        split = cohorts[name].split
        tested = [i for ids in split.test.values() for i in ids] if split else []
        images = [path for s in spec.sequences for path in _first_images(cohorts[name], tested, s, None)]
        yield from _note(f"invariance.{name}.patch_vox", spec.patch_vox, spec.spacing_mm, images)


def _source_images(cohort: Cohort, source: PretrainSource) -> list[Path]:
    """Return one image of each scan of the training subjects that may be shown."""
    train = cohort.split.train if cohort.split else ()
    asked: Sequence[str | None] = source.sequences or [None]
    return [path for sequence in asked for path in _first_images(cohort, train, sequence, None)]


def _first_images(cohort: Cohort, ids: Iterable[str], sequence: str | None, label: str | None) -> list[Path]:
    """Return one image of each scan of some subjects: all maps of a set share a grid."""
    images = []
    for subject in (cohort.subjects[i] for i in ids):
        scans = list(subject.scans) if sequence is None else select_scans(subject, sequence, label)
        images += [next(iter(scan.images.values())) for scan in scans]
    return images


def _note(where: str, patch_vox: int, spacing_mm: float | None, images: Iterable[Path]) -> Iterator[str]:
    shapes = [shape for path in images if (shape := _working_shape(path, spacing_mm))]
    small = [shape for shape in shapes if min(shape) < patch_vox]
    if small:
        smallest = " x ".join(str(n) for n in min(small, key=sorted))
        yield (
            f"{where}: {patch_vox} voxels are more than {len(small)} of {len(shapes)} scans have along some"
            f" axis (the smallest: {smallest}): what is beyond an image is padded"
        )


def _working_shape(path: Path, spacing_mm: float | None) -> Shape | None:
    """Return the voxels along each axis on the working grid; None for a file that cannot be read."""
    grid = read_grid(path)
    if isinstance(grid, str):
        return None
    turned = make_canonical(grid)
    shape = np.array(turned.shape_vox)
    if spacing_mm is not None:
        edges_mm = np.linalg.norm(turned.affine[:3, :3], axis=0)
        shape = np.maximum(1, np.rint(shape * edges_mm / spacing_mm)).astype(int)
    i, j, k = shape.tolist()
    return i, j, k
