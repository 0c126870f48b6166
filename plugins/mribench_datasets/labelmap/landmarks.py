"""Where a label map's brain lies in MNI space: good enough to place the territories of arteries."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mribench_datasets.labelmap.labels import LEFT, RIGHT, TISSUE_OF, LabelMap, extent_mm
from mribench_datasets.phantom.head import NERVOUS
from mribench_datasets.phantom.lesions import Brain

_EDGE_MM = 2.0
_CENTRES_MM: dict[int, tuple[float, float, float]] = {
    # centres of mass in MNI space, right side; the left ones mirror them
    49: (11, -19, 8), 50: (13, 11, 10), 51: (26, 2, 0), 52: (20, -5, -1),
    53: (27, -21, -14), 54: (23, -4, -19),
}  # fmt: skip
_STEM_MM = (0.0, -29.0, -32.0)
_CORTEX, _CORTEX_MM, _CORTEX_SD_MM = (3, 42), (0.0, -20.0, 12.0), (35.0, 44.0, 28.0)
_SIDES = {"left": (2, 3), "right": (41, 42)}
_LEAST_ML, _LEAST_MM = 20.0, 30.0  # of a hemisphere; a newborn's has about 150 ml


def lacks_for_lesions(head: LabelMap) -> str:
    """Return what a label map lacks for strokes to be drawn in it, or an empty string."""
    voxel_ml = float(np.prod(head.edges_mm)) / 1000
    lacking = []
    for side, numbers in _SIDES.items():
        mask = np.isin(head.labels, numbers)
        listed, size_mm = f"labels {numbers[0]} and {numbers[1]}", extent_mm(mask, head.edges_mm)
        if not mask.any():
            lacking.append(f"the {side} hemisphere ({listed})")
        elif mask.sum() * voxel_ml < _LEAST_ML or size_mm.min() < _LEAST_MM:
            shown = " x ".join(f"{length:.3g}" for length in size_mm.tolist())
            lacking.append(f"most of the {side} hemisphere ({listed} reach over {shown} mm)")
    return " and ".join(lacking)


def brain_of(head: LabelMap) -> Brain:
    """Return the cerebrum of a label map in voxels of about 2 mm, along the map's axes."""
    step = np.maximum(1, np.rint(_EDGE_MM / head.edges_mm)).astype(int)
    labels, affine = _coarser(head, step)
    nervous = [number for number, tissue in TISSUE_OF.items() if tissue in NERVOUS]
    sides = np.where(np.isin(labels, RIGHT), 1, np.where(np.isin(labels, LEFT), -1, 0)).astype(np.int8)
    cerebrum = (sides != 0) & np.isin(labels, nervous)
    fine = np.isin(head.labels, [n for n in (*LEFT, *RIGHT) if n in nervous]).astype(np.float32)
    tissue = _block_mean(fine, step) * cerebrum
    index = np.indices(labels.shape, dtype=np.float32)
    world_mm = np.tensordot(affine[:3, :3], index, axes=1) + affine[:3, 3, None, None, None]
    to_mni = mni_affine(head)
    mni_mm = np.tensordot(to_mni[:3, :3], world_mm, axes=1) + to_mni[:3, 3, None, None, None]
    edge_mm = float(np.prod(np.linalg.norm(affine[:3, :3], axis=0)) ** (1 / 3))
    return Brain(tissue, mni_mm.astype(np.float32), _hemispheres(sides), affine, edge_mm)


def mni_affine(head: LabelMap) -> np.ndarray:
    """Return the affine ``(4, 4)`` from world coordinates to MNI space.

    Least squares over the centres of the deep nuclei, hippocampi, amygdalae, brain stem and cortex, and the
    extent of the cortex; labels that are not there do not count.
    """
    numbers = [n for n in (*LEFT, *RIGHT, 16) if (head.labels == n).any()]
    centres = dict(zip(numbers, ndimage.center_of_mass(head.labels > 0, head.labels, numbers), strict=True))
    world = {n: head.affine[:3, :3] @ np.array(c) + head.affine[:3, 3] for n, c in centres.items()}
    mirror = dict(zip(RIGHT, LEFT, strict=True))
    here: list[np.ndarray] = []
    there: list[tuple[float, float, float]] = []
    for number, (x, y, z) in _CENTRES_MM.items():
        for label, target in ((number, (x, y, z)), (mirror[number], (-x, y, z))):
            if label in world:
                here.append(world[label])
                there.append(target)
    if 16 in world:
        here.append(world[16])
        there.append(_STEM_MM)
    points = np.argwhere(np.isin(head.labels[::2, ::2, ::2], (*_CORTEX, 2, 41))) * 2.0
    points_mm = points @ head.affine[:3, :3].T + head.affine[:3, 3]
    middle, sd = points_mm.mean(0), points_mm.std(0)
    for axis in range(3):
        for sign in (-2, 2):
            offset = np.eye(3)[axis] * sign
            here.append(middle + offset * sd)
            there.append(tuple(np.array(_CORTEX_MM) + offset * np.array(_CORTEX_SD_MM)))
    design = np.column_stack([np.stack(here), np.ones(len(here))])
    solution = np.linalg.lstsq(design, np.array(there), rcond=None)[0]
    affine = np.eye(4)
    affine[:3] = solution.T
    return affine


def _hemispheres(sides: np.ndarray) -> np.ndarray:
    """Give what lies between a hemisphere's labels (sulci, ventricles) its side; the midline has none."""
    left = ndimage.distance_transform_edt(sides != -1)
    right = ndimage.distance_transform_edt(sides != 1)
    near = np.where(left < right, -1, 1) * (np.abs(left - right) > 1)
    return np.where(sides != 0, sides, np.where(np.minimum(left, right) <= 4, near, 0)).astype(np.int8)


def _coarser(head: LabelMap, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every so-many-th label, from the middle of a block, and the blocks' affine."""
    size = [n // s * s for n, s in zip(head.labels.shape, step.tolist(), strict=True)]
    cut = head.labels[: size[0], : size[1], : size[2]]
    labels = cut[step[0] // 2 :: step[0], step[1] // 2 :: step[1], step[2] // 2 :: step[2]]
    affine = head.affine.copy()
    affine[:3, :3] *= step
    affine[:3, 3] += head.affine[:3, :3] @ ((step - 1) / 2)
    return labels, affine


def _block_mean(volume: np.ndarray, step: np.ndarray) -> np.ndarray:
    i, j, k = (n // s for n, s in zip(volume.shape, step.tolist(), strict=True))
    a, b, c = step.tolist()
    blocks = volume[: i * a, : j * b, : k * c].reshape(i, a, j, b, k, c)
    mean: np.ndarray = blocks.mean(axis=(1, 3, 5))
    return mean
