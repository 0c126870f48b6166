"""Drafts a table of scans from the names of the files in a folder, for a person to correct."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mribench.errors import DataError
from mribench.interfaces import TableDraft
from mribench.wording import count, list_some
from mribench_datasets.bids_names import parse_bids_name
from mribench_datasets.files import Found, nifti_files, one_line, stem
from mribench_datasets.mpm_people import VISIT
from mribench_datasets.table_rows import LABEL_COLUMN

_SEQUENCES = {
    "T1w": ("t1", "t1w", "t1n", "mprage", "spgr", "bravo"),
    "T1ce": ("t1c", "t1ce", "t1gd", "t1post"),
    "T2w": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "t2flair"),
    "PDw": ("pd", "pdw"),
    "T2starw": ("t2star", "t2starw"),
}
"""Names of sequences by the words that files are called by."""
_SEQUENCE_OF = {word: name for name, words in _SEQUENCES.items() for word in words}
_LABEL_WORDS = frozenset(
    (
        "seg",
        "segmentation",
        "label",
        "labels",
        "mask",
        "lesion",
        "dseg",
        "aseg",
        "aparc",
        "gt",
        "roi",
        "manual",
    )
)
_LABEL_FOLDER = re.compile(r"(?:labels?|masks?|seg(?:mentation)?s?|derivatives)(?:T[rs]|$)", re.IGNORECASE)
_CHANNEL = re.compile(r"\d{4}$")
"""How nnU-Net numbers the images of a case."""
_PLAIN_FOLDERS = re.compile(r"(?:anat|nifti|nii|mri|raw|images?(?:T[rs])?|scans?|data)$", re.IGNORECASE)
_WORDS = re.compile(r"[^_\-.\s]+")
_SHOWN = 3


@dataclass(frozen=True)
class _Guess:
    """What the name of a file seems to say.

    Attributes:
        path: below the folder.
        subject: who.
        session: empty where nothing says so.
        sequence: of an image; empty where nothing says so.
        label: name of a label; empty for an image.
    """

    path: Path
    subject: str
    session: str
    sequence: str
    label: str


def draft_table(folder: Path) -> TableDraft:
    """Return a table of the NIfTI files in a folder: one line for each image, labels beside it.

    Raises:
        DataError: when there is no image.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {one_line(folder)}", "check the path")
    paths = [path.relative_to(folder) for path in nifti_files(folder, Found())]
    shared = _shared_by_folders(paths)
    guesses = [_guess(path, shared) for path in paths]
    images = [guess for guess in guesses if not guess.label]
    if not images:
        raise DataError(
            f"{one_line(folder)} holds no image: no .nii or .nii.gz file that is not named like a label",
            "convert the images to NIfTI first",
        )
    labels: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    for guess in guesses:
        if guess.label:
            labels[guess.subject, guess.session].setdefault(guess.label, guess.path)
    return TableDraft(_write(images, labels), len(images), tuple(_remarks(images, guesses, labels)))


def _guess(path: Path, shared: Collection[str]) -> _Guess:
    """Read a name as BIDS has it, else by its words and folders.

    Args:
        path: below the folder.
        shared: names that are several people's, who are told apart by their folders.
    """
    in_label_folder = any(_LABEL_FOLDER.match(part) for part in path.parts[:-1])
    file = parse_bids_name(path)
    if file is not None:
        is_label = file.suffix.casefold() in _LABEL_WORDS
        label = file.entities.get("desc", file.suffix) if is_label else ""
        sequence = _SEQUENCE_OF.get(file.suffix.casefold(), file.suffix)
        return _Guess(path, file.subject, file.session, "" if is_label else sequence, label)
    words = _WORDS.findall(stem(path))
    plain = [word.casefold() for word in words]
    said = [word for word in plain if word in _LABEL_WORDS]
    label = said[-1] if said else ""
    if in_label_folder and not label:
        label = LABEL_COLUMN
    sequence = next((_SEQUENCE_OF[word] for word in reversed(plain) if word in _SEQUENCE_OF), "")
    session = next((part for part in path.parts[:-1] if VISIT.match(part)), "")
    subject = "" if _core(path) in shared else _core(path)
    subject = subject or _folder(path) or stem(path)
    return _Guess(
        path, subject, session.removeprefix("ses-"), "" if label else sequence or _channel(path), label
    )


def _channel(path: Path) -> str:
    """Return the number of a channel at the end of a name that has no word for a sequence."""
    words = _WORDS.findall(stem(path))
    is_named = any(word.casefold() in _SEQUENCE_OF for word in words)
    return words[-1] if len(words) > 1 and _CHANNEL.match(words[-1]) and not is_named else ""


def _core(path: Path) -> str:
    """Return what is left of a name without the words for sequences, labels and channels."""
    name = stem(path)
    if channel := _channel(path):
        return name[: -len(channel)].rstrip("_-. ")
    ends = [
        match.span()
        for match in _WORDS.finditer(name)
        if match[0].casefold() in _SEQUENCE_OF or match[0].casefold() in _LABEL_WORDS
    ]
    for start, end in reversed(ends):
        name = name[:start].rstrip("_-. ") + name[end:]
    return name.strip("_-. ")


def _folder(path: Path) -> str:
    """Return the innermost folder that may have a person's name, or an empty string."""
    folders = [part for part in path.parts[:-1] if not _is_plain(part)]
    return folders[-1].removeprefix("sub-") if folders else ""


def _shared_by_folders(paths: Sequence[Path]) -> frozenset[str]:
    """Return the names that files in the folders of several people have."""
    folders: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folders[_core(path)].add(_folder(path))
    return frozenset(core for core, names in folders.items() if len(names - {""}) > 1)


def _is_plain(folder: str) -> bool:
    """Return whether a folder has the name of a kind of file or of a visit, not of a person."""
    return any(pattern.match(folder) for pattern in (_PLAIN_FOLDERS, _LABEL_FOLDER, VISIT))


def _write(images: Sequence[_Guess], labels: Mapping[tuple[str, str], Mapping[str, Path]]) -> str:
    names = sorted({name for mine in labels.values() for name in mine})
    columns = [LABEL_COLUMN] if len(names) == 1 else [f"{LABEL_COLUMN}_{name}" for name in names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["subject", "session", "sequence", "image", *columns])
    for guess in sorted(images, key=lambda guess: (guess.subject, guess.session, guess.sequence, guess.path)):
        mine = labels.get((guess.subject, guess.session), {})
        paths = [mine[name].as_posix() if name in mine else "" for name in names]
        writer.writerow([guess.subject, guess.session, guess.sequence, guess.path.as_posix(), *paths])
    return text.getvalue()


def _remarks(
    images: Sequence[_Guess],
    guesses: Sequence[_Guess],
    labels: Mapping[tuple[str, str], Mapping[str, Path]],
) -> list[str]:
    """Return what a person has to look at, a sentence each."""
    remarks = []
    unknown = [str(guess.path) for guess in images if not guess.sequence]
    if unknown:
        remarks.append(
            f"{count(len(unknown), 'image')} of no known sequence, to be filled in:"
            f" {list_some(unknown, _SHOWN)}"
        )
    with_image = {(guess.subject, guess.session) for guess in images}
    lonely = [
        str(guess.path)
        for guess in guesses
        if guess.label and (guess.subject, guess.session) not in with_image
    ]
    if lonely:
        remarks.append(f"{count(len(lonely), 'label')} of nobody's image: {list_some(lonely, _SHOWN)}")
    written = {path for mine in labels.values() for path in mine.values()}
    second = [str(guess.path) for guess in guesses if guess.label and guess.path not in written]
    if second:
        remarks.append(
            f"{count(len(second), 'label')} beside another of its name: {list_some(second, _SHOWN)}"
        )
    if written:
        remarks.append(
            "each label stands beside every image of its subject and session: take it out where it does not"
            " fit"
        )
    return remarks
