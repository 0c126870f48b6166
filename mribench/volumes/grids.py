"""Where voxels lie: grids of files, how they fit together, and what is doubtful about them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations
from nibabel.spatialimages import HeaderDataError

from mribench.errors import DataError
from mribench.volumes.cache import remember_by_file
from mribench.volumes.nifti_file import Grid, read_header, shorten_path

_AFFINE_TOLERANCE_MM = 1e-3
_SHEAR = 0.01
"""Largest cosine between two axes: 0.6° from perpendicular, and distances right to half a per cent."""
_MOVED_VOX, _DISAGREE_VOX = 0.25, 0.5
"""What is moved by less changes next to no voxel."""


def read_grid_of(images: Sequence[Path], labels: Sequence[Path], measured: bool = True) -> str:
    """Return why the files of one scan do not fit together, or an empty string; reads headers only.

    Args:
        images: must share shape and affine.
        labels: may be on another grid that overlaps; with the image's affine they need its shape.
        measured: whether distances are measured along the images' axes, which must be perpendicular then.
    """
    grids: dict[Path, Grid] = {}
    for path in (*images, *labels):
        grid = read_grid(path)
        if isinstance(grid, str):
            return grid
        grids[path] = grid
    if not images:
        return "the scan has no image"
    first = grids[images[0]]
    skew = sheared(first.affine) if measured else ""
    if skew:
        return f"{shorten_path(images[0])} has a sheared grid, {skew}: resample it to perpendicular axes"
    for path in images[1:]:
        one, other = make_canonical(first), make_canonical(grids[path])
        if one.shape_vox != other.shape_vox or not close(one.affine, other.affine):
            first_name, name = shorten_path(images[0]), shorten_path(path)
            return f"{first_name} and {name} are not on one grid; resample one to the other"
    for path in labels:
        problem = _label_problem(images[0], first, path, grids[path])
        if problem:
            return problem
    return ""


def read_grid(path: Path) -> Grid | str:
    """Return the grid that a file claims, or why it cannot be read; remembered by its state."""
    known = _recall_grid(path)
    if known["problem"]:
        return str(known["problem"])
    i, j, k = known["shape_vox"]
    return Grid((i, j, k), np.array(known["affine"]))


def find_grid_remarks(
    images: Sequence[Path], labels: Sequence[Path], others: Sequence[Path]
) -> dict[str, str]:
    """Return what is odd about where the files of one scan lie: a sentence by its kind; reads headers only.

    A label on the grid of another image that it is the label of was drawn on that one; one of the image's
    shape that lies on no image's grid was more likely drawn on these voxels, and its header is another.

    Args:
        images: on one grid.
        labels: of the images.
        others: images that share the labels.
    """
    sentences: dict[str, str] = {}
    for path in (*images, *labels):
        known = _recall_grid(path)
        if known.get("doubt"):
            sentences.setdefault(known["kind"], f"{shorten_path(path)} {known['doubt']}")
    for path in labels if images else ():
        moved_mm = [_measure_shift_mm(path, image) for image in (*images, *others)]
        if moved_mm[0] and 0 not in moved_mm:
            sentence = (
                f"{shorten_path(path)} has the shape of {shorten_path(images[0])}, and lies up to"
                f" {moved_mm[0]:.1f} mm"
                " elsewhere: if it was drawn on these voxels, it is used in the wrong place"
            )
            sentences.setdefault("label that lies elsewhere than its image", sentence)
    return sentences


def _measure_shift_mm(label_path: Path, image_path: Path) -> float | None:
    """Return how far a label of an image's shape lies from its voxels; None where the shape is another."""
    label, image = read_grid(label_path), read_grid(image_path)
    if isinstance(label, str) or isinstance(image, str) or label.shape_vox != image.shape_vox:
        return None
    distance_mm = measure_apart_mm(label.shape_vox, label.affine, image.affine)
    return distance_mm if distance_mm > _MOVED_VOX * _measure_edges_mm(image.affine).min() else 0.0


def measure_apart_mm(shape_vox: Sequence[int], one: np.ndarray, other: np.ndarray) -> float:
    """Return how far apart two affines bring a voxel of the grid at most, in mm."""
    corners = np.array(list(product(*((0, n - 1) for n in shape_vox))))
    between = (one - other)[:3]
    distances = np.linalg.norm(corners @ between[:, :3].T + between[:, 3], axis=1)
    return float(distances.max())


def share_outside(mask: np.ndarray, affine: np.ndarray, grid: Grid) -> float:
    """Return which share of a mask's voxels lies outside of another grid's field of view.

    Args:
        mask: ``(I, J, K)`` boolean.
        affine: of the mask, ``(4, 4)``.
        grid: the field of view.
    """
    if not mask.any():
        return 0.0
    matrix = np.linalg.inv(grid.affine) @ affine
    index = np.argwhere(mask) @ matrix[:3, :3].T + matrix[:3, 3]
    inside = (index > -0.5 - 1e-6) & (index < np.array(grid.shape_vox) - 0.5 + 1e-6)
    return 1 - float(inside.all(axis=1).mean())


def sheared(affine: np.ndarray) -> str:
    """Return how far the axes of a grid are from perpendicular, in words, or an empty string."""
    axes = affine[:3, :3] / _measure_edges_mm(affine)
    cosine = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if cosine <= _SHEAR:
        return ""
    return f"axes that are {np.degrees(np.arccos(min(cosine, 1.0))):.1f}° apart in place of 90°"


def _measure_edges_mm(affine: np.ndarray) -> np.ndarray:
    edges: np.ndarray = np.linalg.norm(affine[:3, :3], axis=0)
    return edges


def _recall_grid(path: Path) -> dict[str, Any]:
    try:
        return remember_by_file(path, "grid", _read_claimed_grid)
    except OSError as error:
        return {"problem": f"{shorten_path(path)} cannot be opened: {error.strerror}"}
    except ValueError:  # no path to ask the system about
        return {"problem": f"{shorten_path(path)} cannot be opened: its name is not UTF-8 text"}


def _read_claimed_grid(path: Path) -> tuple[dict[str, Any], bool]:
    try:
        header, grid = read_header(path)
    except DataError as error:
        return {"problem": error.message}, False
    kind, doubt = _find_form_doubt(header, grid)
    about = {"shape_vox": list(grid.shape_vox), "affine": grid.affine.tolist(), "kind": kind, "doubt": doubt}
    return {"problem": "", **about}, True


def _find_form_doubt(header: nib.Nifti1Header, grid: Grid) -> tuple[str, str]:
    """Return why it is doubtful where voxels lie, by kind and in words; empty where it is not."""
    qform_code, sform_code = int(header["qform_code"]), int(header["sform_code"])
    if qform_code <= 0 and sform_code <= 0:
        return (
            "neither qform nor sform",
            "has neither qform nor sform: where it lies is not known, and taken from its shape",
        )
    if qform_code <= 0 or sform_code <= 0:
        return "", ""
    kind = "qform and sform that disagree"
    try:
        qform = np.array(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return kind, "has a qform that is no rotation: the sform is used"
    distance_mm = measure_apart_mm(grid.shape_vox, qform, grid.affine)
    if distance_mm <= _DISAGREE_VOX * _measure_edges_mm(grid.affine).min():
        return "", ""
    return kind, f"has a qform and an sform that lie up to {distance_mm:.1f} mm apart: the sform is used"


def _label_problem(image_path: Path, image: Grid, label_path: Path, label: Grid) -> str:
    one, other = make_canonical(image), make_canonical(label)
    share_affine = close(image.affine, label.affine) or close(one.affine, other.affine)
    if share_affine and one.shape_vox != other.shape_vox:
        return (
            f"image and label of other shape: {shorten_path(image_path)} {one.shape_vox}, "
            f"{shorten_path(label_path)} {other.shape_vox}"
        )
    if not do_overlap(one, other):
        return (
            f"the fields of view of {shorten_path(image_path)} and {shorten_path(label_path)} do not overlap"
        )
    return ""


def make_canonical(grid: Grid) -> Grid:
    """Return the grid with its axes to R, A and S."""
    turn, axes = _find_turn(np.asarray(grid.affine, np.float64).tobytes(), tuple(grid.shape_vox))
    i, j, k = (int(grid.shape_vox[axis]) for axis in axes)
    return Grid((i, j, k), grid.affine @ turn)


@functools.lru_cache(maxsize=4096)
def _find_turn(affine: bytes, shape_vox: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return what turns an affine to R, A and S, and the old axis of each new one; many scans share them."""
    transform = orientations.io_orientation(np.frombuffer(affine).reshape(4, 4))
    turn: np.ndarray = orientations.inv_ornt_aff(transform, shape_vox)
    turn.setflags(write=False)
    return turn, tuple(int(axis) for axis in np.argsort(transform[:, 0]))


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two affines are the same to a thousandth of a mm."""
    return bool(np.allclose(a, b, rtol=1e-5, atol=_AFFINE_TOLERANCE_MM))


def do_overlap(a: Grid, b: Grid) -> bool:
    """Whether two boxes share some volume; boxes that are turned are taken by their bounds in each other."""
    return _does_reach(a, b) and _does_reach(b, a)


def _does_reach(a: Grid, b: Grid) -> bool:
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in b.shape_vox))))
    matrix = np.linalg.inv(a.affine) @ b.affine
    inside = corners @ matrix[:3, :3].T + matrix[:3, 3]
    high = np.array(a.shape_vox) - 0.5
    return bool(((inside.max(0) > -0.5) & (inside.min(0) < high)).all())
