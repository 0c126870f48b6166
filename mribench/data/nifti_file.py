"""What a NIfTI file claims and what it holds, before it becomes a volume."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from mribench.errors import DataError

MAX_VOXELS = 2**30
"""Larger claims (1024³) are taken for a broken header."""

_MAX_DEFLATE_RATIO = 1032  # what DEFLATE can reach at best (zlib's technical notes)
_UNREADABLE = (
    ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, struct.error, ValueError, TypeError,
    KeyError, OverflowError, MemoryError,
)  # fmt: skip
_DOWNLOAD_AGAIN = "copy or download the file again"


@dataclass(frozen=True)
class Grid:
    """The grid that a file claims: shape ``(I, J, K)`` and voxel-to-world affine ``(4, 4)`` in mm."""

    shape_vox: tuple[int, int, int]
    affine: np.ndarray


def read_header(path: Path) -> tuple[nib.Nifti1Image, Grid]:
    """Open a NIfTI file without reading its voxels.

    Args:
        path: ``.nii`` or ``.nii.gz``.

    Returns:
        nibabel's lazy image, and the grid with trailing axes of length 1 dropped.

    Raises:
        DataError: when the file is missing, empty, not NIfTI, not one 3D volume, has no usable affine or
            claims more voxels than it can hold.
    """
    _check_exists(path)
    try:
        image = nib.load(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, nib.Nifti1Image):
        raise DataError(f"{path} is not NIfTI but {type(image).__name__}", "convert it to .nii.gz")
    shape = tuple(int(n) for n in image.shape)
    affine = np.array(image.affine, dtype=np.float64)
    grid = Grid(_volume_shape(path, shape), affine)
    _check_affine(path, affine)
    _check_claim(path, image, grid)
    return image, grid


def read_voxels(path: Path, image: nib.Nifti1Image, grid: Grid) -> np.ndarray:
    """Read and scale all voxels; the file is read to its end, so a cut or damaged one is noticed.

    Args:
        path: the file.
        image: from ``read_header``.
        grid: from ``read_header``.

    Returns:
        ``(I, J, K)`` float32 in the file's own axis order.

    Raises:
        DataError: when the file is truncated, damaged, or of a type that is not one real number a voxel.
    """
    if image.get_data_dtype().kind not in "iufb":
        raise DataError(
            f"{path} has voxels of type {image.get_data_dtype()}, expected one real number a voxel",
            "convert it to float32",
        )
    limit = _offset(image) + _claimed_bytes(image, grid)
    try:
        if path.suffix == ".gz":
            image = type(image).from_bytes(_decompress(path, limit))
        with np.errstate(over="ignore", invalid="ignore"):
            voxels = np.asarray(image.dataobj, dtype=np.float32)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return voxels.reshape(grid.shape_vox)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        what = "is a folder, expected a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}", "check the path in the benchmark file")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{path} is not a .nii or .nii.gz file", "convert it to NIfTI")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", _DOWNLOAD_AGAIN)


def _volume_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    spatial = shape[:3]
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        raise DataError(
            f"{path} holds more than one volume, shape {_by(shape)}", "extract the volume that you want"
        )
    if len(spatial) < 3 or min(spatial) < 2:
        raise DataError(f"{path} is not 3D, shape {_by(shape)}", "mribench needs 3D volumes")
    return spatial[0], spatial[1], spatial[2]


def _check_affine(path: Path, affine: np.ndarray) -> None:
    hint = "repair the header, e.g. with the scanner's DICOM files"
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise DataError(f"{path} has an affine that is not finite", hint)
    edges_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if edges_mm.min() < 1e-3 or edges_mm.max() > 1e3:
        raise DataError(f"{path} has voxel edges of {_by(edges_mm.round(4))} mm", hint)
    if abs(np.linalg.det(affine[:3, :3] / edges_mm)) < 1e-2:
        raise DataError(f"{path} has an affine whose axes do not span space", hint)


def _check_claim(path: Path, image: nib.Nifti1Image, grid: Grid) -> None:
    size = path.stat().st_size
    possible = size * _MAX_DEFLATE_RATIO if path.suffix == ".gz" else size
    n_voxels = int(np.prod([int(n) for n in grid.shape_vox], dtype=object))
    if n_voxels > MAX_VOXELS or _offset(image) + _claimed_bytes(image, grid) > possible:
        raise DataError(
            f"{path} is truncated or its header is wrong: it claims {_by(grid.shape_vox)} voxels in a file "
            f"of {size} bytes",
            _DOWNLOAD_AGAIN,
        )


def _claimed_bytes(image: nib.Nifti1Image, grid: Grid) -> int:
    count = image.get_data_dtype().itemsize
    for n in grid.shape_vox:
        count *= n
    return count


def _offset(image: nib.Nifti1Image) -> int:
    return int(getattr(image.dataobj, "offset", 0))


def _decompress(path: Path, limit: int) -> bytes:
    """Return at most ``limit`` bytes of content, having read the stream to its end."""
    with gzip.open(path) as stream:
        content = stream.read(limit)
        if len(content) < limit:
            raise EOFError(f"{len(content)} bytes instead of {limit}")
        while stream.read(2**20):
            pass
    return content


def _unreadable(path: Path, error: BaseException) -> DataError:
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return DataError(f"{path} is truncated or damaged", _DOWNLOAD_AGAIN)
    if isinstance(error, PermissionError):
        return DataError(f"{path} cannot be opened: permission denied", "ask its owner for read access")
    if isinstance(error, MemoryError):
        return DataError(f"{path} does not fit into memory", "use a machine with more, or a coarser volume")
    reason = " ".join(str(error).split())[:120]
    return DataError(f"{path} cannot be read as NIfTI ({type(error).__name__}: {reason})", _DOWNLOAD_AGAIN)


def _by(shape: object) -> str:
    return "x".join(str(n) for n in np.asarray(shape).tolist())
