"""What lies in a cohort's folder: files, links, and what is left out."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mribench.interfaces import Exclusion, Scan, Subject


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        subjects: with at least one scan each.
        excluded: left out, and why.
        remarks: odd, and used all the same.
        ignored: number of image files that are no inputs, by kind.
        exclude: what the user leaves out, by pattern, with the reason.
        excluded_by: the patterns that named somebody or something.
    """

    subjects: list[Subject] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)
    remarks: list[Exclusion] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    exclude: Mapping[str, str] = field(default_factory=dict)
    excluded_by: set[str] = field(default_factory=set)


LOST_LINK = "a link to content that is not here"
_FOLDER = "a folder"


def nifti_files(root: Path, found: Found) -> list[Path]:
    """Return every NIfTI file under a folder, sorted by path; folders that are links are looked into.

    Hidden files are counted in ``found.ignored``, what ``found.exclude`` names is noted in
    ``found.excluded``. Folders that are named like a file are looked into. Links whose target is not there
    are returned too: see ``is_there``.
    """
    paths = []
    for path in _files(root, found):
        if not path.name.endswith((".nii", ".nii.gz")):
            continue
        if path.name.startswith("."):
            found.ignored["hidden files (.*)"] += 1
        else:
            paths.append(path)
    return leave_out_files(root, sorted(paths), found)


def _files(root: Path, found: Found) -> Iterator[Path]:
    """Yield what is no folder; each folder is looked into once, real ones before links to them."""
    seen: set[tuple[int, int]] = set()
    real, links = [root], list[Path]()
    while real or links:
        folder = real.pop() if real else links.pop(0)
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            reason = f"{one_line(folder)} cannot be opened ({error.strerror}): nothing in it is used"
            found.excluded.append(Exclusion("", reason, "folder that cannot be opened"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            found.ignored["links to folders that are read already"] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = folder / entry.name
            if what_is(path) == _FOLDER:
                (links if entry.is_symlink() else real).append(path)
            else:
                _remark_lost_folder(path, found)
                yield path


def _remark_lost_folder(path: Path, found: Found) -> None:
    """Remark a link to nothing that has the name of a folder: whoever lies in there is not seen."""
    if not path.suffix and path.is_symlink() and what_is(path):
        reason = f"{one_line(path)} is {what_is(path)}: if it is a folder, nothing in it is used"
        found.remarks.append(Exclusion("", reason, "link without content"))


def is_there(path: Path, subject: str, found: Found) -> bool:
    """Return whether a file has content; a link to nothing, as datalad leaves it, is noted as excluded."""
    what = what_is(path)
    if not what:
        return True
    if what == LOST_LINK:
        what, kind = f"{what}: fetch it (`datalad get`), or download the file", "link without content"
    else:
        kind = "no file that can be read"
    found.excluded.append(Exclusion(subject, f"{one_line(path)} is {what}", kind))
    return False


def what_is(path: Path) -> str:
    """Return what is found in the place of a file, or an empty string for a file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return LOST_LINK
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself"
        return f"not to be opened ({error.strerror})"
    if stat.S_ISREG(mode):
        return ""
    return _FOLDER if stat.S_ISDIR(mode) else "a pipe or a device, and no file"


def one_line(path: Path) -> str:
    """Return a path for a message, without line breaks and control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def take_once(place: dict[Any, Path], key: Any, path: Path, subject: str, found: Found) -> None:
    """Put a file in its place, or note that another one is there already."""
    if key in place:
        reason = f"{one_line(path)} is there twice: {one_line(place[key])} is used"
        found.excluded.append(Exclusion(subject, reason, "file that is there twice"))
    elif is_there(path, subject, found):
        place[key] = path


def stem(path: Path) -> str:
    """Return the name without ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def sorted_scans(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Return scans in the order of session and sequence."""
    return tuple(sorted(scans, key=lambda scan: (scan.session, scan.sequence)))


_EXCLUDED = "named in 'exclude'"


def leave_out_files(root: Path, paths: Sequence[Path], found: Found) -> list[Path]:
    """Return the files that no pattern of ``found.exclude`` names: by name, path or folder under the root."""
    named: dict[str, list[Path]] = {}
    kept = []
    for path in paths:
        inside = place_in(root, path)
        places = [inside.name, *(str(part.as_posix()) for part in (inside, *inside.parents))]
        pattern = next((p for p in found.exclude if _matches(p, places)), None)
        if pattern is None:
            kept.append(path)
        else:
            named.setdefault(pattern, []).append(path)
    for pattern, some in named.items():
        more = f" and {len(some) - 1} more file(s)" if len(some) > 1 else ""
        found.excluded.append(_exclusion(pattern, f"{one_line(some[0])}{more}", found))
    return kept


def leave_out_subjects(found: Found) -> None:
    """Take the subjects that ``found.exclude`` names out; remark patterns that name nobody and nothing."""
    kept = []
    for subject in found.subjects:
        places = [subject.name, f"sub-{subject.name}", subject.id]
        pattern = next((p for p in found.exclude if _matches(p, places)), None)
        if pattern is None:
            kept.append(subject)
        else:
            entry = _exclusion(pattern, f"all scans of {subject.name}", found)
            found.excluded.append(replace(entry, subject=subject.name))
    found.subjects[:] = kept
    for pattern in found.exclude:
        if pattern not in found.excluded_by:
            reason = f"exclude: '{pattern}' is no subject, file or folder of the cohort"
            found.remarks.append(Exclusion("", reason, "pattern of 'exclude' that names nothing"))


def place_in(root: Path, path: Path) -> Path:
    """Return the path below the root; the whole path of a file that lies elsewhere."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def escaped(path: str) -> str:
    """Return the pattern that names this path only."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _matches(pattern: str, places: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(place, pattern) for place in places)


def _exclusion(pattern: str, what: str, found: Found) -> Exclusion:
    found.excluded_by.add(pattern)
    why = found.exclude[pattern] or "no reason given"
    return Exclusion(pattern, f"'{pattern}' leaves out {what}: {why}", _EXCLUDED)
