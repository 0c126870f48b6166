"""Volumes on grids: reading, writing, reorienting, resampling. Public to plugins; no torch here.

Every volume in mribench is in RAS: the axes I, J, K run to the right, anterior and superior (as nearly as
the affine allows), and world coordinates are in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import DTypeLike
from scipy import ndimage

from mribench.data.cache import cache_dir, remembered
from mribench.data.nifti_file import Grid, read_header, read_voxels, shown
from mribench.errors import DataError

__all__ = [
    "Volume", "cache_dir", "read_grid_of", "read_volume", "resample_to", "same_grid", "target_grid",
    "write_volume",
]  # fmt: skip

_AFFINE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels on a grid.

    Attributes:
        data: ``(I, J, K)``, or ``(C, I, J, K)`` for several channels on one grid; float32.
        affine: voxel to world ``(4, 4)``, mm.
        clipped_vox: voxels that lay outside the physical range and were brought to its border.
        repaired_vox: voxels that were not finite and were set to zero.

    Raises:
        DataError: when the shapes are others.
    """

    data: np.ndarray
    affine: np.ndarray
    clipped_vox: int = 0
    repaired_vox: int = 0

    def __post_init__(self) -> None:
        if self.data.ndim not in (3, 4):
            raise DataError(f"expected a volume (I, J, K) or (C, I, J, K), got {self.data.ndim}D")
        if np.shape(self.affine) != (4, 4):
            raise DataError(f"expected an affine of shape (4, 4), got {np.shape(self.affine)}")
        object.__setattr__(self, "data", np.ascontiguousarray(self.data, dtype=np.float32))
        object.__setattr__(self, "affine", np.array(self.affine, dtype=np.float64))

    @property
    def shape_vox(self) -> tuple[int, int, int]:
        """Voxels along I, J, K."""
        i, j, k = self.data.shape[-3:]
        return i, j, k

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges along I, J, K."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k


def read_volume(path: Path | str, allow_constant: bool = False, repair: bool = False) -> Volume:
    """Read one volume, reoriented to RAS, with the header's scaling applied.

    Args:
        path: ``.nii`` or ``.nii.gz``; 3D, or 4D with one volume; any real type of voxel.
        allow_constant: accept a volume of one value, e.g. an empty mask.
        repair: set voxels that are not finite to zero, as quantitative maps have them outside the head;
            their number is in ``repaired_vox``. A volume without any finite voxel is refused all the same.

    Returns:
        The volume ``(I, J, K)``.

    Raises:
        DataError: naming the file, when it is missing, empty, truncated, not NIfTI, not 3D, not finite,
            constant, or without a usable affine.
    """
    path = Path(path)
    header, grid = read_header(path)
    voxels = read_voxels(path, header, grid, orientations.io_orientation(grid.affine))
    bad = ~np.isfinite(voxels)
    count = int(bad.sum())
    if count and repair and count < voxels.size:
        voxels[bad] = 0
    elif count:
        raise DataError(
            f"{shown(path)} has {count} voxels that are not finite",
            "replace NaN and infinity, or leave the scan out",
        )
    if not allow_constant and voxels.min() == voxels.max():
        raise DataError(
            f"{shown(path)} has the same value in every voxel", "export it again, or leave the scan out"
        )
    return Volume(voxels, _canonical(grid).affine, repaired_vox=count)


def write_volume(path: Path | str, volume: Volume, dtype: DTypeLike = np.float32) -> None:
    """Write one volume as NIfTI; the same volume always gives the same bytes.

    Whole numbers that fit an integer ``dtype`` are written as they are; other values are scaled into it,
    with the slope in the header.

    Args:
        path: ``.nii`` or ``.nii.gz``; its folder is made where needed.
        volume: ``(I, J, K)``.
        dtype: type on disk.

    Raises:
        DataError: for several channels, which NIfTI readers would take for time points.
    """
    if volume.data.ndim != 3:
        raise DataError(f"cannot write {path}: expected one volume (I, J, K), got {volume.data.shape}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    data = volume.data
    if np.issubdtype(np.dtype(dtype), np.integer):
        limits = np.iinfo(np.dtype(dtype))
        if limits.min <= data.min() and data.max() <= limits.max and np.array_equal(data, np.rint(data)):
            data = data.astype(dtype)
    image = nib.Nifti1Image(data, volume.affine)
    image.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def same_grid(a: Volume, b: Volume) -> bool:
    """Return whether two volumes have the same shape (channels aside) and affine."""
    return a.shape_vox == b.shape_vox and _close(a.affine, b.affine)


def target_grid(volume: Volume, spacing_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the isotropic grid that covers a volume's field of view along its own axes.

    Args:
        volume: any volume.
        spacing_mm: edge of the new voxels.

    Returns:
        Affine ``(4, 4)`` and shape ``(I, J, K)``; the centre of the field of view stays where it is.
    """
    edges_mm = np.array(volume.spacing_mm)
    old = np.array(volume.shape_vox)
    new = np.maximum(1, np.rint(old * edges_mm / spacing_mm)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, :3] / edges_mm * spacing_mm
    centre_mm = volume.affine[:3, :3] @ ((old - 1) / 2) + volume.affine[:3, 3]
    affine[:3, 3] = centre_mm - affine[:3, :3] @ ((new - 1) / 2)
    return affine, (int(new[0]), int(new[1]), int(new[2]))


def resample_to(volume: Volume, affine: np.ndarray, shape: Sequence[int], order: Literal[0, 1] = 1) -> Volume:
    """Bring a volume to another grid through world coordinates; zero outside its field of view.

    Inside the field of view, beyond the outermost voxel centres, the outermost values are repeated.
    Nothing is smoothed first: going to much larger voxels keeps the finer grid's noise.

    Args:
        volume: ``(I, J, K)`` or ``(C, I, J, K)``.
        affine: of the new grid ``(4, 4)``.
        shape: of the new grid ``(I, J, K)``.
        order: 0 nearest neighbour (masks and class maps), 1 trilinear.

    Raises:
        DataError: when the fields of view do not overlap.
    """
    target = Grid((int(shape[0]), int(shape[1]), int(shape[2])), np.asarray(affine, dtype=np.float64))
    if target.shape_vox == volume.shape_vox and _close(target.affine, volume.affine):
        return volume
    if not _overlap(Grid(volume.shape_vox, volume.affine), target):
        raise DataError(
            "the fields of view of two volumes do not overlap", "are both of one subject and session?"
        )
    to_source = np.linalg.inv(volume.affine) @ target.affine
    inside = _inside(to_source, target.shape_vox, volume.shape_vox)
    channels = volume.data if volume.data.ndim == 4 else volume.data[None]
    moved = np.stack([_transform(channel, to_source, target.shape_vox, order) for channel in channels])
    moved *= inside
    return Volume(moved if volume.data.ndim == 4 else moved[0], target.affine)


def read_grid_of(images: Sequence[Path], labels: Sequence[Path]) -> str:
    """Return why the files of one scan do not fit together, or an empty string; reads headers only.

    Args:
        images: must share shape and affine.
        labels: may be on another grid that overlaps; with the image's affine they need its shape.
    """
    grids: dict[Path, Grid] = {}
    for path in (*images, *labels):
        grid = _grid_of(path)
        if isinstance(grid, str):
            return grid
        grids[path] = grid
    if not images:
        return "the scan has no image"
    first = grids[images[0]]
    for path in images[1:]:
        one, other = _canonical(first), _canonical(grids[path])
        if one.shape_vox != other.shape_vox or not _close(one.affine, other.affine):
            return f"{shown(images[0])} and {shown(path)} are not on one grid; resample one to the other"
    for path in labels:
        problem = _label_problem(images[0], first, path, grids[path])
        if problem:
            return problem
    return ""


def _grid_of(path: Path) -> Grid | str:
    """Return the grid that a file claims, or why it cannot be read; remembered by size and time."""
    try:
        known = remembered(path, "grid", _claimed_grid)
    except OSError as error:
        return f"{shown(path)} cannot be opened: {error.strerror}"
    except ValueError:  # no path to ask the system about
        return f"{shown(path)} cannot be opened: its name is not UTF-8 text"
    if known["problem"]:
        return str(known["problem"])
    i, j, k = known["shape_vox"]
    return Grid((i, j, k), np.array(known["affine"]))


def _claimed_grid(path: Path) -> tuple[dict[str, Any], bool]:
    try:
        grid = read_header(path)[1]
    except DataError as error:
        return {"problem": error.message}, False
    return {"problem": "", "shape_vox": list(grid.shape_vox), "affine": grid.affine.tolist()}, True


def _label_problem(image_path: Path, image: Grid, label_path: Path, label: Grid) -> str:
    one, other = _canonical(image), _canonical(label)
    share_affine = _close(image.affine, label.affine) or _close(one.affine, other.affine)
    if share_affine and one.shape_vox != other.shape_vox:
        return (
            f"image and label of other shape: {shown(image_path)} {one.shape_vox}, "
            f"{shown(label_path)} {other.shape_vox}"
        )
    if not _overlap(one, other):
        return f"the fields of view of {shown(image_path)} and {shown(label_path)} do not overlap"
    return ""


def _canonical(grid: Grid) -> Grid:
    transform = orientations.io_orientation(grid.affine)
    affine = grid.affine @ orientations.inv_ornt_aff(transform, grid.shape_vox)
    i, j, k = (int(grid.shape_vox[axis]) for axis in np.argsort(transform[:, 0]))
    return Grid((i, j, k), affine)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=1e-5, atol=_AFFINE_TOLERANCE_MM))


def _overlap(a: Grid, b: Grid) -> bool:
    """Whether two boxes share some volume; boxes that are turned are taken by their bounds in each other."""
    return _reaches(a, b) and _reaches(b, a)


def _reaches(a: Grid, b: Grid) -> bool:
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in b.shape_vox))))
    matrix = np.linalg.inv(a.affine) @ b.affine
    inside = corners @ matrix[:3, :3].T + matrix[:3, 3]
    high = np.array(a.shape_vox) - 0.5
    return bool(((inside.max(0) > -0.5) & (inside.min(0) < high)).all())


def _inside(to_source: np.ndarray, shape: tuple[int, int, int], source: tuple[int, int, int]) -> np.ndarray:
    """Mask ``shape`` of the voxels whose centres lie in the source's field of view."""
    index = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = np.ones(shape, dtype=bool)
    for axis, length in enumerate(source):
        along = sum(to_source[axis, a] * index[a] for a in range(3)) + to_source[axis, 3]
        inside &= (along > -0.5 - 1e-6) & (along < length - 0.5 + 1e-6)
    return inside


def _transform(
    channel: np.ndarray, to_source: np.ndarray, shape: tuple[int, int, int], order: int
) -> np.ndarray:
    matrix = to_source[:3, :3]
    aligned = np.allclose(matrix, np.diag(np.diag(matrix)), atol=1e-9)
    return ndimage.affine_transform(
        channel,
        np.diag(matrix) if aligned else matrix,
        offset=to_source[:3, 3],
        output_shape=shape,
        order=order,
        mode="nearest",
        prefilter=False,
    )
