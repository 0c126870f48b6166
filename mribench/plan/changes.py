"""What makes two specifications of a job different, down to the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mribench.interfaces.input_file import is_input_file
from mribench.results.content import Content, DataIdentity, EntryIdentity
from mribench.results.specification import JobSpec
from mribench.wording import list_some

_DERIVED = ("cell", "split_digest")
"""What of a job follows from the rest."""
_LONGEST = 60
_MOST_NAMES = 3


@dataclass(frozen=True)
class Change:
    """One thing that is not what it was.

    Attributes:
        what: without values, to count jobs by: ``adapt.lr``.
        text: with values, for people: ``adapt.lr 0.01 → 0.005``.
    """

    what: str
    text: str


def find_changes(before: tuple[JobSpec, Content], after: tuple[JobSpec, Content]) -> tuple[Change, ...]:
    """Return how two jobs of one name differ by themselves, the jobs that they build on apart.

    Args:
        before: what the job was asked, and what else its key was made of.
        after: the same of the job as it is wanted now.

    Returns:
        Nothing where what is recorded is the same.
    """
    old, new = _without_data(before[0].to_json()), _without_data(after[0].to_json())
    apart = {*before[0].builds_on(), *after[0].builds_on(), *_DERIVED}
    changes = [
        change
        for name in sorted({*old, *new} - apart)
        for change in _between(name, old.get(name, _GONE), new.get(name, _GONE))
    ]
    changes += _between_contents(before[1], after[1])
    if not changes and before[0].builds_on() == after[0].builds_on():
        changes = [change for name in _DERIVED for change in _between(name, old.get(name), new.get(name))]
    return tuple(changes)


def _without_data(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a job is asked without where its cohorts lie; the dataset is compared by what it reads."""
    if "sources" in asked:
        asked["sources"] = [_without_data(source) for source in asked["sources"]]
    return {name: value for name, value in asked.items() if name != "data"}


class _Gone:
    """What is not there, which is something else than null."""

    def __repr__(self) -> str:
        return "not there"


_GONE = _Gone()


def _between(path: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield the changes between two values of JSON."""
    if old == new:
        return
    if is_input_file(old) and is_input_file(new):
        if old["sha256"] != new["sha256"]:
            yield Change(path, f"{path}: the content of {new['path']}")
    elif isinstance(old, dict) and isinstance(new, dict):
        if old.get("name") != new.get("name"):  # another component has other options anyway
            yield Change(path, f"{path} {old.get('name', _GONE)} → {new.get('name', _GONE)}")
            return
        for name in sorted({*old, *new}):
            yield from _between(f"{path}.{name}", old.get(name, _GONE), new.get(name, _GONE))
    elif _are_parts(old) and _are_parts(new) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True), start=1):
            yield from _between(path if len(old) == 1 else f"{path} {place}", one, other)
    elif _are_names(old) and _are_names(new):
        yield Change(path, f"{path}: {_members(old, new)}")
    else:
        yield Change(path, f"{path} {_shown(old)} → {_shown(new)}")


def _are_parts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _members(old: Sequence[str], new: Sequence[str]) -> str:
    parts = [
        f"{word} {list_some(sorted(names), _MOST_NAMES)}"
        for word, names in (("with", set(new) - set(old)), ("without", set(old) - set(new)))
        if names
    ]
    return ", ".join(parts) or "in another order"


def _shown(value: Any) -> str:
    is_text = isinstance(value, str | _Gone)
    text = str(value) if is_text else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _between_contents(old: Content, new: Content) -> Iterator[Change]:
    if old.results != new.results:
        versions = f"{old.results} → {new.results}"
        yield Change("the harness", f"the harness: version of its results {versions}")
    yield from _between_entries(old.used(), new.used())
    if len(old.cohorts) != len(new.cohorts):
        return  # what the job is asked says so
    for one, other in zip(old.cohorts, new.cohorts, strict=True):
        yield from _between_data(one.data, other.data)
        yield from _between_files(one.fingerprints, other.fingerprints)


def _between_files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    if changed:
        text = f"files of subject{'s' if len(changed) > 1 else ''} {list_some(changed, _MOST_NAMES)}"
        yield Change("the files of subjects", text)


_Entries = Mapping[tuple[str, str], EntryIdentity]


def _between_entries(old: _Entries, new: _Entries) -> Iterator[Change]:
    """Yield the entries whose source or distribution changed; other names and options are in the job."""
    for kind, name in sorted(old.keys() & new.keys()):
        yield from _between_sources(f"{kind} '{name}'", old[kind, name], new[kind, name])


def _between_sources(
    what: str, old: EntryIdentity | DataIdentity, new: EntryIdentity | DataIdentity
) -> Iterator[Change]:
    if old.distribution != new.distribution:
        text = f"the distribution of {what}: {old.distribution} → {new.distribution}"
        yield Change(f"the distribution of {what}", text)
    elif old.source != new.source:
        text = f"the source of {what} (distribution {new.distribution})"
        yield Change(f"the source of {what}", text)


def _between_data(old: DataIdentity, new: DataIdentity) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("data", f"data {old.name} → {new.name}")
        return
    yield from _between_sources(f"dataset '{new.name}'", old, new)
    yield from _between("data", old.options, new.options)
