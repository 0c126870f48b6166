"""Builds the DAG pretrain → adapt → evaluate. No I/O: cohorts are opened before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mribench import RESULTS_VERSION
from mribench.config import InvarianceSpec, ResolvedBenchmark, ResolvedMethod, ResolvedTask
from mribench.data.subsets import label_subset, subset_size
from mribench.data.uses import scans_for
from mribench.defects import at
from mribench.plan.cohorts import Cohort, tested_sequences
from mribench.plan.job import Job, JobKind, Plan, key_of_job
from mribench.plan.leakage import split_digest
from mribench.registry import Resolved
from mribench.results.cell import EvaluateCell

_SCORES = ("metric",)
"""What a task is scored by says nothing about how it is learnt: another metric trains nothing again."""


@dataclass(frozen=True)
class _Arm:
    """A row of the leaderboard: what the encoder was, and what is done with it."""

    name: str
    arm: str
    encoder: Resolved
    method: ResolvedMethod | None = None


def build_plan(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort], base: Plan | None = None) -> Plan:
    """Return all jobs of a benchmark, dependencies first.

    Args:
        resolved: the benchmark file, its components resolved.
        cohorts: its cohorts, from ``open_cohorts``; those that are missing give jobs without a key.
        base: the plan without the defect that ``resolved`` is to measure; what is the same in it is left
            out.
    """
    builder = _Builder(resolved, cohorts, base)
    jobs = tuple(builder.jobs())
    missing = {name: cohort.missing for name, cohort in cohorts.items() if cohort.missing}
    return Plan(jobs, missing, tuple(dict.fromkeys(builder.notes)))


class _Builder:
    def __init__(
        self, resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort], base: Plan | None = None
    ) -> None:
        self.resolved = resolved
        self.config = resolved.config
        self.cohorts = cohorts
        self.notes: list[str] = []
        self._known: dict[Hashable, Any] = {}
        self.known = set(base.runnable()) if base else set()

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, dependencies first; none that the base plan has."""
        return (job for job in self._all() if job.key is None or job.key not in self.known)

    def _all(self) -> Iterator[Job]:
        pretrained: dict[tuple[str, int], Job] = {}
        for seed in self.config.seeds:
            for name, method in self.resolved.methods.items():
                pretrained[name, seed] = self._pretrain(name, method, seed)
        yield from pretrained.values()
        if not self.resolved.measured:
            yield from self._embeddings(pretrained)
        for task_name, task in self.resolved.tasks.items():
            for arm in self._arms():
                for seed in self.config.seeds:
                    yield from self._adapted(task_name, task, arm, seed, pretrained.get((arm.name, seed)))
            identity = "identity" in self.config.reference_arms and not self.resolved.measured
            if identity and task.task.make().has_identity:
                yield from self._identity(task_name, task)

    def _arms(self) -> Iterator[_Arm]:
        for arm in self.config.arms:
            for name, method in self.resolved.methods.items():
                yield _Arm(name, arm, method.encoder, method)
        for reference in self.config.reference_arms:
            if reference != "identity":
                yield _Arm(reference, reference, self.resolved.reference_encoder)

    def _pretrain(self, name: str, method: ResolvedMethod, seed: int) -> Job:
        cohort = self.cohorts[method.pretrain.data]
        split = cohort.split
        train, held_out = (split.train, split.validation) if split else ((), ())
        payload = {
            "profile": self.config.profile,
            "data": self._component(cohort.resolved),
            "train": train,
            "held_out": held_out,
            "views": method.views.component(),
            "objective": method.objective.component(),
            "encoder": method.encoder.component(),
            "pretrain": method.pretrain.model_dump(mode="json"),
            "seed": seed,
            "split_digest": split_digest({"train": train, "held out": held_out}),
        }
        parts = [part.identity() for part in (method.views, method.objective, method.encoder)]
        return self._job(
            f"{name}/pretrain/seed{seed}", "pretrain", payload, cohort, parts, (*train, *held_out)
        )

    def _embeddings(self, pretrained: Mapping[tuple[str, int], Job]) -> Iterator[Job]:
        """Yield the jobs that measure the invariance of each encoder: the methods', and the random one."""
        arms = [
            _Arm(name, "frozen", method.encoder, method) for name, method in self.resolved.methods.items()
        ]
        if "random-frozen" in self.config.reference_arms:
            arms.append(_Arm("random-frozen", "random-frozen", self.resolved.reference_encoder))
        for cohort_name, spec in self.config.invariance.items():
            for arm in arms:
                for seed in self.config.seeds:
                    yield self._embed(cohort_name, spec, arm, seed, pretrained.get((arm.name, seed)))

    def _embed(
        self, cohort_name: str, spec: InvarianceSpec, arm: _Arm, seed: int, pretrain: Job | None
    ) -> Job:
        cohort = self.cohorts[cohort_name]
        ids = tuple(i for people in cohort.split.test.values() for i in people) if cohort.split else ()
        cell = {
            "benchmark": self.config.benchmark,
            "profile": self.resolved.label,
            "method": arm.name,
            "views": arm.method.views.name if arm.method else None,
            "objective": arm.method.objective.name if arm.method else None,
            "encoder": arm.encoder.name,
            "arm": arm.arm,
            "dataset": cohort_name,
            "seed": seed,
        }
        payload = {
            "profile": self.config.profile,
            "data": self._component(cohort.resolved),
            "subjects": ids,
            "sequences": list(spec.sequences),
            "encoder": self._component(arm.encoder),
            "pretrain": pretrain.key if pretrain else None,
            "seed": seed,
            "patch_vox": spec.patch_vox,
            "spacing_mm": spec.spacing_mm,
            "cell": cell,
            "split_digest": split_digest({"test": ids}),
        }
        name = f"{arm.name}/invariance/{cohort_name}/seed{seed}"
        job = self._job(name, "embed", payload, cohort, [arm.encoder.identity()], ids)
        return _after(replace(job, cell=cell), pretrain, pretrain)

    def _adapted(
        self, task_name: str, task: ResolvedTask, arm: _Arm, seed: int, pretrain: Job | None
    ) -> Iterator[Job]:
        cohort = self.cohorts[task.spec.data]
        label = self._label(task)
        for sequence in task.spec.train_sequences:
            train = self._eligible(cohort, cohort.split.train if cohort.split else (), sequence, label)
            validation = self._eligible(
                cohort, cohort.split.validation if cohort.split else (), sequence, label
            )
            if cohort.split:
                self.notes.append(_counted(f"{task_name} {sequence}", len(train), task.spec.fractions))
            for fraction in task.spec.fractions:
                for subset_seed in self.config.subset_seeds_at(fraction):
                    draw = seed if subset_seed is None else subset_seed
                    subset = label_subset(train, fraction, draw) if train else ()
                    cell = self._cell(task_name, task, arm, seed) | {
                        "train_sequence": sequence,
                        "fraction": fraction,
                        "n_train_subjects": len(subset) if cohort.split else None,
                        "subset_seed": subset_seed,
                    }
                    adapt = self._adapt(task, arm, cell, subset, validation, pretrain)
                    yield adapt
                    if adapt.key not in self.known or at("evaluate", self.resolved.defects):
                        yield from self._evaluations(task, arm, cell, adapt, pretrain)

    def _adapt(
        self,
        task: ResolvedTask,
        arm: _Arm,
        cell: Mapping[str, Any],
        train: Sequence[str],
        validation: Sequence[str],
        pretrain: Job | None,
    ) -> Job:
        cohort = self.cohorts[task.spec.data]
        payload = {
            "profile": self.config.profile,
            "data": self._component(cohort.resolved),
            "train": train,
            "validation": validation,
            "task": self._component(task.task, _SCORES),
            "encoder": self._component(arm.encoder),
            "arm": arm.arm,
            "sequence": cell["train_sequence"],
            "adapt": self._adapt_options(task),
            "seed": cell["seed"],
            "pretrain": pretrain.key if pretrain else None,
            "split_digest": split_digest({"train": train, "validation": validation}),
        }
        people = (*train, *validation)
        parts = [self._identity_of(task.task, _SCORES), self._identity_of(arm.encoder)]
        job = self._job(_cell_id(cell), "adapt", payload, cohort, parts, people)
        return _after(job, pretrain, pretrain)

    def _evaluations(
        self, task: ResolvedTask, arm: _Arm, cell: Mapping[str, Any], adapt: Job, pretrain: Job | None
    ) -> Iterator[Job]:
        for site in self.cohorts[task.spec.data].sites:
            for sequence in task.spec.tested_on(cell["train_sequence"], self._there(task)):
                here = {**cell, "test_site": site, "test_sequence": sequence}
                job = self._evaluate(task, arm, here, adapt.key, pretrain)
                if job is not None:
                    yield _after(job, adapt, pretrain)

    def _identity(self, task_name: str, task: ResolvedTask) -> Iterator[Job]:
        arm = _Arm("identity", "identity", self.resolved.reference_encoder)
        cell = self._cell(task_name, task, arm, None)
        for site in self.cohorts[task.spec.data].sites:
            for sequence in task.spec.all_tested_on(self._there(task)):
                here = {**cell, "test_site": site, "test_sequence": sequence}
                job = self._evaluate(task, arm, here, None, None)
                if job is not None:
                    yield job

    def _evaluate(
        self, task: ResolvedTask, arm: _Arm, cell: Mapping[str, Any], adapt: str | None, pretrain: Job | None
    ) -> Job | None:
        cohort = self.cohorts[task.spec.data]
        cell = EvaluateCell(**cell).model_dump()
        site, sequence = cell["test_site"], cell["test_sequence"]
        ids = cohort.split.test[site] if cohort.split else ()
        ids = self._eligible(cohort, ids, sequence, self._label(task))
        if cohort.split and not ids:
            self.notes.append(f"{cell['task']}: no {sequence} test scan at {site}, so no such cell")
            return None
        payload = {
            "profile": self.config.profile,
            "data": self._component(cohort.resolved),
            "subjects": ids,
            "task": self._component(task.task),
            "encoder": self._component(arm.encoder),
            "arm": arm.arm,
            "adapt_options": self._adapt_options(task),
            "adapt": adapt,
            "pretrain": pretrain.key if pretrain else None,
            "seed": cell["seed"],
            "cell": dict(cell),
            "split_digest": split_digest({"test": ids}),
        }
        name = f"{_cell_id(cell)}/test/{site}/{sequence}"
        used = (task.task,) if arm.arm == "identity" else (task.task, arm.encoder)
        parts = [self._identity_of(part) for part in used]
        return replace(self._job(name, "evaluate", payload, cohort, parts, ids), cell=dict(cell))

    def _job(
        self,
        name: str,
        kind: JobKind,
        payload: Mapping[str, Any],
        cohort: Cohort,
        parts: Sequence[Mapping[str, Any]],
        people: Sequence[str],
    ) -> Job:
        payload = {**payload, "cohort": cohort.name}
        defects = at(kind, self.resolved.defects, payload.get("arm"))
        if defects:
            payload = {**payload, "defects": defects}
        name = f"+{self.resolved.measured}/{name}" if self.resolved.measured else name
        if cohort.missing:
            return Job(name, kind, None, payload=payload, waiting_for=(cohort.name,))
        content = {
            "results": RESULTS_VERSION,
            "entries": list(parts),
            "data": cohort.identity,
            "fingerprints": self._fingerprints_of(cohort, tuple(people)),
        }
        key = key_of_job(kind, payload, content)
        return Job(name, kind, key, payload=payload, content=content)

    def _fingerprints_of(self, cohort: Cohort, people: tuple[str, ...]) -> Mapping[str, str]:
        """Return the fingerprints of some subjects, one mapping for all jobs on the same ones."""
        key = ("fingerprints", cohort.name, people)
        found: Mapping[str, str] = self._once(key, lambda: cohort.fingerprints_of(people))
        return found

    def _cell(self, task_name: str, task: ResolvedTask, arm: _Arm, seed: int | None) -> dict[str, Any]:
        cohort = self.cohorts[task.spec.data]
        return {
            "benchmark": self.config.benchmark,
            "profile": self.resolved.label,
            "method": arm.name,
            "views": arm.method.views.name if arm.method else None,
            "objective": arm.method.objective.name if arm.method else None,
            "encoder": None if arm.arm == "identity" else arm.encoder.name,
            "arm": arm.arm,
            "task": task_name,
            "dataset": cohort.name,
            "train_site": None if arm.arm == "identity" else cohort.sites[0],
            "seed": seed,
        }

    def _once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return what a key stands for, computed once: thousands of jobs are made of few parts."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def _component(self, part: Resolved, without: tuple[str, ...] = ()) -> dict[str, Any]:
        found: dict[str, Any] = self._once(("component", id(part), without), lambda: part.component(without))
        return found

    def _identity_of(self, part: Resolved, without: tuple[str, ...] = ()) -> dict[str, Any]:
        found: dict[str, Any] = self._once(("identity", id(part), without), lambda: part.identity(without))
        return found

    def _adapt_options(self, task: ResolvedTask) -> dict[str, Any]:
        found: dict[str, Any] = self._once(
            ("adapt", id(task)), lambda: task.spec.adapt.model_dump(mode="json")
        )
        return found

    def _label(self, task: ResolvedTask) -> str | None:
        label: str | None = self._once(("label", id(task)), lambda: task.task.make().label)
        return label

    def _there(self, task: ResolvedTask) -> tuple[str, ...]:
        """Return the sequences that a task's test subjects have."""
        cohort, label = self.cohorts[task.spec.data], self._label(task)
        found: tuple[str, ...] = self._once(("there", id(task)), lambda: tested_sequences(cohort, label))
        return found

    def _eligible(
        self, cohort: Cohort, ids: Sequence[str], sequence: str, label: str | None
    ) -> tuple[str, ...]:
        """Return the subjects that have a scan of the sequence, and the label where one is needed."""
        key = ("eligible", cohort.name, tuple(ids), sequence, label)
        kept: tuple[str, ...] = self._once(key, lambda: self._find_eligible(cohort, ids, sequence, label))
        return kept

    def _find_eligible(
        self, cohort: Cohort, ids: Sequence[str], sequence: str, label: str | None
    ) -> tuple[str, ...]:
        kept = tuple(i for i in ids if scans_for(cohort.subjects[i], sequence, label))
        if len(kept) < len(ids):
            what = f"{sequence} scan" + (f" with a {label} label" if label else "")
            self.notes.append(f"{cohort.name}: {len(ids) - len(kept)} of {len(ids)} subjects have no {what}")
        return kept


def _cell_id(cell: Mapping[str, Any]) -> str:
    if cell["arm"] == "identity":
        return f"identity/{cell['task']}"
    name = cell["method"] if cell["method"] == cell["arm"] else f"{cell['method']}/{cell['arm']}"
    subset = "" if cell["subset_seed"] is None else f"/subset{cell['subset_seed']}"
    training = f"{cell['train_sequence']}/{100 * cell['fraction']:g}%{subset}"
    return f"{name}/{cell['task']}/{training}/seed{cell['seed']}"


def _counted(what: str, n_subjects: int, fractions: Sequence[float]) -> str:
    """Return how many training subjects there are, and how many each label fraction has."""
    parts = [f"{100 * f:g} % is {subset_size(n_subjects, f)}" for f in fractions if f < 1]
    return f"{what}: {n_subjects} training subjects{'; ' if parts else ''}{', '.join(parts)}"


def _after(job: Job, dependency: Job | None, pretrain: Job | None) -> Job:
    """Return ``job`` as one that needs ``dependency``; without that one's data it has no key either."""
    if dependency is None:
        return job
    waiting = tuple(dict.fromkeys((*job.waiting_for, *dependency.waiting_for)))
    if dependency.key is None:
        return replace(job, key=None, waiting_for=waiting)
    # A frozen arm keeps its head alone: its evaluation reads the pretrained encoder too.
    needs = dict.fromkeys(found.key for found in (dependency, pretrain) if found and found.key)
    return replace(job, needs=tuple(needs), pretrain=pretrain.key if pretrain else None, waiting_for=waiting)
