"""Volumes on grids: reading, writing, reorienting, resampling.

Every volume in mribench is in RAS: the axes I, J, K run to the right, anterior and superior (as nearly as
the affine allows), and world coordinates are in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import DTypeLike
from scipy import ndimage

from mribench.errors import DataError
from mribench.volumes import grids
from mribench.volumes.grids import close, do_overlap, make_canonical
from mribench.volumes.nifti_file import Grid, read_header, read_voxels, shorten_path


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
            f"{shorten_path(path)} has {count} voxels that are not finite",
            "replace NaN and infinity, or leave the scan out",
        )
    if not allow_constant and voxels.min() == voxels.max():
        raise DataError(
            f"{shorten_path(path)} has the same value in every voxel",
            "export it again, or leave the scan out",
        )
    return Volume(voxels, make_canonical(grid).affine, repaired_vox=count)


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
    return a.shape_vox == b.shape_vox and close(a.affine, b.affine)


def share_outside(mask: Volume, image: Path) -> float:
    """Return which share of a mask's voxels lies outside of an image's field of view.

    Args:
        mask: ``(I, J, K)``, above 0 where it is.
        image: a file that can be read; nothing else counts as a field of view.
    """
    grid = grids.read_grid(image)
    return grids.share_outside(mask.data > 0, mask.affine, grid) if isinstance(grid, Grid) else 0.0


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
    if target.shape_vox == volume.shape_vox and close(target.affine, volume.affine):
        return volume
    if not do_overlap(Grid(volume.shape_vox, volume.affine), target):
        raise DataError(
            "the fields of view of two volumes do not overlap", "are both of one subject and session?"
        )
    to_source = np.linalg.inv(volume.affine) @ target.affine
    inside = _find_inside(to_source, target.shape_vox, volume.shape_vox)
    channels = volume.data if volume.data.ndim == 4 else volume.data[None]
    moved = np.stack([_transform(channel, to_source, target.shape_vox, order) for channel in channels])
    moved *= inside
    return Volume(moved if volume.data.ndim == 4 else moved[0], target.affine)


def _find_inside(
    to_source: np.ndarray, shape: tuple[int, int, int], source: tuple[int, int, int]
) -> np.ndarray:
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
