"""Which label of a session belongs to which of its images, by the names of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from mribench.interfaces import Exclusion
from mribench_datasets.bids_files import BIDSFiles, Session
from mribench_datasets.bids_names import BIDSFile
from mribench_datasets.files import Found, one_line

_OF_DERIVATIVES = ("space", "res", "den", "label", "desc", "seg", "atlas", "hemi")
"""Entities that say how a file was made, and not of which scan."""


class LabelFinder:
    """Finds the labels of images, and knows in the end which files are nobody's."""

    def __init__(self, files: BIDSFiles, found: Found) -> None:
        self._files = files
        self._found = found
        self._used: set[Path] = set()
        self._beaten: dict[Path, Path] = {}
        self._sessions: dict[tuple[str, str], set[str]] = defaultdict(set)
        for session in (*files.images, *files.maps):
            self._sessions[session.dataset, session.subject].add(session.session)

    def labels_of(self, session: Session, image: BIDSFile) -> dict[str, tuple[Path, ...]]:
        """Return the files of each label of an image: those of its session whose names fit best.

        A label fits unless it names another acquisition, run or the like than the image does. One without a
        session is that of a subject's only session.
        """
        labels = {}
        for name, by_pattern in self._candidates(session).items():
            chosen = [self._best(image, files) for files in by_pattern]
            paths = tuple(file.path for file in chosen if file is not None)
            if len(paths) == len(by_pattern):
                labels[name] = paths
                self._used.update(paths)
            elif paths:
                reason = (
                    f"{one_line(image.path)}: {len(paths)} of the {len(by_pattern)} files of its label"
                    f" '{name}' are there, such as {paths[0].name}: none is used"
                )
                self._found.excluded.append(Exclusion(session.person, reason, "incomplete label"))
                self._used.update(paths)
        return labels

    def note_others(self) -> None:
        """Note labels that no image has: beside another one, or without an image."""
        for session, labels in self._files.labels.items():
            for name, by_pattern in labels.items():
                for file in chain.from_iterable(by_pattern):
                    if file.path not in self._used:
                        self._note(session, name, file.path)

    def _note(self, session: Session, name: str, path: Path) -> None:
        if path in self._beaten:
            reason = (
                f"{one_line(path)}: {self._beaten[path].name} is used as label '{name}'; if the other is"
                " meant, let 'labels' name it alone"
            )
            kind = "second file of a label"
        else:
            reason, kind = f"{one_line(path)}: no image fits this label '{name}'", "label without an image"
        self._found.excluded.append(Exclusion(session.person, reason, kind))

    def _candidates(self, session: Session) -> Mapping[str, tuple[list[BIDSFile], ...]]:
        own = self._files.labels.get(session, {})
        without = Session(session.dataset, session.subject, "")
        if session == without or len(self._sessions[session.dataset, session.subject]) > 1:
            return own
        return {**self._files.labels.get(without, {}), **own}

    def _best(self, image: BIDSFile, files: Sequence[BIDSFile]) -> BIDSFile | None:
        """Return the file that shares most with the image's name, the first by name of several."""
        fitting = [file for file in files if _do_agree(image, file)]
        if not fitting:
            return None
        best = min(fitting, key=lambda file: (-_shared(image, file), _foreign(image, file), str(file.path)))
        for file in fitting:
            if file is not best:
                self._beaten.setdefault(file.path, best.path)
        return best


def _of_scan(file: BIDSFile) -> dict[str, str]:
    return {key: value for key, value in file.entities.items() if key not in (*_OF_DERIVATIVES, "sub", "ses")}


def _do_agree(image: BIDSFile, label: BIDSFile) -> bool:
    own, others = _of_scan(image), _of_scan(label)
    return all(own[key] == others[key] for key in own.keys() & others.keys())


def _shared(image: BIDSFile, label: BIDSFile) -> int:
    return len(_of_scan(image).keys() & _of_scan(label).keys())


def _foreign(image: BIDSFile, label: BIDSFile) -> int:
    """Return how many entities the label's name has, and the image's not."""
    return len(_of_scan(label).keys() - _of_scan(image).keys())
