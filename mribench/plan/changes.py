"""What makes two specifications of a job different, down to the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mribench.interfaces.input_file import is_input_file

REFERENCES = ("pretrain", "adapt")
"""Parts of a payload that may name the job before by its key, which says nothing to people."""
_DERIVED = ("cell", "split_digest")
"""Parts of a payload that follow from others."""
_SHOWN = 3
_LONGEST = 60


@dataclass(frozen=True)
class Change:
    """One thing that is not what it was.

    Attributes:
        what: without values, to count jobs by: ``adapt.lr``.
        text: with values, for people: ``adapt.lr 0.01 → 0.005``.
    """

    what: str
    text: str


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return how two specifications of a job differ by themselves, the jobs that they build on apart.

    Args:
        before: ``payload`` and, unless an older mribench wrote it, ``content``, as ``job.json`` has them.
        after: the same of the job as it is wanted now.

    Returns:
        Nothing where what is recorded is the same.
    """
    old, new = plain(before["payload"]), plain(after["payload"])
    was, now = plain(before.get("content") or {}), plain(after.get("content") or {})
    left_out = {*references(new), *_DERIVED, *(("data",) if was and now else ())}
    names = sorted({*old, *new} - left_out)
    found = [
        change for name in names for change in _between(name, old.get(name, _GONE), new.get(name, _GONE))
    ]
    if was and now:
        found += _content(was, now)
    if not found and not differing_references(old, new):
        found = [change for name in _DERIVED for change in _between(name, old.get(name), new.get(name))]
    return tuple(found)


def references(payload: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the keys of the jobs that a payload builds on, by their place in it."""
    return {
        name: payload[name]
        for name in REFERENCES
        if name in payload and not isinstance(payload[name], Mapping)
    }


def differing_references(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, tuple[str | None, str | None]]:
    """Return the keys before and after of the jobs that two payloads build on, where they differ."""
    old = references(before)
    return {name: (old.get(name), key) for name, key in references(after).items() if old.get(name) != key}


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it comes back from its file: tuples are lists."""
    made: dict[str, Any] = json.loads(json.dumps(dict(value)))
    return made


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
    elif _are_names(old) and _are_names(new):
        yield Change(path, f"{path}: {_members(old, new)}")
    else:
        yield Change(path, f"{path} {_shown(old)} → {_shown(new)}")


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _members(old: Sequence[str], new: Sequence[str]) -> str:
    parts = [
        f"{word} {some(sorted(names))}"
        for word, names in (("with", set(new) - set(old)), ("without", set(old) - set(new)))
        if names
    ]
    return ", ".join(parts) or "in another order"


def some(names: Sequence[str]) -> str:
    """Return the first few of a list of names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value) if value is _GONE else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _content(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    found: list[Change] = []
    if old.get("results") != new.get("results"):
        versions = f"{_shown(old.get('results'))} → {_shown(new.get('results'))}"
        found.append(Change("the harness", f"the harness: version of its results {versions}"))
    found += _sources(old.get("entries", []), new.get("entries", []))
    found += _data(old.get("data", {}), new.get("data", {}))
    was, now = old.get("fingerprints", {}), new.get("fingerprints", {})
    changed = sorted(name for name in was.keys() & now.keys() if was[name] != now[name])
    if changed:
        text = f"files of subject{'s' if len(changed) > 1 else ''} {some(changed)}"
        found.append(Change("the files of subjects", text))
    return found


def _sources(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """Yield the entries whose source or distribution changed; other names and options are in the payload."""
    was, now = entries_by_name(old), entries_by_name(new)
    for kind, name in sorted(was.keys() & now.keys()):
        yield from _source(f"{kind} '{name}'", was[kind, name], now[kind, name])


def _source(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old["distribution"] != new["distribution"]:
        text = f"the distribution of {what}: {old['distribution']} → {new['distribution']}"
        yield Change(f"the distribution of {what}", text)
    elif old["source"] != new["source"]:
        text = f"the source of {what} (distribution {new['distribution']})"
        yield Change(f"the source of {what}", text)


def entries_by_name(entries: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return identities of entries, and of the parts in their options, by (kind, name)."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in entries:
        found[entry["kind"], entry["name"]] = entry
        found |= entries_by_name(list(entry.get("parts", {}).values()))
    return found


def _data(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old == new or not old or not new:
        return
    if old["name"] != new["name"]:
        yield Change("data", f"data {old['name']} → {new['name']}")
        return
    yield from _source(f"dataset '{new['name']}'", old, new)
    yield from _between("data", old["options"], new["options"])
