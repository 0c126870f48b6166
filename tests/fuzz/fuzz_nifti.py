"""NIfTI files that nobody should have made, one for each seed.

``python tests/fuzz/fuzz_nifti.py --cases 3000 --start 0`` runs them; the same seed makes the same file.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import random
import socket
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fuzz_running
import nibabel as nib
import numpy as np
from fuzz_running import Defect, check_message, check_refusal, timed

from mribench.data.inspection import inspect_file
from mribench.errors import DataError, MRIBenchError
from mribench.volumes import read_grid_of, read_volume
from mribench.volumes.nifti_file import read_header, shorten_path

DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8")
FIELDS_1 = nib.Nifti1Header.template_dtype
FIELDS_2 = nib.Nifti2Header.template_dtype
NASTY_REALS = (
    float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 1.0, 2.0, 1e-45, 1e-30, 1e-3, 999.0, 1e4,
    1e30,
    3e38, -3e38, 352.0, 351.0, 353.0, 544.0, 1e9, 2.0**31, 2.0**63, -352.0, 0.5,
)  # fmt: skip
NASTY_NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 128, 256, 348, 352, 512, 540, 544, 1536, 1792, 2048, 2304,
                 32767, -1, -2, -32768, 30000, 2**16, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62,
                 2**63 - 1)  # fmt: skip
NAMES = (
    "a\nb.nii", "a\x1b[31mred.nii.gz", "tab\t.nii", "\u202egnp.nii.gz", "é𝔘.nii", "\udcff.nii", ".nii",
    ".nii.gz",
    "A.NII", "A.NII.GZ", "a.nii.GZ", "a.gz", "a.hdr", "a.img", "a.mgz", "a", "a.nii.nii.gz", "%s{0}.nii",
    "a b.nii", "a.nii ", "x" * 240 + ".nii", "x" * 300 + ".nii", "none\0.nii", "d/" * 2500 + "a.nii",
)  # fmt: skip


BOMB_EDGES = (
    (256, 256, 256), (200, 300, 100), (160, 40, 1000), (512, 512, 512), (2, 32767, 2048), (32767, 2048, 2),
    (900, 900, 900),
)  # fmt: skip


@dataclass
class Case:
    """A file to be: contents as of a plain NIfTI, how it is packed, and its name."""

    rng: random.Random
    content: bytes
    header_dtype: np.dtype
    packed: bool
    name: str
    said: list[str]


def base_case(seed: int) -> Case:
    """Return a valid little volume of random type, byte order, version, orientation and scaling."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    kind = rng.choice((nib.Nifti1Image, nib.Nifti1Image, nib.Nifti2Image))
    shape = tuple(rng.randint(2, 7) for _ in range(3)) + rng.choice(((), (), (), (1,), (1, 1)))
    endianness = rng.choice("<>")
    dtype = np.dtype(rng.choice(DTYPES))
    values = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    axes = rng.sample(range(3), 3)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[axes] * [rng.choice((-1, 1)) * rng.uniform(0.3, 4) for _ in range(3)]
    affine[:3, 3] = [rng.uniform(-100, 100) for _ in range(3)]
    image = kind(values, affine, header=kind.header_class(endianness=endianness), dtype=dtype)
    content = bytearray(image.to_bytes())
    case = Case(rng, b"", FIELDS_2 if kind is nib.Nifti2Image else FIELDS_1, rng.random() < 0.5, "", [])
    case.content = bytes(content)
    if dtype.kind in "iu" and rng.random() < 0.5:
        set_field(case, "scl_slope", rng.uniform(-3, 3))
        set_field(case, "scl_inter", rng.uniform(-3, 3))
    case.name = "scan.nii.gz" if case.packed else "scan.nii"
    case.said = [f"{kind.__name__} {dtype} {'gz' if case.packed else 'plain'}"]
    return case


def order(case: Case) -> str:
    size = case.header_dtype.itemsize
    return "<" if case.content[:4] == struct.pack("<i", size) else ">"


def set_field(case: Case, name: str, value: object, place: int = 0) -> None:
    """Write a number into a field of the header, wrapped to its type."""
    size = case.header_dtype.itemsize
    header = np.frombuffer(
        case.content[:size].ljust(size, b"\0"), case.header_dtype.newbyteorder(order(case))
    )
    header = header.copy()
    field = header[name].reshape(-1)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = field.dtype.kind
        if kind in "iu":
            whole = int(value) if np.isfinite(float(value)) else -1  # type: ignore[arg-type]
            bits = 8 * field.dtype.itemsize
            field[place] = (
                (whole + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) if kind == "i" else whole % 2**bits
            )
        elif kind == "f":
            field[place] = float(value)  # type: ignore[arg-type]
        else:
            field[place] = str(value).encode()
    header[name] = field.reshape(header[name].shape)
    case.content = header.tobytes() + case.content[size:]


# ---- what is done to the content ----


def nothing(case: Case) -> None:
    pass


def truncate(case: Case) -> None:
    case.content = case.content[: case.rng.randint(0, len(case.content))]


def grow(case: Case) -> None:
    case.content += case.rng.choice((b"\0", b"\xff", b"abc")) * case.rng.choice((1, 7, 1000, 70_000))


def flip_header(case: Case) -> None:
    content = bytearray(case.content)
    for _ in range(case.rng.choice((1, 1, 2, 4, 16, 80))):
        content[case.rng.randrange(min(len(content), case.header_dtype.itemsize + 4))] = case.rng.randrange(
            256
        )
    case.content = bytes(content)


def flip_any(case: Case) -> None:
    content = bytearray(case.content)
    for _ in range(case.rng.choice((1, 8, 100))):
        content[case.rng.randrange(len(content))] ^= 1 << case.rng.randrange(8)
    case.content = bytes(content)


def nasty_field(case: Case) -> None:
    names = case.header_dtype.names or ()
    for _ in range(case.rng.choice((1, 1, 2, 3, 6))):
        name = case.rng.choice(names)
        place = case.rng.randrange(max(1, int(np.prod(case.header_dtype[name].shape))))
        value = case.rng.choice(NASTY_REALS + NASTY_NUMBERS)
        set_field(case, name, value, place)
        case.said.append(f"{name}[{place}]={value}")


def nasty_dimensions(case: Case) -> None:
    for _ in range(case.rng.randint(1, 4)):
        set_field(case, "dim", case.rng.choice(NASTY_NUMBERS), case.rng.randrange(8))


def gigantic(case: Case) -> None:
    edge = case.rng.choice((300, 1024, 2**13, 32767))
    for axis in range(1, 4):
        set_field(case, "dim", case.rng.choice((2, edge, edge)), axis)
    set_field(case, "datatype", case.rng.choice((2, 4, 16, 64, 1536)))


def nasty_scaling(case: Case) -> None:
    set_field(case, "scl_slope", case.rng.choice(NASTY_REALS))
    set_field(case, "scl_inter", case.rng.choice(NASTY_REALS))


def nasty_affine(case: Case) -> None:
    set_field(case, "sform_code", case.rng.choice((0, 1, 2, 4, 5, -1, 99, 32767)))
    set_field(case, "qform_code", case.rng.choice((0, 1, 2, 4, 5, -1, 99, 32767)))
    for _ in range(case.rng.randint(1, 5)):
        names = (
            "quatern_b",
            "quatern_c",
            "quatern_d",
            "qoffset_x",
            "qoffset_y",
            "srow_x",
            "srow_y",
            "srow_z",
            "pixdim",
        )
        name = case.rng.choice(names)
        place = case.rng.randrange(max(1, int(np.prod(case.header_dtype[name].shape))))
        set_field(case, name, case.rng.choice(NASTY_REALS), place)


def extension(case: Case) -> None:
    size = case.header_dtype.itemsize
    data = case.content[size + 4 :]
    length = case.rng.choice((0, 16, 32, 48, 160))
    claimed = case.rng.choice((length, length, 0, 7, 15, -1, -16, 2**31 - 1, 2**30, 1000))
    code = case.rng.choice((0, 2, 4, 6, 32, -1, 2**31 - 1))
    block = struct.pack(order(case) + "ii", claimed, code) + case.rng.randbytes(max(0, length - 8))
    flag = case.rng.choice((b"\1\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1"))
    case.content = case.content[:size] + flag + block + data
    if case.rng.random() < 0.8:
        set_field(
            case, "vox_offset", case.rng.choice((size + 4 + len(block), size + 4 + len(block), 10**9, 0))
        )


def swap_order(case: Case) -> None:
    size = case.header_dtype.itemsize
    header = np.frombuffer(case.content[:size], case.header_dtype.newbyteorder(order(case)))
    if case.rng.random() < 0.5:
        case.content = header.byteswap().tobytes() + case.content[size:]
    else:  # the size of the header alone
        case.content = header.byteswap().tobytes()[:4] + case.content[4:]


def other_version(case: Case) -> None:
    sizes = (348, 540, 0, 1, -1, 384, 352)
    case.content = struct.pack(order(case) + "i", case.rng.choice(sizes)) + case.content[4:]


def not_finite(case: Case) -> None:
    case.content = case.content[:-16] + case.rng.choice((b"\xff", b"\x7f", b"\x7f\xf0")) * 8


def empty_voxels(case: Case) -> None:
    head = case.header_dtype.itemsize + 4
    case.content = case.content[:head] + b"\0" * (len(case.content) - head)


def noise(case: Case) -> None:
    size = case.rng.choice((0, 1, 2, 3, 100, 348, 600, 5000))
    case.content = case.rng.randbytes(size)


def foreign(case: Case) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    case.content = case.rng.choice(
        (buffer.getvalue(), b"\x89PNG\r\n\x1a\n" * 50, b"\0" * 128 + b"DICM" + b"\2" * 500, b"<html>" * 100,
         nib.MGHImage(np.zeros((3, 3, 3), np.float32), np.eye(4)).to_bytes(), b"PK\3\4" * 200)
    )  # fmt: skip


CHANGES: tuple[Callable[[Case], None], ...] = (
    nothing, truncate, grow, flip_header, flip_header, flip_any, nasty_field, nasty_field, nasty_field,
    nasty_dimensions, gigantic, nasty_scaling, nasty_affine, nasty_affine, extension, extension, swap_order,
    other_version, not_finite, empty_voxels, noise, foreign,
)  # fmt: skip


# ---- how it is packed ----


@cache
def zeros(mib: int) -> bytes:
    return gzip.compress(b"\0" * (mib * 2**20), 9, mtime=0)


def bomb(case: Case) -> bytes:
    """A file that is small, and is what it claims or goes on much longer."""
    if case.rng.random() < 0.3:
        return gzip.compress(case.content, mtime=0) + zeros(16) * case.rng.choice((2, 40, 200))
    edges = case.rng.choice(BOMB_EDGES)
    for axis, edge in enumerate(edges):
        set_field(case, "dim", edge, axis + 1)
    code, itemsize = case.rng.choice(((2, 1), (2, 1), (4, 2), (16, 4), (64, 8), (1536, 16)))
    set_field(case, "datatype", code)
    n_zeros = int(np.prod(edges)) * itemsize
    header = gzip.compress(case.content[: case.header_dtype.itemsize + 4], mtime=0)
    return header + zeros(16) * min(200, -(-n_zeros // 2**24))


def pack(case: Case) -> bytes:
    """Return the bytes of the file: compressed for most names that say so, and sometimes badly."""
    if not case.packed:
        if case.rng.random() < 0.05:
            case.said.append("plain, named .nii.gz")
            case.name = "scan.nii.gz"
        return case.content
    packed = gzip.compress(case.content, case.rng.randint(0, 9), mtime=0)
    how = case.rng.choice(
        ("well",) * 8
        + ("truncated", "bad checksum", "bad length", "bit", "twice", "members", "zeros after",
        "garbage after",
           "named .nii", "flags", "bomb", "empty member")
    )  # fmt: skip
    case.said.append(f"packed {how}")
    bits = bytearray(packed)
    if how == "bad checksum":
        bits[-6] ^= 1
    elif how == "bad length":
        bits[-2] ^= 1
    elif how == "bit":
        bits[case.rng.randrange(len(bits))] ^= 1 << case.rng.randrange(8)
    elif how == "flags":
        bits[3] = case.rng.randrange(256)
    elif how == "named .nii":
        case.name = "scan.nii"
    half = len(case.content) // 2
    others = {
        "truncated": lambda: packed[: case.rng.randrange(len(packed))],
        "twice": lambda: gzip.compress(packed, mtime=0),
        "members": lambda: (
            gzip.compress(case.content[:half], mtime=0) + gzip.compress(case.content[half:], mtime=0)
        ),
        "zeros after": lambda: packed + b"\0" * 1000,
        "garbage after": lambda: packed + case.rng.randbytes(50),
        "bomb": lambda: bomb(case),
        "empty member": lambda: gzip.compress(b"", mtime=0) + packed,
    }
    return others[how]() if how in others else bytes(bits)


def make(seed: int) -> tuple[Case, bytes]:
    """Return the case of a seed and the bytes of its file."""
    case = base_case(seed)
    for _ in range(case.rng.choice((1, 1, 1, 2, 3))):
        change = case.rng.choice(CHANGES)
        case.said.append(change.__name__)
        if len(case.content) >= case.header_dtype.itemsize:
            change(case)
    data = pack(case)
    if case.rng.random() < 0.06:
        case.name = case.rng.choice(NAMES)
    return case, data


def put(case: Case, data: bytes, folder: Path) -> Path:
    """Write the file, or something that is no file; some names no file can have."""
    path = folder / case.name
    kind = case.rng.choice(
        ("file",) * 40
        + ("folder", "pipe", "loop", "to a device", "socket", "broken link", "below a file", "link")
    )
    case.said.append(kind)
    try:
        if kind == "file":
            path.write_bytes(data)
        elif kind == "link":
            (folder / "elsewhere").write_bytes(data)
            path.symlink_to(folder / "elsewhere")
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "to a device":
            path.symlink_to(case.rng.choice(("/dev/zero", "/dev/null", "/dev/tty", "/dev/full")))
        elif kind == "broken link":
            path.symlink_to(folder / "nowhere")
        elif kind == "below a file":
            path.write_bytes(data)
            path = path / "scan.nii"
        else:
            os.mknod(path, 0o140600) if len(str(path)) > 100 else _bind(path)
    except (OSError, ValueError) as error:
        case.said.append(f"could not be made: {type(error).__name__}")
    return path


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


# ---- what must hold ----


def check_path(path: Path) -> str:
    """Read a file in every way that there is; raise when anything but a result or a refusal comes out."""
    names = (shorten_path(path.name)[-60:],)
    label = _grid(path, names)
    image = timed(inspect_file, path)
    if image.digest and not label and _n_voxels(path) > 10**6:  # a bomb that is as large as it says
        return _volume(path, names, image.problem, allow_constant=False, repair=False)
    mask = timed(inspect_file, path, is_label=True)
    for found in (image, mask):
        if found.problem:
            check_message(found.problem, *names)
    said = _volume(path, names, image.problem, allow_constant=False, repair=False)
    _volume(path, names, mask.problem, allow_constant=True, repair=False)
    repaired = timed(inspect_file, path, repair=True)
    _volume(path, names, repaired.problem, allow_constant=False, repair=True)
    _volume(path, names, None, allow_constant=True, repair=True)
    if said.startswith("accepted") and label:
        raise Defect(f"read, but its grid is refused: {label}")
    return said


def _n_voxels(path: Path) -> int:
    return int(np.prod(read_header(path)[1].shape_vox))


def _grid(path: Path, names: tuple[str, ...]) -> str:
    problem = timed(read_grid_of, [path], [path], measured=False)
    if problem:
        check_message(problem, *names)
    try:
        _, grid = timed(read_header, path)
    except DataError as error:
        check_refusal(error, *names)
    else:
        if problem or min(grid.shape_vox) < 2 or not np.isfinite(grid.affine).all():
            raise Defect(f"a grid {grid} with problem {problem!r}")
    return problem


def _volume(path: Path, names: tuple[str, ...], inspected: str | None, **options: bool) -> str:
    try:
        volume = timed(read_volume, path, **options)
    except MRIBenchError as error:
        if isinstance(error.__cause__, MemoryError):
            raise Defect("it took all memory there is") from error
        if inspected == "":
            raise Defect("inspected as good, and refused") from error
        return check_refusal(error, *names)
    if inspected:
        raise Defect(f"read, and inspected as: {inspected}")
    data = volume.data
    if data.ndim != 3 or data.dtype != np.float32 or not np.isfinite(data).all():
        raise Defect(f"a volume of shape {data.shape}, {data.dtype}, finite: {np.isfinite(data).all()}")
    _compare(path, volume.data, volume.repaired_vox)
    return f"accepted {data.shape}"


def _compare(path: Path, data: np.ndarray, repaired_vox: int) -> None:
    """Compare with what nibabel alone makes of the file."""
    if data.size > 10**5:
        return
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            image = nib.load(path)
        except Exception:  # noqa: BLE001 - nibabel parses extensions, which mribench passes over
            return
        expected = np.asarray(nib.as_closest_canonical(image).dataobj, dtype=np.float32).reshape(data.shape)
    if repaired_vox:
        expected = np.where(np.isfinite(expected), expected, 0)
    if not np.array_equal(expected, data):
        raise Defect(f"nibabel reads other values: {expected.ravel()[:4]} and not {data.ravel()[:4]}")


def check_case(seed: int, folder: Path) -> str:
    """Make and check the case of a seed."""
    os.environ["MRIBENCH_CACHE"] = str(folder / "cache")
    case, data = make(seed)
    return check_path(put(case, data, folder))


def describe(seed: int) -> str:
    case, data = make(seed)
    return f"{', '.join(case.said)}; {len(data)} bytes named {case.name[:40]!a}"


if __name__ == "__main__":
    fuzz_running.main(check_case, describe)
