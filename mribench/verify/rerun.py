"""Runs jobs again in a folder of their own, and compares what comes out."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mribench import RESULTS_VERSION
from mribench.data.inspection import fingerprint
from mribench.errors import MRIBenchError, StoreError
from mribench.execute.worker import run_job
from mribench.interfaces.dataset import Dataset
from mribench.interfaces.options import DatasetRef
from mribench.plan.changes import entries_by_name, some
from mribench.registry import Registry
from mribench.results import Store, read_json
from mribench.verify.compare import compare_folders
from mribench.verify.results import Planned, Results
from mribench.verify.specification import read_specification

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

    job: Planned
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

    def verify(self, job: Planned) -> Verdict:
        """Run a job again and compare.

        Raises:
            KeyboardInterrupt: when it is stopped.
        """
        started = time.perf_counter()
        try:
            said = self._moved(read_specification(self._results.store, job.key))
            reasons = [*self._obstacles(said), *self._link(job)]
            if not reasons:
                reasons = self._run(job, said)
        except MRIBenchError as error:
            said, reasons = {}, [error.message]
        wall_s = time.perf_counter() - started
        if reasons:
            notes = tuple(self._sources(said))
            verdict = Verdict(job, "not rerun", math.nan, tuple(reasons), notes, wall_s)
        else:
            verdict = self._compared(job, said, wall_s)
        self._verdicts[job.key] = verdict
        return verdict

    def _moved(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return the specification with the folder that the cohort has here."""
        payload = said["payload"]
        root = self._roots.get(payload["cohort"])
        if root is None:
            return said
        return {**said, "payload": {**payload, "data": {**payload["data"], "root": root}}}

    def _obstacles(self, said: Mapping[str, Any]) -> Iterator[str]:
        """Yield why a job cannot be run again as it was."""
        component, content = said["payload"]["data"], said.get("content") or {}
        entries = entries_by_name(content.get("entries", []))
        for (kind, name), entry in entries.items():
            if name not in self._registry.names(kind):
                yield f"{kind} '{name}' of the distribution {entry['distribution']} is not installed"
        missing, now = self._cohort(component, said["payload"].get("profile", ""))
        if missing:
            elsewhere = f"; or give --root {said['payload']['cohort']}=PATH" if "root" in component else ""
            yield f"data {component['name']}: {missing}{elsewhere}"
            return
        noted = content.get("fingerprints", {})
        gone = sorted(set(noted) - set(now))
        changed = sorted(name for name in noted if name in now and noted[name] != now[name])
        if gone:
            yield f"subjects are not there any more: {some(gone)}"
        if changed:
            yield f"files are not those that it was computed from: {some(changed)}"

    def _cohort(self, component: Mapping[str, Any], profile: str) -> tuple[str, dict[str, str]]:
        """Return what is missing of a cohort, and its subjects' fingerprints as they are now."""
        name = json.dumps(component, sort_keys=True) + profile
        if name not in self._cohorts:
            reference = DatasetRef.model_validate(dict(component))
            dataset: Dataset = self._registry.resolve(reference, "job.json: data", profile).make()
            missing = dataset.missing()
            prints = {} if missing else {found.id: fingerprint(found) for found in dataset.subjects()}
            self._cohorts[name] = missing, prints
        return self._cohorts[name]

    def _link(self, job: Planned) -> Iterator[str]:
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

    def _run(self, job: Planned, said: Mapping[str, Any]) -> list[str]:
        folder = self._again.prepare(job.key, said)
        before = torch.get_num_threads()
        try:
            status = run_job(folder, self._registry, threads=self._environment(job).get("threads", 1))
        finally:
            torch.set_num_threads(before)
        if status is None:
            return [f"another process works in {folder}"]
        if status.state == "interrupted":
            raise KeyboardInterrupt
        return [] if status.state == "done" else [status.reason.partition("\n")[0]]

    def _environment(self, job: Planned) -> dict[str, Any]:
        path = self._results.store.directory(job.key) / "environment.json"
        found = read_json(path)
        if (
            not isinstance(found, dict)
            or not isinstance(found.get("versions", {}), dict)
            or not isinstance(found.get("threads", 1), int)
            or found.get("threads", 1) < 1
        ):
            raise StoreError(f"{path} is damaged", "delete the job's folder, and run the benchmark again")
        return found

    def _compared(self, job: Planned, said: Mapping[str, Any], wall_s: float) -> Verdict:
        again = self._again.directory(job.key)
        found = compare_folders(self._results.store.directory(job.key), again, self._tolerance)
        largest = max((finding.largest for finding in found), default=0.0)
        texts = tuple(finding.text for finding in found if not finding.same)
        if not texts:
            return Verdict(job, "same", largest, wall_s=wall_s)
        notes = [
            f"it builds on {self._name(need)}, which differs"
            for need in job.needs
            if need in self._verdicts and self._verdicts[need].outcome == "differs"
        ]
        notes += self._sources(said)
        notes += _environments(self._environment(job), dict(read_json(again / "environment.json")))
        return Verdict(job, "differs", largest, texts, tuple(notes), wall_s)

    def _sources(self, said: Mapping[str, Any]) -> Iterator[str]:
        """Yield which plugins, or the harness, are not those that made a result."""
        content = said.get("content") or {}
        if content and content["results"] != RESULTS_VERSION:
            yield f"the harness's version of results was {content['results']}, is {RESULTS_VERSION}"
        entries = entries_by_name(content.get("entries", []))
        data = content.get("data")
        if data:
            entries["dataset", data["name"]] = data
        for (kind, name), entry in entries.items():
            if (
                name in self._registry.names(kind)
                and self._registry.get(kind, name).digest != entry["source"]
            ):
                yield f"the source of {kind} '{name}' ({entry['distribution']}) has changed since"

    def _name(self, key: str) -> str:
        return self._results.jobs[key].id if key in self._results.jobs else key


def _environments(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between where a result was made and where it was made again."""
    old, new = dict(before.get("versions", {})), dict(now.get("versions", {}))
    for package in sorted(old.keys() | new.keys()):
        if old.get(package) != new.get(package):
            yield f"{package} was {old.get(package, 'not there')}, is {new.get(package, 'not there')}"
    for name in ("device", "threads", "python", "platform"):
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name)}, is {now.get(name)}"
    if _on_cpu(before) != _on_cpu(now):
        yield "a GPU and a CPU never agree bit for bit; --tolerance says how much is allowed"


def _on_cpu(environment: Mapping[str, Any]) -> bool:
    return str(environment.get("device", "")).startswith("cpu")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
