"""What a NIfTI file claims and what it holds, before it becomes a volume.

A file is never believed: only its header is parsed (extensions are passed over), what it claims is compared
with what it can hold, and its voxels are read piece by piece into the one array that is asked for.
"""

from __future__ import annotations

import gzip
import logging
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import nibabel as nib
import numpy as np
from nibabel import orientations
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from mribench.errors import DataError
from mribench.wording import spell_out

MAX_VOXELS = 2**30
"""Larger claims (1024³) are taken for a broken header."""
MAX_UNPACKED_BYTES = 2**29
"""What a compressed file may become in memory at any ratio (512³ voxels); larger ones must be large files."""
MAX_SURPLUS_BYTES = 2**26
"""What may follow the last voxel of a compressed file."""

_MAX_DEFLATE_RATIO = 1032  # what DEFLATE can reach at best (zlib's technical notes)
_MAX_SCAN_RATIO = 64  # real scans reach 2 to 10
_MAX_EDGE_VOX = 2**15 - 1  # that of NIfTI-1
_MAX_ORIGIN_MM = 1e6
_PIECE_BYTES = 2**23
_MAX_PATH_SHOWN = 200
_GZIP_MAGIC = b"\x1f\x8b"
_UNREADABLE = (
    ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, struct.error, ValueError, TypeError,
    KeyError, OverflowError, MemoryError,
)  # fmt: skip
_DOWNLOAD_AGAIN = "copy or download the file again"

_SILENT = logging.getLogger("mribench.nifti")  # nibabel would print what it repairs, without the file's name
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@dataclass(frozen=True)
class Grid:
    """The grid that a file claims: shape ``(I, J, K)`` and voxel-to-world affine ``(4, 4)`` in mm."""

    shape_vox: tuple[int, int, int]
    affine: np.ndarray


def shorten_path(path: Path | str) -> str:
    """Return a path for a message: one line, no control characters, at most 200 characters of its end."""
    text = spell_out(str(path))
    return text if len(text) <= _MAX_PATH_SHOWN else f"…{text[1 - _MAX_PATH_SHOWN :]}"


def check_file(path: Path) -> None:
    """Check that a path is that of a file with a NIfTI name, without opening it.

    Raises:
        DataError: when it is missing, empty, a folder, a pipe or a device, or has another name.
    """
    try:
        str(path).encode()
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{shorten_path(path)} does not exist", "check the path in the benchmark file"
        ) from None
    except UnicodeEncodeError:
        raise DataError(
            f"{shorten_path(path)} has a name that is not UTF-8 text", "rename the file"
        ) from None
    except (OSError, ValueError) as error:
        raise _explain_unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise DataError(
            f"{shorten_path(path)} is {what}, expected a file", "check the path in the benchmark file"
        )
    if not path.name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{shorten_path(path)} is not a .nii or .nii.gz file", "convert it to NIfTI")
    if status.st_size == 0:
        raise DataError(f"{shorten_path(path)} is empty", _DOWNLOAD_AGAIN)


def read_header(path: Path) -> tuple[nib.Nifti1Header, Grid]:
    """Read what a NIfTI file says about itself, not its voxels.

    Args:
        path: ``.nii`` or ``.nii.gz``.

    Returns:
        The header, and the grid with trailing axes of length 1 dropped.

    Raises:
        DataError: when the file is missing, empty, not NIfTI, not one 3D volume, has no usable affine or
            claims more voxels than it can hold.
    """
    check_file(path)
    try:
        header = _parse(path)
        with np.errstate(all="ignore"):
            shape = tuple(int(n) for n in header.get_data_shape())
            affine = np.array(header.get_best_affine(), dtype=np.float64)
            header.get_data_dtype()
            header.get_data_offset()
            header.get_slope_inter()
    except _UNREADABLE as error:
        raise _explain_unreadable(path, error) from error
    grid = Grid(_find_volume_shape(path, shape), affine)
    _check_affine(path, affine)
    _check_claim(path, header, grid)
    return header, grid


def read_voxels(path: Path, header: nib.Nifti1Header, grid: Grid, orientation: np.ndarray) -> np.ndarray:
    """Read and scale all voxels; the file is read to its end, so a cut or damaged one is noticed.

    Args:
        path: the file.
        header: from ``read_header``.
        grid: from ``read_header``.
        orientation: nibabel's ``(3, 2)`` of the file's axes, which the voxels are turned by.

    Returns:
        ``(I, J, K)`` float32 in the order of axes that ``orientation`` leads to, C-contiguous.

    Raises:
        DataError: when the file is truncated, damaged, or of a type that is not one real number a voxel.
    """
    dtype = header.get_data_dtype()
    if dtype.kind not in "iufb":
        raise DataError(
            f"{shorten_path(path)} has voxels of type {dtype}, expected one real number a voxel",
            "convert it to float32",
        )
    slope, inter = header.get_slope_inter()
    order = np.argsort(orientation[:, 0])
    back = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)
    try:
        voxels = np.empty([grid.shape_vox[axis] for axis in order], dtype=np.float32)
        in_file = orientations.apply_orientation(voxels, back)  # a view in the file's own order
        with _open(path) as stream, np.errstate(over="ignore", invalid="ignore"):
            stream.seek(header.get_data_offset())
            for piece in _split_pieces(grid.shape_vox, dtype.itemsize):
                raw = _read_piece(stream, in_file[piece].shape, dtype)
                in_file[piece] = apply_read_scaling(raw, slope, inter)
            _finish(path, stream)
    except _UNREADABLE as error:
        raise _explain_unreadable(path, error) from error
    return voxels


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parse(path: Path) -> nib.Nifti1Header:
    """Return the header alone, repaired as nibabel does; what is left must be usable."""
    with path.open("rb") as file:
        start = file.read(2)
    if path.suffix == ".gz" and len(start) == 2 and start != _GZIP_MAGIC:
        raise DataError(
            f"{shorten_path(path)} cannot be read as NIfTI: it is not compressed",
            "rename it to .nii, if it is NIfTI at all",
        )
    if path.suffix != ".gz" and start == _GZIP_MAGIC:
        raise DataError(f"{shorten_path(path)} is compressed", "rename it to .nii.gz")
    with _open(path) as stream:
        content = stream.read(nib.Nifti2Header.template_dtype.itemsize)
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        raw = content[: kind.template_dtype.itemsize]
        if kind.may_contain_header(raw):
            header = kind(raw, check=False)
            header.check_fix(logger=_SILENT)
            return header
    if len(content) < nib.Nifti1Header.template_dtype.itemsize:
        raise EOFError(f"{len(content)} bytes of a header")
    raise DataError(
        f"{shorten_path(path)} cannot be read as NIfTI: it has no NIfTI header", "convert it to NIfTI"
    )


def _find_volume_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    spatial = shape[:3]
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        raise DataError(
            f"{shorten_path(path)} holds more than one volume, shape {_join_shape(shape)}",
            "extract the volume that you want",
        )
    if len(spatial) < 3 or min(spatial) < 2:
        raise DataError(
            f"{shorten_path(path)} is not 3D, shape {_join_shape(shape)}", "mribench needs 3D volumes"
        )
    return spatial[0], spatial[1], spatial[2]


def _check_affine(path: Path, affine: np.ndarray) -> None:
    hint = "repair the header, e.g. with the scanner's DICOM files"
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise DataError(f"{shorten_path(path)} has an affine that is not finite", hint)
    with np.errstate(over="ignore"):
        edges_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if edges_mm.min() < 1e-3 or edges_mm.max() > 1e3:
        raise DataError(f"{shorten_path(path)} has voxel edges of {_join_shape(edges_mm.round(4))} mm", hint)
    if abs(np.linalg.det(affine[:3, :3] / edges_mm)) < 1e-2:
        raise DataError(f"{shorten_path(path)} has an affine whose axes do not span space", hint)
    if np.abs(affine[:3, 3]).max() > _MAX_ORIGIN_MM:
        raise DataError(
            f"{shorten_path(path)} lies at {_join_shape(affine[:3, 3])} mm, outside any scanner", hint
        )


def _check_claim(path: Path, header: nib.Nifti1Header, grid: Grid) -> None:
    size = path.stat().st_size
    packed = path.suffix == ".gz"
    n_voxels = int(np.prod(np.array(grid.shape_vox, dtype=object)))
    itemsize, offset = header.get_data_dtype().itemsize, header.get_data_offset()
    claimed = offset + n_voxels * itemsize
    claim = f"it claims {_join_shape(grid.shape_vox)} voxels in a file of {size} bytes"
    possible = claimed <= (size * _MAX_DEFLATE_RATIO if packed else size)
    if n_voxels > MAX_VOXELS or max(grid.shape_vox) > _MAX_EDGE_VOX or not possible or offset < 0:
        raise DataError(f"{shorten_path(path)} is truncated or its header is wrong: {claim}", _DOWNLOAD_AGAIN)
    unpacked = max(offset, n_voxels * max(itemsize, np.dtype(np.float32).itemsize))
    if packed and unpacked > max(MAX_UNPACKED_BYTES, size * _MAX_SCAN_RATIO):
        raise DataError(
            f"{shorten_path(path)} is compressed more than any scan: {claim}", "crop it, or save it as .nii"
        )


def _split_pieces(shape_vox: tuple[int, int, int], itemsize: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield parts of a volume in the order of the file: whole planes, or rows of one plane."""
    n_i, n_j, n_k = shape_vox
    rows = min(n_j, max(1, _PIECE_BYTES // (n_i * itemsize)))
    planes = max(1, _PIECE_BYTES // (n_i * n_j * itemsize))
    for k in range(0, n_k, planes):
        for j in range(0, n_j, rows):
            yield slice(None), slice(j, j + rows), slice(k, k + planes)


def _read_piece(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    wanted = int(np.prod(shape)) * dtype.itemsize
    content = stream.read(wanted)
    if len(content) < wanted:
        raise EOFError(f"{len(content)} bytes instead of {wanted}")
    return np.frombuffer(content, dtype).reshape(shape, order="F")


def _finish(path: Path, stream: IO[bytes]) -> None:
    """Read a compressed stream to its end, where its checksum is; there is not much left in a scan."""
    if path.suffix != ".gz":
        return
    surplus = 0
    while block := stream.read(2**20):
        surplus += len(block)
        if surplus > MAX_SURPLUS_BYTES:
            raise DataError(
                f"{shorten_path(path)} goes on for more than {MAX_SURPLUS_BYTES} bytes after its last voxel",
                _DOWNLOAD_AGAIN,
            )


def _explain_unreadable(path: Path, error: BaseException) -> DataError:
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return DataError(f"{shorten_path(path)} is truncated or damaged", _DOWNLOAD_AGAIN)
    if isinstance(error, PermissionError):
        return DataError(
            f"{shorten_path(path)} cannot be opened: permission denied", "ask its owner for read access"
        )
    if isinstance(error, MemoryError):
        return DataError(
            f"{shorten_path(path)} does not fit into memory", "use a machine with more, or a coarser volume"
        )
    if isinstance(error, OSError):
        return DataError(
            f"{shorten_path(path)} cannot be opened: {error.strerror or 'input error'}", "check the path"
        )
    reason = shorten_path(" ".join(str(error).split()))[:120]
    return DataError(
        f"{shorten_path(path)} cannot be read as NIfTI ({type(error).__name__}: {reason})", _DOWNLOAD_AGAIN
    )


def _join_shape(shape: object) -> str:
    return "x".join(str(n) for n in np.asarray(shape).tolist())
