"""Which file of a BIDS folder is what: an image of a sequence, a label, a quantitative map, or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from mribench.interfaces import Exclusion
from mribench_datasets.bids_names import BIDSFile, is_in_anothers_folder, parse_bids_name, why_no_scan
from mribench_datasets.files import Found, is_there, nifti_files, one_line, stem, take_once
from mribench_datasets.mpm_names import BIDS_SUFFIXES, MapFile, map_of

_NOT_RAW = ("derivatives", "sourcedata", "code", "stimuli")
_SEGMENTATIONS = ("mask", "dseg", "probseg", "defacemask")
_OTHER_DATA = (
    "func", "dwi", "fmap", "perf", "pet", "meg", "eeg", "ieeg", "nirs", "motion", "beh", "micr", "mrs",
)  # fmt: skip
"""Folders of BIDS' other kinds of data."""
_OWN_SPACES = ("orig", "individual", "scanner", "native", "T1w", "T2w", "FLAIR", "PDw", "T2starw")

Patterns = Mapping[str, tuple[str, ...]]
"""Patterns of file names by the name of a sequence or of a label."""


@dataclass(frozen=True)
class Session:
    """A visit of a person.

    Attributes:
        dataset: folder of the BIDS dataset below the root, where there are several; else empty.
        subject: without ``sub-``.
        session: without ``ses-``; empty where names have none.
    """

    dataset: str
    subject: str
    session: str

    @property
    def person(self) -> str:
        """The subject's name, with the dataset's before it where there are several."""
        return f"{self.dataset}/{self.subject}" if self.dataset else self.subject


@dataclass
class BIDSFiles:
    """What a BIDS folder holds.

    Attributes:
        images: by session, and by sequence.
        labels: by session; by label one list of files for each pattern.
        maps: by session, and by what the names of a set of maps share.
        datasets: folders of the BIDS datasets below the root; empty for the root itself.
    """

    images: dict[Session, dict[str, list[BIDSFile]]] = field(default_factory=dict)
    labels: dict[Session, dict[str, tuple[list[BIDSFile], ...]]] = field(default_factory=dict)
    maps: dict[Session, dict[tuple[Path, str], list[MapFile]]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Role:
    """What a file is: exactly one is not empty.

    Attributes:
        sequence: of an image.
        label: name, and the number of the pattern that names the file.
        map: of a set.
        nothing: what to call a file that is no input.
    """

    sequence: str = ""
    label: tuple[str, int] | None = None
    map: MapFile | None = None
    nothing: str = ""


def sort_bids_files(root: Path, sequences: Patterns, labels: Patterns, found: Found) -> BIDSFiles:
    """Tell the files of a BIDS folder apart.

    Args:
        root: the folder; it may hold several BIDS datasets.
        sequences: what is an image of which sequence; when empty each suffix of ``anat`` is a sequence.
        labels: what is a label; several patterns have the shares of one class each.
        found: gets what is left out or no input.
    """
    roles = _roles(root, sequences, labels, found)
    raw = {_dataset_of(root, file) for file, role in roles if role.sequence or role.map}
    sorted_files = BIDSFiles(datasets=tuple(sorted(raw)))
    taken: dict[tuple[object, ...], Path] = {}
    for file, role in roles:
        dataset = _dataset_of(root, file) if len(raw) > 1 else ""
        session = Session(dataset, file.subject, file.session)
        if role.map is not None:
            sets = sorted_files.maps.setdefault(session, defaultdict(list))
            sets[file.path.parent, role.map.prefix].append(role.map)
            continue
        key = (session, role.sequence, role.label, file.path.parent, stem(file.path))
        take_once(taken, key, file.path, session.person, found)
        if taken.get(key) != file.path:
            continue
        if role.label is not None:
            name, place = role.label
            several = sorted_files.labels.setdefault(session, {})
            several.setdefault(name, tuple([] for _ in labels[name]))[place].append(file)
        else:
            images = sorted_files.images.setdefault(session, defaultdict(list))
            images[role.sequence].append(file)
    return sorted_files


def is_named(pattern: str, inside: Path) -> bool:
    """Return whether a pattern names a file, with or without its ending.

    Args:
        pattern: of a path below the root where it has a slash, else of a name.
        inside: path below the root.
    """
    names = (inside.as_posix(), (inside.parent / stem(inside)).as_posix())
    if "/" not in pattern:
        names = (inside.name, stem(inside))
    return any(fnmatchcase(name, pattern) for name in names)


def _roles(root: Path, sequences: Patterns, labels: Patterns, found: Found) -> list[tuple[BIDSFile, _Role]]:
    """Return every file that is an input, and count the others."""
    roles = []
    for path in nifti_files(root, found):
        inside = path.relative_to(root)
        file = parse_bids_name(path)
        if file is None:
            found.ignored["names that are not BIDS"] += 1
            continue
        role = _role(inside, file, sequences, labels)
        if role.nothing:
            found.ignored[role.nothing] += 1
        elif is_in_anothers_folder(inside.parts, file):
            reason = f"{one_line(path)} lies in the folder of another subject or session than its name says"
            found.excluded.append(Exclusion(file.subject, reason, "file in another one's folder"))
        elif role.map is None or is_there(path, file.subject, found):
            roles.append((file, role))
    return roles


def _role(inside: Path, file: BIDSFile, sequences: Patterns, labels: Patterns) -> _Role:
    for name, patterns in labels.items():
        for place, pattern in enumerate(patterns):
            if is_named(pattern, inside):
                return _unless_unfit(file, pattern, _Role(label=(name, place)))
    is_raw = _is_raw(inside)
    for name, patterns in sequences.items():
        for pattern in patterns:
            if is_named(pattern, inside) and (is_raw or "/" in pattern):
                return _unless_unfit(file, pattern, _Role(sequence=name))
    if not is_raw:
        return _Role(nothing=f"{_top_folders(inside)}/*")
    is_map = file.suffix in BIDS_SUFFIXES
    if is_map or not sequences:
        return _unless_unfit(file, "", _usual_role(inside, file))
    return _Role(nothing=f"*_{file.suffix}")


def _usual_role(inside: Path, file: BIDSFile) -> _Role:
    """Return what a raw file is that no pattern names."""
    folder = inside.parts[-2] if len(inside.parts) > 1 else ""
    if folder in _OTHER_DATA:
        return _Role(nothing=f"{folder}/*")
    if file.suffix in BIDS_SUFFIXES:
        return _Role(map=map_of(file.path))
    if file.suffix in _SEGMENTATIONS or file.suffix.endswith("map"):
        return _Role(nothing=f"*_{file.suffix}")
    return _Role(sequence=file.suffix)


def _unless_unfit(file: BIDSFile, pattern: str, role: _Role) -> _Role:
    """Return the role, or what to call a file in another space or without magnitude that nobody asked for."""
    if role.nothing or "space-" in pattern or "part-" in pattern:
        return role
    unfit = why_no_scan(file, _OWN_SPACES)
    return _Role(nothing=unfit) if unfit else role


def _is_raw(inside: Path) -> bool:
    return not any(part in _NOT_RAW for part in inside.parts[:-1])


def _top_folders(inside: Path) -> str:
    """Return the folders that a file is counted by: ``derivatives/fmriprep``."""
    parts = inside.parts[:-1]
    place = next(place for place, part in enumerate(parts) if part in _NOT_RAW)
    return "/".join(parts[: place + 2])


def _dataset_of(root: Path, file: BIDSFile) -> str:
    """Return the folder of the BIDS dataset that a file belongs to, below the root."""
    return "/".join(_above(file.path.relative_to(root).parts[:-1]))


def _above(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if part.startswith(("sub-", "ses-")) or part in (*_NOT_RAW, "anat"):
            return
        yield part
