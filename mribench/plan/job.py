"""Jobs, plans, content keys."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mribench import RESULTS_VERSION
from mribench.interfaces.input_file import by_content
from mribench.results import SCHEMA

JobKind = Literal["pretrain", "adapt", "evaluate", "embed"]


@dataclass(frozen=True)
class Job:
    """One node of the DAG.

    Attributes:
        id: for people: ``seqinv/frozen/tissue/T1w/10%/seed1/test/HH/T2w``.
        kind: ``pretrain``, ``adapt`` or ``evaluate``.
        key: content key; None while data are missing.
        needs: keys of the jobs that must be done first.
        payload: everything that ``run`` needs to do it, paths included.
        content: what else its key is made of: identities of the entries and of the data, fingerprints of
            the subjects, version of the harness's results. Jobs on the same subjects share one mapping.
        cell: identity columns of the rows that an evaluate job writes.
        pretrain: key of the pretrain job behind it.
        waiting_for: names of the cohorts that are missing.
    """

    id: str
    kind: JobKind
    key: str | None
    needs: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    cell: Mapping[str, Any] | None = None
    pretrain: str | None = None
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All jobs of a benchmark file, dependencies first.

    Attributes:
        jobs: in an order that respects dependencies.
        missing: one sentence for each cohort that is not there.
        notes: what a reader should know: counts of label fractions, subjects left out.
    """

    jobs: tuple[Job, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def count(self) -> Counter[str]:
        """Return the number of jobs of each kind."""
        return Counter(job.kind for job in self.jobs)

    def runnable(self) -> dict[str, Job]:
        """Return the jobs that have a key, by key, each once, dependencies first."""
        return {job.key: job for job in self.jobs if job.key is not None}


def content_key(kind: JobKind, content: Mapping[str, Any]) -> str:
    """Return the key of a job: SHA-256 of canonical JSON over everything that may change its result.

    Files that are given as options count by their content, wherever they lie.
    """
    known = {**content, "payload": by_content(content["payload"])}
    text = json.dumps(
        {"schema": SCHEMA, "results": RESULTS_VERSION, "kind": kind, **known},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def key_of_specification(specification: Mapping[str, Any]) -> str | None:
    """Return the key that a ``job.json`` has by its own content; None where it does not record it."""
    content = specification.get("content")
    if not content:
        return None
    return key_of_job(specification["kind"], specification["payload"], content)


def key_of_job(kind: JobKind, payload: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Return the content key of a job; where its cohort lies, and what a file calls it, are no part of it."""
    return content_key(kind, {"payload": _keyed(payload), **content})


def _keyed(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in ("data", "cohort")}
