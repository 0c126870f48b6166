"""Keys of jobs: digests of everything that may change their results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from mribench.digests import canonical_json
from mribench.interfaces.input_file import by_content
from mribench.results.content import CohortContent, Content, EntryIdentity
from mribench.results.specification import JobSpec
from mribench.results.status import SCHEMA

_PARTS: dict[type, TypeAdapter[Any]] = {part: TypeAdapter(part) for part in (EntryIdentity, CohortContent)}
_KEY_DIGITS = 32


def key_of(spec: JobSpec, content: Content) -> str:
    """Return the key of a job: a digest of everything that may change its result.

    Where its cohort lies is no part of it, nor what a benchmark file calls it, but in the cell of a job that
    writes rows; files that are given as options count by their content, wherever they lie.
    """
    return KeyMaker().make(spec, content)


class KeyMaker:
    """Makes the keys of many jobs; what they share, such as a task, is written as JSON once.

    It is known again by being the same object, or the same text: nothing that a job is made of may change
    meanwhile.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, int | str], tuple[object, str]] = {}

    def make(self, spec: JobSpec, content: Content) -> str:
        """Return the key of a job, as ``key_of``: the digest of the canonical JSON of all its parts."""
        asked = [self._write_field(spec, name) for name in spec.asked_fields()]
        entries = [self._write_part("entries", part) for part in content.entries]
        cohorts = [self._write_part("cohorts", part) for part in content.cohorts]
        written = (
            f'{{"asked":{{{",".join(filter(None, asked))}}},"content":{{"cohorts":[{",".join(cohorts)}],'
            f'"entries":[{",".join(entries)}],"results":{content.results}}},'
            f'"kind":"{spec.kind}","schema":{SCHEMA}}}'
        )
        return hashlib.sha256(written.encode()).hexdigest()[:_KEY_DIGITS]

    def _write_field(self, spec: JobSpec, name: str) -> str:
        """Return a field as ``"name":value``; nothing where it is optional and empty."""
        value = getattr(spec, name)
        if spec.leaves_out(name, value):
            return ""

        def write() -> str:
            return canonical_json(by_content(spec.asked_of(name)))[1:-1]

        return self._write_once(f"{spec.kind} {name}", value, write)

    def _write_part(self, place: str, part: EntryIdentity | CohortContent) -> str:
        def write() -> str:
            return canonical_json(_PARTS[type(part)].dump_python(part, mode="json"))

        return self._write_once(place, part, write)

    def _write_once(self, place: str, value: object, write: Callable[[], str]) -> str:
        same = (place, value if isinstance(value, str) else id(value))
        known = self._written.get(same)
        if known is None:
            known = self._written[same] = (value, write())  # kept, or another could get its id
        return known[1]
