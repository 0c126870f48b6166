"""Runs jobs again in a folder of their own, and compares what comes out."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from mribench import RESULTS_VERSION
from mribench.data.inspection import compute_fingerprint
from mribench.digests import canonical_json
from mribench.errors import MRIBenchError, StoreError
from mribench.execute.worker import run_job
from mribench.interfaces.dataset import Dataset
from mribench.interfaces.options import DatasetRef
from mribench.registry import Registry
from mribench.results import Store
from mribench.results.content import DataIdentity, EntryIdentity
from mribench.results.environment import Environment, read_environment
from mribench.results.read_cohort import ReadCohort
from mribench.results.specification import (
    Specification,
    read_specification,
    write_specification,
)
from mribench.verify.compare import compare_folders
from mribench.verify.integrity import MOST_NAMES
from mribench.verify.results import Results, Verifiable
from mribench.wording import list_some

Outcome = Literal["same", "differs", "not rerun"]


@dataclass(frozen=True)
class Verdict:
    """What running a job again showed.

    Attributes:
        job: the job.
        outcome: ``same`` (within the tolerance), ``differs``, or ``not rerun``.
        largest: largest absolute difference of a value.
        details: what differs, or why it could not be run again.
        notes: what else is not as it was: versions, device, threads, sources, a job that it builds on.
        wall_s: time that running it again took.
    """

    job: Verifiable
    outcome: Outcome
    largest: float = 0.0
    details: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    wall_s: float = 0.0


class Rerun:
    """Verifies jobs one after another, dependencies first; the results are only read.

    A job builds on jobs that were run again before it, and on the stored weights of others.

    Args:
        results: to be verified.
        registry: all entries.
        workplace: an empty folder.
        tolerance: largest difference that counts as none.
        roots: folders of cohorts that lie elsewhere than where the results were made, by the cohort's name.
    """

    def __init__(
        self,
        results: Results,
        registry: Registry,
        workplace: Path,
        tolerance: float = 0.0,
        roots: Mapping[str, str] | None = None,
    ) -> None:
        self._results = results
        self._registry = registry
        self._again = Store(workplace)
        self._again.open()
        self._tolerance = tolerance
        self._roots = dict(roots or {})
        self._verdicts: dict[str, Verdict] = {}
        self._cohorts: dict[str, tuple[str, dict[str, str]]] = {}

    def verify(self, job: Verifiable) -> Verdict:
        """Run a job again and compare.

        Raises:
            KeyboardInterrupt: when it is stopped.
        """
        self._verdicts[job.key] = self._judge(job)
        return self._verdicts[job.key]

    def _judge(self, job: Verifiable) -> Verdict:
        started = time.perf_counter()
        try:
            said = self._moved(read_specification(self._results.store.directory(job.key)))
        except StoreError as error:
            return Verdict(job, "not rerun", math.nan, (error.message,))
        try:
            reasons = [*self._obstacles(said), *self._link(job)] or self._run(job, said)
        except MRIBenchError as error:
            reasons = [error.message]
        wall_s = time.perf_counter() - started
        if reasons:
            notes = tuple(self._sources(said))
            return Verdict(job, "not rerun", math.nan, tuple(reasons), notes, wall_s)
        return self._compared(job, said, wall_s)

    def _moved(self, said: Specification) -> Specification:
        """Return the specification with the folders that its cohorts have here."""
        return replace(said, spec=said.spec.moved(self._roots))

    def _obstacles(self, said: Specification) -> Iterator[str]:
        """Yield why a job cannot be run again as it was."""
        for (kind, name), entry in said.content.used().items():
            if name not in self._registry.names(kind):
                yield f"{kind} '{name}' of the distribution {entry.distribution} is not installed"
        for read, noted in zip(said.spec.reads(), said.content.cohorts, strict=True):
            yield from self._changed(read, noted.fingerprints, said.spec.profile)

    def _changed(self, read: ReadCohort, noted: Mapping[str, str], profile: str) -> Iterator[str]:
        """Yield what of a cohort is not there, or not as it was."""
        missing, now = self._cohort(read.data, profile)
        if missing:
            elsewhere = f"; or give --root {read.cohort}=PATH" if "root" in read.data.options else ""
            yield f"data {read.data.name}: {missing}{elsewhere}"
            return
        gone = sorted(set(noted) - set(now))
        changed = sorted(name for name in noted if name in now and noted[name] != now[name])
        if gone:
            yield f"subjects are not there any more: {list_some(gone, MOST_NAMES)}"
        if changed:
            yield f"files are not those that it was computed from: {list_some(changed, MOST_NAMES)}"

    def _cohort(self, data: DatasetRef, profile: str) -> tuple[str, dict[str, str]]:
        """Return what is missing of a cohort, and its subjects' fingerprints as they are now."""
        name = canonical_json([data.model_dump(mode="json"), profile])
        if name not in self._cohorts:
            dataset: Dataset = self._registry.resolve(data, "job.json: data", profile).make()
            missing = dataset.missing()
            prints = {} if missing else {each.id: compute_fingerprint(each) for each in dataset.subjects()}
            self._cohorts[name] = missing, prints
        return self._cohorts[name]

    def _link(self, job: Verifiable) -> Iterator[str]:
        """Put the stored weights of jobs that were not run again where the job looks for them."""
        for need in job.needs:
            verdict = self._verdicts.get(need)
            if verdict is not None and verdict.outcome != "not rerun":
                continue
            there = self._results.store.directory(need)
            here = self._again.directory(need)
            here.mkdir(exist_ok=True)
            files = sorted(
                path for path in there.glob("*.safetensors") if path.name != "checkpoint.safetensors"
            )
            if not files:
                yield f"the weights of {self._name(need)}, which it builds on, are not there"
            for path in files:
                if not (here / path.name).exists():
                    _link_or_copy(path.resolve(), here / path.name)

    def _run(self, job: Verifiable, said: Specification) -> list[str]:
        folder = self._again.make_directory(job.key)
        write_specification(folder, said)
        before = torch.get_num_threads()
        try:
            made_in = read_environment(self._results.store.directory(job.key))
            parts = made_in.window_parts or 1
            status = run_job(folder, self._registry, threads=made_in.threads or 1, window_parts=parts)
        finally:
            torch.set_num_threads(before)
        if status is None:
            return [f"another process works in {folder}"]
        if status.state == "interrupted":
            raise KeyboardInterrupt
        return [] if status.state == "done" else [status.reason.partition("\n")[0]]

    def _compared(self, job: Verifiable, said: Specification, wall_s: float) -> Verdict:
        original, again = self._results.store.directory(job.key), self._again.directory(job.key)
        findings = compare_folders(original, again, self._tolerance)
        largest = max((finding.largest for finding in findings), default=0.0)
        texts = tuple(finding.text for finding in findings if not finding.same)
        if not texts:
            return Verdict(job, "same", largest, wall_s=wall_s)
        notes = [
            f"it builds on {self._name(need)}, which differs"
            for need in job.needs
            if need in self._verdicts and self._verdicts[need].outcome == "differs"
        ]
        notes += self._sources(said)
        notes += _environments(read_environment(original), read_environment(again))
        return Verdict(job, "differs", largest, texts, tuple(notes), wall_s)

    def _sources(self, said: Specification) -> Iterator[str]:
        """Yield which plugins, or the harness, are not those that made a result."""
        content = said.content
        if content.results != RESULTS_VERSION:
            yield f"the harness's version of results was {content.results}, is {RESULTS_VERSION}"
        entries: dict[tuple[str, str], EntryIdentity | DataIdentity] = {**content.used()}
        for cohort in content.cohorts:
            entries["dataset", cohort.data.name] = cohort.data
        for (kind, name), entry in entries.items():
            there = name in self._registry.names(kind)
            if there and self._registry.get(kind, name).digest != entry.source:
                yield f"the source of {kind} '{name}' ({entry.distribution}) has changed since"

    def _name(self, key: str) -> str:
        return self._results.jobs[key].id if key in self._results.jobs else key


def _environments(before: Environment, now: Environment) -> Iterator[str]:
    """Yield what differs between where a result was made and where it was made again."""
    for package in sorted(before.versions.keys() | now.versions.keys()):
        old, new = (made.versions.get(package, "not there") for made in (before, now))
        if old != new:
            yield f"{package} was {old}, is {new}"
    for name in ("device", "threads", "python", "platform"):
        if getattr(before, name) != getattr(now, name):
            yield f"{name} was {getattr(before, name)}, is {getattr(now, name)}"
    if before.on_cpu != now.on_cpu:
        yield "a GPU and a CPU never agree bit for bit; --tolerance says how much is allowed"


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
