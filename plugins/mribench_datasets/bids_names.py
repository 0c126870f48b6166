"""What the names of BIDS files say: subject, session, other entities, suffix."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mribench_datasets.files import stem

_ENTITY = re.compile(r"(?P<key>[a-z]+)-(?P<value>[A-Za-z0-9]+)$")
_OF_PERSON = ("sub", "ses")
_NO_MAGNITUDE = ("phase", "real", "imag")


@dataclass(frozen=True)
class BIDSFile:
    """A file with a BIDS name.

    Attributes:
        path: where it lies.
        suffix: ``T1w``, ``dseg`` …: what stands after the last underscore.
        entities: values by key (``sub``, ``ses``, ``acq`` …), in the order of the name.
    """

    path: Path
    suffix: str
    entities: Mapping[str, str]

    @property
    def subject(self) -> str:
        """The subject, without ``sub-``."""
        return self.entities["sub"]

    @property
    def session(self) -> str:
        """The session, without ``ses-``; empty where the name has none."""
        return self.entities.get("ses", "")

    @property
    def variant(self) -> str:
        """All that tells the scans of a session apart: ``acq-…``, ``ce-…``, ``rec-…``, ``run-…`` …."""
        return self.entities_named([key for key in self.entities if key not in _OF_PERSON])

    def scan_session(self, several: bool) -> str:
        """Return the session of the scan, with all that tells it apart where it is one of several."""
        return "_".join(part for part in (self.session, self.variant) if part) if several else self.session

    def entities_named(self, keys: Sequence[str]) -> str:
        """Return some of the entities as they are written, those that the name has: ``acq-a_run-1``."""
        return "_".join(f"{key}-{self.entities[key]}" for key in keys if key in self.entities)


def parse_bids_name(path: Path) -> BIDSFile | None:
    """Split a BIDS name into its entities and suffix; None for a name that is not BIDS, or is nobody's."""
    *parts, suffix = stem(path).split("_")
    matches = [_ENTITY.match(part) for part in parts]
    entities = {match["key"]: match["value"] for match in matches if match}
    return BIDSFile(path, suffix, entities) if "sub" in entities and all(matches) else None


def is_misplaced(inside: Sequence[str], file: BIDSFile) -> bool:
    """Return whether a file lies in the folder of another subject or session than its name says.

    Args:
        inside: the parts of its path, below the root.
        file: what its name says.
    """
    return _folders_of_people(inside) != _named_folders(file)


def is_in_anothers_folder(inside: Sequence[str], file: BIDSFile) -> bool:
    """Return whether a folder above a file is another subject's or session's than its name says.

    Args:
        inside: the parts of its path, below the root.
        file: what its name says.
    """
    return not _folders_of_people(inside) <= _named_folders(file)


def _folders_of_people(inside: Sequence[str]) -> set[str]:
    return {part for part in inside[:-1] if part.startswith(("sub-", "ses-"))}


def _named_folders(file: BIDSFile) -> set[str]:
    return {f"{key}-{file.entities[key]}" for key in _OF_PERSON if key in file.entities}


def why_no_scan(file: BIDSFile, own_spaces: Collection[str]) -> str:
    """Return what to call an image or a label that is in another space, or no magnitude; else nothing.

    Args:
        file: what its name says.
        own_spaces: values of ``space-`` that are the subject's own.
    """
    if file.entities.get("space", "orig") not in own_spaces:
        return "space-*: in another space"
    if file.entities.get("part") in _NO_MAGNITUDE:
        return "part-phase and the like: no magnitude"
    return ""
