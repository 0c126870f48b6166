"""What a job's key is made of beside what it is asked: the code, the data and the files behind its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True)
class EntryIdentity:
    """An entry as it enters a key: its options, the source behind it, and the entries in its options."""

    kind: str
    name: str
    distribution: str
    source: str
    options: dict[str, JsonValue] = field(default_factory=dict)
    parts: dict[str, EntryIdentity] = field(default_factory=dict)


@dataclass(frozen=True)
class DataIdentity:
    """A dataset as it enters a key: its entry, and the options that decide what is read."""

    name: str
    distribution: str
    source: str
    options: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class CohortContent:
    """A cohort as it enters a key.

    Attributes:
        data: its dataset.
        fingerprints: of the files of each subject that is used, by id.
    """

    data: DataIdentity
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a job's key is made of beside what it is asked.

    Attributes:
        results: version of the results that the harness computes.
        entries: those that it uses.
        cohorts: that it reads, in the order of what it is asked.
    """

    results: int
    entries: tuple[EntryIdentity, ...]
    cohorts: tuple[CohortContent, ...]

    def used(self) -> dict[tuple[str, str], EntryIdentity]:
        """Return its entries, and those in their options, by kind and name."""
        return _by_name(self.entries)


def _by_name(entries: tuple[EntryIdentity, ...]) -> dict[tuple[str, str], EntryIdentity]:
    named: dict[tuple[str, str], EntryIdentity] = {}
    for entry in entries:
        named[entry.kind, entry.name] = entry
        named |= _by_name(tuple(entry.parts.values()))
    return named
