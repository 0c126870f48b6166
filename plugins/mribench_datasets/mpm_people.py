"""Whose each set of maps is: by BIDS names, else by the folders that the sets lie in."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mribench.interfaces import Exclusion
from mribench_datasets.files import Found

SetKey = tuple[Path, str]
"""Folder and beginning of the name, which the maps of one set share."""

_SUBJECT = re.compile(r"sub-(.+?)(?=_[a-z]+-|$)")
_SESSION = re.compile(r"(?:^|_)ses-([^_]+)")
VISIT = re.compile(
    r"(?:ses(?:sion)?|visit|scan|rescan|test|retest|run|rep(?:eat)?|tp|time(?:point)?|baseline|follow-?up|pre"
    r"|post)[-_ ]?\d*$|(?:19|20)\d\d[-_.]?\d\d[-_.]?\d\d",
    re.IGNORECASE,
)
"""Names of folders that hold a session, not a person: ``visit2``, ``2019-05-31``."""
_OUTPUT = ("Results", "anat")
"""Folders that toolboxes make below a person's or session's own."""
_OWN_FOLDERS = "several sets below one folder, taken for several people"
_VISITS = "several sets below one folder, taken for sessions of one person"


@dataclass(frozen=True)
class Owner:
    """Whose a set is: the name of the subject, and the session where there are several."""

    subject: str
    session: str = ""


def set_owners(root: Path, keys: Iterable[SetKey], found: Found) -> Mapping[SetKey, Owner]:
    """Return the owner of each set of maps.

    A BIDS name (``sub-…`` as the beginning of a folder's or file's name, up to the next ``_key-``) is the
    subject; where one is there below several folders (``London/sub-01``, ``Leipzig/sub-01``), these are
    several people. Else each folder under the root is one, as long as it holds one set. Where it holds more,
    the folders or names below it are people (``London/P01``), unless they are named like visits, or one of
    them is what a toolbox makes below a person's own (``Results``).

    Args:
        root: of the cohort.
        keys: the sets.
        found: takes remarks on what could be otherwise.
    """
    keys = list(keys)
    bids = {key: owner for key in keys if (owner := _bids_owner(root, key))}
    owners = _told_apart(root, bids, found)
    others = [key for key in keys if key not in bids]
    sets = [_Set(key[0].relative_to(root).parts, key) for key in others]
    for key, owner in _by_folder(sets, "", found):
        owners[key] = owner
    count = Counter(owners.values())
    return {  # several sets of one subject that nothing else tells apart
        key: owner if count[owner] == 1 else replace(owner, session=str(key[0].relative_to(root) / key[1]))
        for key, owner in owners.items()
    }


def _bids_owner(root: Path, key: SetKey) -> Owner | None:
    folder, prefix = key
    parts = folder.relative_to(root).parts
    in_folders = next((match[1] for part in reversed(parts) if (match := _SUBJECT.match(part))), "")
    in_name = match[1] if (match := _SUBJECT.match(prefix)) else ""
    # a file's name may go on after the subject's: sub-01_MPM_PD.nii in sub-01
    subject = in_folders if in_name.startswith(in_folders) and in_folders else in_name or in_folders
    session = next((m[1] for text in (prefix, *reversed(parts)) if (m := _SESSION.search(text))), "")
    return Owner(subject, session) if subject else None


def _told_apart(root: Path, owners: Mapping[SetKey, Owner], found: Found) -> dict[SetKey, Owner]:
    """Give people of one BIDS name, below folders of their own, names with those folders."""
    places: dict[str, dict[str, list[SetKey]]] = defaultdict(lambda: defaultdict(list))
    for key, owner in owners.items():
        places[owner.subject][_above(key[0].relative_to(root).parts)].append(key)
    renamed = dict(owners)
    for subject, above in places.items():
        if len(above) == 1:
            continue
        names = [f"{place}/{subject}" if place else subject for place in above]
        reason = f"sub-{subject} is there below {len(above)} folders: taken for {', '.join(names)}"
        found.remarks.append(Exclusion(subject, reason, "one BIDS name below several folders"))
        for name, keys in zip(names, above.values(), strict=True):
            renamed |= {key: replace(owners[key], subject=name) for key in keys}
    return renamed


def _above(parts: Sequence[str]) -> str:
    """Return the folders above a subject's own, without those of visits and pipelines."""
    own = next((place for place, part in enumerate(parts) if _SUBJECT.match(part)), len(parts))
    above = parts[:own]
    if "derivatives" in above:
        above = above[: above.index("derivatives")]
    return "/".join(part for part in above if not VISIT.match(part) and not _SESSION.match(part))


@dataclass(frozen=True)
class _Set:
    """A set of maps, with the folders that are still to be told apart."""

    below: tuple[str, ...]
    key: SetKey


def _by_folder(sets: Sequence[_Set], person: str, found: Found) -> Iterator[tuple[SetKey, Owner]]:
    """Yield the owners of the sets below a folder, which may be a person's own."""
    if len(sets) == 1 and (person or sets[0].below):
        yield sets[0].key, Owner(person or sets[0].below[0])
        return
    here = [one for one in sets if not one.below]
    folders: dict[str, list[_Set]] = defaultdict(list)
    for one in sets:
        if one.below:
            folders[one.below[0]].append(_Set(one.below[1:], one.key))
    of_person = bool(person) and any(name in _OUTPUT for name in folders)
    if len(folders) == 1 and not here and not of_person:  # a folder around all
        yield from _by_folder(next(iter(folders.values())), person, found)
        return
    visits = {name for name in folders if of_person or (person and VISIT.match(name))}
    own_names = [name for name in folders if name not in visits]
    own_names += [] if of_person else [one.key[1] for one in here]
    _remark_several(person, own_names, visits, found)
    for one in here:
        name = person if of_person else _joined(person, one.key[1] or one.key[0].name)
        yield one.key, Owner(name)
    for name, below in folders.items():
        if name in visits:
            yield from ((one.key, Owner(person, name)) for one in below)
        else:
            yield from _by_folder(below, _joined(person, name), found)


def _remark_several(person: str, people: Sequence[str], visits: Iterable[str], found: Found) -> None:
    """Remark what the names below a folder that is itself below the root are taken for."""
    if person and people:
        reason = (
            f"{person} holds {len(people)} sets of maps of their own names, taken for people:"
            f" {', '.join(people[:5])}{' …' if people[5:] else ''}; if they are one person's sessions, say so"
            " by 'aliases', or by BIDS names"
        )
        found.remarks.append(Exclusion(person, reason, _OWN_FOLDERS))
    if visits:
        reason = f"{person}: the sets in {', '.join(sorted(visits))} are taken for its sessions"
        found.remarks.append(Exclusion(person, reason, _VISITS))


def _joined(person: str, name: str) -> str:
    return f"{person}/{name}" if person else name
