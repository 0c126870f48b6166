"""What FreeSurfer's label numbers mean, and how a label map is read.

Numbers below 500, 601 to 632, 801 to 810 and from 1000 are those of FreeSurfer's aseg, of its parcellations
(aparc, a2009s, and their white matter) and of the finer segmentations that use its numbering (cerebellar
lobules, hypothalamic subunits, thalamic nuclei, subfields of the hippocampus, nuclei of the amygdala), as its
colour table has them. What is finer than a tissue here is merged into the aseg's label of it. Other numbers
from 500 are the tissues
outside the brain of whole-head segmentations (SAMSEG/charm, as in SynthSeg's training maps). The maps that
this was made for carry no legend, so these were read off from where they lie: 502 arteries, 506 eyeballs,
507 soft tissue, 508 eye muscles, 509 mucosa of the nose, 511 skin, 512 spinal cord, 514 veins and sinuses,
515 compact and 516 spongy bone, 530 optic nerves. 136, 137, 163 and 164 line the lateral ventricles and
their lower horns, as the choroid plexus does. 25 and 57 are FreeSurfer's "lesion" and lie around the
ventricles: they are taken for white matter hyperintensities. 507 has fat and muscle in one, see ``FAT``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage

from mribench.errors import DataError
from mribench.volumes import read_volume, sheared
from mribench_datasets.files import one_line

FAT, MUSCLE = 507, 599
"""Soft tissue near the skin and around the eyes stays 507 and is fat; deeper it becomes 599, muscle."""

_TABLE: dict[str, tuple[int, ...]] = {
    "gm": (
        3, 42, 8, 47, 17, 53, 18, 54, 9, 48, 19, 55, 20, 56, 27, 59, 96, 97, 194, 195, 198, 199,
        *range(203, 212), 214, 216, 217, 218, 220, 222, 225, 226, *range(231, 247), *range(7001, 7013), 7015,
    ),
    "wm": (
        2, 41, 7, 46, 85, 86, 155, 156, 157, 158, 192, 196, 200, 201, 202, 212, 219, 223, *range(250, 256),
        512, 530, 5001, 5002,
    ),
    "csf": (193, 197, 215, 4, 43, 5, 44, 14, 15, 24, 72, 75, 76, 213, 221, 257),
    "striatum": (11, 50, 12, 51, 26, 58),
    "thalamus": (10, 49),
    "pallidum": (13, 52),
    "brainstem": (16, 28, 60, 170, 171, 172, 173, 174, 175, 178, 179),
    "wm_lesion": (25, 57, 77, 78, 79, 80, 81, 82, 99),
    "choroid": (31, 63, 136, 137, 163, 164),
    "vessel": (30, 62, 502, 514),
    "fat": (FAT,),
    "muscle": (508, MUSCLE),
    "vitreous": (506,),
    "mucosa": (509,),
    "skin": (511, 258),
    "bone": (515, 165),
    "marrow": (516,),
}  # fmt: skip
_LOBULES = (601, 603, 605, 608, 611, 614, 617, 620, 623, 626)
_RIGHT_LOBULES = (602, 604, 607, 610, 613, 616, 619, 622, 625, 628)
_VERMIS = (606, 609, 612, 615, 618, 621, 624, 627, 630, 631, 632)
_MERGED: dict[int, tuple[int, ...]] = {
    3: (*range(1000, 2000), *range(11100, 11200)),  # cortex: aparc, a2009s
    42: (*range(2000, 3000), *range(12100, 12200)),
    2: (*range(3000, 4000), *range(13100, 13200)),  # the white matter below it
    41: (*range(4000, 5000), *range(14100, 14200)),
    8: (*_LOBULES, *_VERMIS),
    47: _RIGHT_LOBULES,
    10: tuple(range(8101, 8200)),  # thalamic nuclei
    49: tuple(range(8201, 8300)),
    28: tuple(range(801, 806)),  # the hypothalamus, which the aseg has in the ventral diencephalon
    60: tuple(range(806, 811)),
}
TISSUE_OF = {number: tissue for tissue, numbers in _TABLE.items() for number in numbers}
"""Tissue of each label number."""

LEFT = (2, 3, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 78, 81, 96)
RIGHT = (41, 42, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 79, 82, 97)
"""Labels of the cerebrum by hemisphere; those at one place are each other's mirror."""

_MARGIN_MM = 12.0
_SUBCUTANEOUS_MM = 4.5
_ORBIT_MM = 22.0
_EYES = 506
_SKIN = 511
_LARGEST_NUMBER = 2**24  # beyond it float32 has no fractions
_EDGES_MM = (0.1, 10.0)
_HEAD_MM = (20.0, 600.0)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A head in labels, cut to the head and a margin of air.

    Attributes:
        labels: ``(I, J, K)`` int16, axes to R, A, S.
        affine: voxel to world ``(4, 4)``, mm.
    """

    labels: np.ndarray
    affine: np.ndarray

    @property
    def edges_mm(self) -> np.ndarray:
        """Voxel edges along I, J, K."""
        edges: np.ndarray = np.linalg.norm(self.affine[:3, :3], axis=0)
        return edges


def read_labelmap(path: Path, unknown: Literal["refuse", "background"] = "refuse") -> LabelMap:
    """Read a label map.

    Args:
        path: ``.nii`` or ``.nii.gz`` with FreeSurfer's numbers, of any type of voxel.
        unknown: what to do with a number that stands in no table: refuse the file, or take it for air.

    Raises:
        DataError: naming the file, when it is no label map, is empty, has unknown numbers, or is too small
            or too large for a head.
    """
    volume, name = read_volume(path, allow_constant=True), one_line(path)
    _check_edges(name, volume.affine)
    whole = np.rint(volume.data)
    if np.abs(whole).max() > _LARGEST_NUMBER or not np.array_equal(whole, volume.data):
        raise DataError(
            f"{name} has values between whole numbers: probabilities or an image, not a label map",
            "give the segmentation itself, e.g. FreeSurfer's aseg, never interpolated",
        )
    numbers = whole.astype(np.int32)
    found = _present(numbers)
    for label, finer in _MERGED.items():
        if set(finer).intersection(found):
            numbers[np.isin(numbers, finer)] = label
    found = _present(numbers)
    if not found:
        raise DataError(f"{name} has no labelled voxel", "leave it out, or export it again")
    strange = [number for number in found if number not in TISSUE_OF]
    if strange and (unknown == "refuse" or len(strange) == len(found)):
        listed = ", ".join(map(str, strange[:12])) + (" …" if len(strange) > 12 else "")
        raise DataError(
            f"{name} has label numbers that mribench knows no tissue for: {listed}",
            "renumber them, or take them for air with 'unknown: background' (`mribench data make`: --set "
            "unknown=background)",
        )
    if not any(number in TISSUE_OF and TISSUE_OF[number] in ("gm", "wm") for number in found):
        raise DataError(
            f"{name} has neither grey nor white matter among its labels (FreeSurfer's 2, 3, 41, 42 …)",
            "mribench reads FreeSurfer's numbers; class maps such as 1, 2, 3 need to be renumbered",
        )
    if strange:
        numbers[np.isin(numbers, strange)] = 0
    head = _cut(numbers.astype(np.int16), volume.affine)
    _check_size(name, head)
    return head


def flipped(head: LabelMap) -> str:
    """Return why left and right are the wrong way round in a label map, or an empty string."""
    left_mm, right_mm = (_mean_x_mm(head, numbers) for numbers in (LEFT, RIGHT))
    if left_mm is None or right_mm is None or left_mm < right_mm:
        return ""
    return (
        f"has its left hemisphere's labels at x = {left_mm:.0f} mm and the right one's at {right_mm:.0f} mm:"
        " the header has lost its left-right flip"
    )


def _mean_x_mm(head: LabelMap, numbers: tuple[int, ...]) -> float | None:
    mask = np.isin(head.labels, numbers)
    if not mask.any():
        return None
    profiles = (mask.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    centre = np.array([np.average(np.arange(len(profile)), weights=profile) for profile in profiles])
    return float(head.affine[0, :3] @ centre + head.affine[0, 3])


def split_soft_tissue(head: LabelMap, noise: np.ndarray) -> np.ndarray:
    """Return the labels with soft tissue parted into fat (507) and muscle (599).

    Fat lies within about 5 mm of the skin and around the eyes, and in streaks between muscles.

    Args:
        head: the label map.
        noise: smooth noise ``(I, J, K)`` of unit variance.
    """
    soft = head.labels == FAT
    if not soft.any():
        return head.labels
    step = tuple(max(1, round(2.0 / edge)) for edge in head.edges_mm)
    coarse = head.labels[tuple(slice(None, None, n) for n in step)]
    edges = head.edges_mm * np.array(step)
    skin_mm = ndimage.distance_transform_edt(coarse != _SKIN, sampling=edges)
    eyes = coarse == _EYES
    if not (coarse == _SKIN).any():
        skin_mm = ndimage.distance_transform_edt(coarse != 0, sampling=edges)
    depth_mm = skin_mm
    if eyes.any():
        eyes_mm = ndimage.distance_transform_edt(~eyes, sampling=edges)
        depth_mm = np.where(eyes_mm < _ORBIT_MM - 8, 0, depth_mm)
    fine_mm = ndimage.affine_transform(
        depth_mm, 1 / np.array(step, dtype=float), output_shape=soft.shape, order=1, mode="nearest"
    )
    deep = (fine_mm > _SUBCUTANEOUS_MM + 1.5 * noise) & (noise < 1.4)
    labels = head.labels.copy()
    labels[soft & deep] = MUSCLE
    return labels


def _check_edges(name: str, affine: np.ndarray) -> None:
    edges_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if edges_mm.min() < _EDGES_MM[0] or edges_mm.max() > _EDGES_MM[1]:
        shown = " x ".join(f"{edge:g}" for edge in edges_mm.tolist())
        low, high = _EDGES_MM
        raise DataError(
            f"{name} has voxels of {shown} mm, expected edges from {low:g} to {high:g} mm",
            "repair the header: lengths in it are in mm",
        )
    skew = sheared(affine)
    if skew:
        raise DataError(f"{name} has a sheared grid, {skew}", "resample it to perpendicular axes")


def _check_size(name: str, head: LabelMap) -> None:
    size_mm = extent_mm(head.labels != 0, head.edges_mm)
    if size_mm.min() < _HEAD_MM[0] or size_mm.max() > _HEAD_MM[1]:
        shown = " x ".join(f"{length:g}" for length in size_mm.round(1).tolist())
        low, high = _HEAD_MM
        raise DataError(
            f"{name} has labels over {shown} mm, expected a head of {low:g} to {high:g} mm along each axis",
            "give the segmentation of a whole head or brain",
        )


def extent_mm(mask: np.ndarray, edges_mm: np.ndarray) -> np.ndarray:
    """Return how far a mask ``(I, J, K)`` reaches along each axis, in mm; zeros for an empty one."""
    found = ndimage.find_objects(mask.astype(np.int8))
    voxels = [axis.stop - axis.start for axis in found[0]] if found else [0, 0, 0]
    extent: np.ndarray = np.array(voxels) * edges_mm
    return extent


def _present(numbers: np.ndarray) -> list[int]:
    """Return the numbers other than 0 that occur, sorted."""
    if numbers.min() >= 0 and numbers.max() < 2**16:
        return [int(number) for number in np.flatnonzero(np.bincount(numbers.ravel())) if number]
    return [int(number) for number in np.unique(numbers) if number]


def _cut(labels: np.ndarray, affine: np.ndarray) -> LabelMap:
    edges_mm = np.linalg.norm(affine[:3, :3], axis=0)
    found = ndimage.find_objects((labels != 0).astype(np.int8))[0]
    margin = np.ceil(_MARGIN_MM / edges_mm).astype(int).tolist()
    box = tuple(
        slice(max(0, axis.start - m), min(n, axis.stop + m))
        for axis, m, n in zip(found, margin, labels.shape, strict=True)
    )
    start = np.array([axis.start for axis in box])
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ start
    return LabelMap(np.ascontiguousarray(labels[box]), moved)
