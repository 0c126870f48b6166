"""Images that are there more than once: under another name, or as two scans of one subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mribench.data.inspection import inspect_file
from mribench.interfaces.dataset import Exclusion, Subject

_OTHER_NAME = "the same image under another name: one person is counted twice"
_OTHER_SCAN = "the same image as two scans of a subject"


@dataclass(frozen=True)
class _Place:
    cohort: str
    subject: str
    path: Path


class SeenImages:
    """The images of the cohorts that were looked at so far, by their voxels."""

    def __init__(self) -> None:
        self._seen: dict[str, _Place] = {}

    def remarks(self, cohort: str, people: Sequence[Subject]) -> list[Exclusion]:
        """Note the images of a cohort, and remark those that are known already.

        A subject that is in two cohorts by the same id is one person, and nothing is to be said.
        """
        remarks = []
        for person in people:
            for path, digest in _list_images(person):
                here = _Place(cohort, person.id, path)
                first = self._seen.setdefault(digest, here)
                remarks += [_remark(person, here, first)] if _is_worth_telling(here, first) else []
        return remarks


def _list_images(person: Subject) -> Iterator[tuple[Path, str]]:
    for scan in person.scans:
        for path in scan.images.values():
            digest = inspect_file(path, repair=scan.is_maps).voxels
            if digest:
                yield path, digest


def _is_worth_telling(here: _Place, first: _Place) -> bool:
    return here.subject != first.subject or (here.cohort == first.cohort and here.path != first.path)


def _remark(person: Subject, here: _Place, first: _Place) -> Exclusion:
    kind = _OTHER_SCAN if here.subject == first.subject else _OTHER_NAME
    whose = "its own" if here.subject == first.subject else f"{first.subject}'s"
    where = "" if here.cohort == first.cohort else f" in cohort '{first.cohort}'"
    return Exclusion(person.name, f"{here.path} is the same image as {whose} {first.path}{where}", kind)
