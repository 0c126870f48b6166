"""Builds the DAG pretrain → adapt → evaluate. No I/O: cohorts are opened before."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mribench import RESULTS_VERSION
from mribench.arms import IDENTITY, NO_IMAGE
from mribench.config import InvarianceSpec, ResolvedBenchmark, ResolvedPretraining
from mribench.data.subsets import draw_label_subset
from mribench.data.uses import TaskImages
from mribench.defects import at
from mribench.interfaces.channels import Channels
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import ObjectiveRef, ViewsRef
from mribench.plan.arms import Arms
from mribench.plan.cohorts import Cohort
from mribench.plan.job import Job, Plan
from mribench.plan.leakage import split_digest
from mribench.plan.parts import (
    Arm,
    TaskPart,
    Training,
    count_training,
    identity_of,
    untrained_cell,
)
from mribench.plan.pretraining import select_sources
from mribench.plan.targets import check_draw, list_left_out, list_thin_tests, require_validation
from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.content import CohortContent, Content, EntryIdentity
from mribench.results.keys import KeyMaker
from mribench.results.read_cohort import TrainedCohort
from mribench.results.specification import (
    AdaptSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    PretrainSpec,
)


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
        self.notes: list[str] = []
        self._in_base = set(base.runnable()) if base else set()
        self._cohorts = cohorts
        self._tasks = [
            TaskPart.of(name, task, cohorts[task.spec.data]) for name, task in resolved.tasks.items()
        ]
        self._arms = Arms(resolved)
        # Thousands of jobs are about few groups of people: what is found of a group is found once.
        self._sources = functools.cache(self._select_sources)
        self._eligible = functools.cache(self._find_eligible)
        self._content_of = functools.cache(self._find_content)
        self._digest_tested = functools.cache(_digest_tested)
        self._keys = KeyMaker()

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, dependencies first; none that the base plan has."""
        return (job for job in self._all() if job.key is None or job.key not in self._in_base)

    def _all(self) -> Iterator[Job]:
        pretrained: dict[tuple[str, int], Job] = {}
        for seed in self.config.seeds:
            for name, pretraining in self.resolved.pretrained().items():
                pretrained[name, seed] = self._pretrain(name, pretraining, seed)
        yield from pretrained.values()
        if not self.resolved.measured:
            yield from self._embeddings(pretrained)
        for task in self._tasks:
            for arm in self._arms.of_task(task, self.notes):
                trials = list(self._trials(task, arm, pretrained))
                yield from trials
                for seed in self.config.seeds:
                    pretrain = _find_pretraining(arm, seed, pretrained)
                    yield from self._adapted(task, arm, seed, pretrain, trials)
            if IDENTITY in self.config.reference_arms and not self.resolved.measured and task.has_identity:
                yield from self._identity(task)

    def _pretrain(self, name: str, pretraining: ResolvedPretraining, seed: int) -> Job:
        sources = self._sources(name)
        train = [subject for source in sources for subject in source.train]
        held_out = [subject for source in sources for subject in source.held_out]
        spec = PretrainSpec(
            profile=self.config.profile,
            encoder=self._arms.encoders[name].reference,
            input=self._arms.encoders[name].input,
            split_digest=split_digest({"train": train, "held out": held_out}),
            defects=self._defects("pretrain"),
            views=ViewsRef.model_validate(pretraining.views.component()),
            objective=ObjectiveRef.model_validate(pretraining.objective.component()),
            sources=sources,
            pretrain=pretraining.options.settings().model_dump(mode="json"),
            seed=self.config.pretrain_seed(name, seed),
        )
        entries = [identity_of(part) for part in self.resolved.methods[name].parts()]
        read = [(self._cohorts[source.cohort], (*source.train, *source.held_out)) for source in sources]
        return replace(self._job(f"{name}/pretrain/seed{seed}", spec, entries, *read), method=name)

    def _select_sources(self, name: str) -> tuple[TrainedCohort, ...]:
        """Return the cohorts that a method pretrains on, found once for all seeds."""
        selected = select_sources(self.resolved.pretrained()[name], self._cohorts)
        self.notes += selected.notes
        return selected.sources

    def _embeddings(self, pretrained: Mapping[tuple[str, int], Job]) -> Iterator[Job]:
        """Yield the jobs that measure the invariance of each encoder: the methods', and the random one."""
        arms = list(self._arms.of_embeddings())
        for cohort_name, asked in self.config.invariance.items():
            for arm in arms:
                for seed in self.config.seeds:
                    pretrain = _find_pretraining(arm, seed, pretrained)
                    yield self._embed(cohort_name, asked, arm, seed, pretrain)

    def _embed(
        self, cohort_name: str, asked: InvarianceSpec, arm: Arm, seed: int, pretrain: Job | None
    ) -> Job:
        cohort = self._cohorts[cohort_name]
        tested = cohort.split.test.values() if cohort.split else ()
        ids = tuple(subject for people in tested for subject in people)
        cell = EmbedCell(
            benchmark=self.config.benchmark,
            profile=self.resolved.label,
            method=arm.name,
            views=arm.views,
            objective=arm.objective,
            encoder=arm.encoder.name,
            arm=arm.arm,
            dataset=cohort_name,
            seed=seed,
        )
        spec = EmbedSpec(
            profile=self.config.profile,
            cohort=cohort.name,
            data=cohort.data,
            encoder=arm.encoder.reference,
            split_digest=self._digest_tested(ids),
            defects=self._defects("embed"),
            subjects=ids,
            sequences=tuple(asked.sequences),
            patch_vox=arm.encoder.wanted.patch_vox or asked.patch_vox,
            spacing_mm=arm.encoder.wanted.spacing_mm or asked.spacing_mm,
            cell=cell,
            pretrain_key=pretrain.key if pretrain else None,
            weights=arm.weights,
            input=arm.encoder.input,
        )
        row = arm.name if arm.arm in ("frozen", arm.name) else f"{arm.name}/{arm.arm}"
        name = f"{row}/invariance/{cohort_name}/seed{seed}"
        job = self._job(name, spec, [arm.encoder.identity], (cohort, ids))
        return _after(replace(job, method=arm.name), pretrain)

    def _trials(self, task: TaskPart, arm: Arm, pretrained: Mapping[tuple[str, int], Job]) -> Iterator[Job]:
        """Yield a training at each rate that a row tries, and its scores of the validation subjects."""
        if len(task.lr_factors) == 1:
            return
        seed, channels, split = self.config.seeds[0], task.spec.trained_on[0], task.cohort.split
        train = self._covered(task, "training", split.train if split else (), channels)
        validation = self._covered(task, "validation", split.validation if split else (), channels)
        if split:
            require_validation(f"{self.config.source}: tasks.{task.name}.adapt.lr_factors", validation)
        pretrain = _find_pretraining(arm, seed, pretrained)
        for factor in task.lr_factors:
            trial = Training(task, arm, seed, channels, 1.0, None, train, lr_factor=factor)
            adapt = self._adapt(trial, validation, pretrain)
            yield replace(adapt, chooses=True)
            cell = trial.cell(self.config.benchmark, self.resolved.label, task.cohort.sites[0], channels.name)
            name = f"{trial.id}/validation"
            score = self._score(
                name, task, arm, cell, channels, validation, adapt.key, pretrain, chooses=True
            )
            yield _after(score, adapt)

    def _adapted(
        self, task: TaskPart, arm: Arm, seed: int, pretrain: Job | None, trials: Sequence[Job]
    ) -> Iterator[Job]:
        split = task.cohort.split
        for channels in task.spec.trained_on:
            train = self._covered(task, "training", split.train if split else (), channels)
            validation = self._covered(task, "validation", split.validation if split else (), channels)
            if split:
                self.notes.append(
                    count_training(f"{task.name} {channels.name}", len(train), task.spec.fractions)
                )
            for fraction in task.spec.fractions:
                for subset_seed in self.config.subset_seeds_at(fraction):
                    draw = seed if subset_seed is None else subset_seed
                    training = Training(
                        task, arm, seed, channels, fraction, subset_seed,
                        draw_label_subset(train, fraction, draw) if train else (),
                    )  # fmt: skip
                    yield from self._trained(training, validation, pretrain, trials)

    def _trained(
        self, training: Training, validation: tuple[str, ...], pretrain: Job | None, trials: Sequence[Job]
    ) -> Iterator[Job]:
        """Yield an adapt job, and the evaluations of it."""
        adapt = self._adapt(training, validation, pretrain, trials)
        yield adapt
        if adapt.key in self._in_base and not at("evaluate", self.resolved.defects):
            return
        task = training.task
        for site in task.cohort.sites:
            for channels in task.spec.tested_on(training.channels, task.sequences_there):
                cell = training.cell(self.config.benchmark, self.resolved.label, site, channels.name)
                job = self._evaluate(training.id, task, training.arm, cell, channels, adapt.key, pretrain)
                if job is not None:
                    yield _after(job, adapt)

    def _adapt(
        self,
        training: Training,
        validation: tuple[str, ...],
        pretrain: Job | None,
        trials: Sequence[Job] = (),
    ) -> Job:
        task, arm = training.task, training.arm
        trial_keys = [trial.key for trial in trials if trial.kind == "evaluate" and trial.key]
        check_draw(f"{self.config.source}: tasks.{task.name}", training)
        spec = AdaptSpec(
            profile=self.config.profile,
            cohort=task.cohort.name,
            data=task.cohort.data,
            encoder=arm.encoder.reference,
            split_digest=split_digest({"train": training.train, "validation": validation}),
            defects=() if task.has_probe else self._defects("adapt", arm.arm),
            task=task.learnt,
            arm=arm.arm,
            train=training.train,
            validation=validation,
            channels=training.channels.sequences,
            adapt=training.options(),
            seed=training.seed,
            pretrain_key=pretrain.key if pretrain else None,
            weights=arm.weights,
            input=arm.encoder.input,
            covariates=task.covariates_of((*training.train, *validation)),
            is_trial=training.lr_factor is not None,
            trial_keys=tuple(trial_keys),
        )
        people = (*training.train, *validation)
        entries = [task.learnt_identity, *_encoders_of(arm)]
        job = self._job(training.id, spec, entries, (task.cohort, people))
        return _after(replace(job, method=arm.name), pretrain)

    def _identity(self, task: TaskPart) -> Iterator[Job]:
        arm = Arm(IDENTITY, IDENTITY, replace(self._arms.reference, wanted=InputContract()))
        for site in task.cohort.sites:
            for channels in task.spec.all_tested_on(task.sequences_there):
                label = self.resolved.label
                cell = untrained_cell(task, arm, self.config.benchmark, label, site, channels.name)
                job = self._evaluate(f"{IDENTITY}/{task.name}", task, arm, cell, channels, None, None)
                if job is not None:
                    yield job

    def _evaluate(
        self,
        trained: str,
        task: TaskPart,
        arm: Arm,
        cell: EvaluateCell,
        channels: Channels,
        adapt_key: str | None,
        pretrain: Job | None,
    ) -> Job | None:
        split, site, sequence = task.cohort.split, cell.test_site, cell.test_sequence
        there = split.test[site] if split else ()
        ids = self._covered(task, "test", there, channels)
        if split and not ids:
            self.notes.append(f"{task.name}: no {sequence} test scan at {site}, so no such cell")
            return None
        self.notes += list_thin_tests(f"task {task.name} at {site}", ids, task.covered)
        name = f"{trained}/test/{site}/{sequence}"
        return self._score(name, task, arm, cell, channels, ids, adapt_key, pretrain)

    def _score(
        self,
        name: str,
        task: TaskPart,
        arm: Arm,
        cell: EvaluateCell,
        channels: Channels,
        ids: tuple[str, ...],
        adapt_key: str | None,
        pretrain: Job | None,
        *,
        chooses: bool = False,
    ) -> Job:
        """Return the job that scores some subjects; one that chooses does so by the task's usual metrics."""
        spec = EvaluateSpec(
            profile=self.config.profile,
            cohort=task.cohort.name,
            data=task.cohort.data,
            encoder=arm.encoder.reference,
            split_digest=self._digest_tested(ids),
            defects=() if task.has_probe else self._defects("evaluate", arm.arm),
            task=task.learnt if chooses else task.scored,
            subjects=ids,
            adapt=task.learning_for(arm.encoder),
            channels=channels.sequences,
            cell=cell,
            adapt_key=adapt_key,
            pretrain_key=pretrain.key if pretrain else None,
            weights=arm.weights,
            input=arm.encoder.input,
            covariates=task.covariates_of(ids),
        )
        entries = [task.learnt_identity if chooses else task.scored_identity, *_encoders_of(arm)]
        job = self._job(name, spec, entries, (task.cohort, ids))
        return replace(job, method=arm.name, chooses=chooses)

    def _defects(self, stage: str, arm: str | None = None) -> tuple[str, ...]:
        return tuple(at(stage, self.resolved.defects, arm))

    def _job(
        self,
        name: str,
        spec: JobSpec,
        entries: Sequence[EntryIdentity],
        *read: tuple[Cohort, tuple[str, ...]],
    ) -> Job:
        measures = self.resolved.measured
        name = f"+{measures}/{name}" if measures else name
        missing = tuple(cohort.name for cohort, _ in read if cohort.missing)
        if missing:
            return Job(id=name, spec=spec, key=None, measures=measures, waiting_for=missing)
        content = Content(
            results=RESULTS_VERSION,
            entries=tuple(entries),
            cohorts=tuple(self._content_of(cohort.name, people) for cohort, people in read),
        )
        key = self._keys.make(spec, content)
        return Job(id=name, spec=spec, key=key, content=content, measures=measures)

    def _find_content(self, cohort_name: str, people: tuple[str, ...]) -> CohortContent:
        """Return a cohort as it enters the keys of jobs on some subjects, one for all those jobs."""
        cohort = self._cohorts[cohort_name]
        return CohortContent(cohort.identity, {subject: cohort.fingerprints[subject] for subject in people})

    def _covered(
        self, task: TaskPart, role: str, ids: tuple[str, ...], channels: Channels
    ) -> tuple[str, ...]:
        """Return the subjects that a task can be about and that have its scans, and note who is left out."""
        covered = tuple(subject for subject in ids if subject not in task.covered.left_out)
        self.notes += list_left_out(f"{task.name}: of {task.cohort.name}", role, ids, task.covered)
        return self._eligible(task.cohort.name, covered, task.images(channels))

    def _find_eligible(self, cohort_name: str, ids: tuple[str, ...], images: TaskImages) -> tuple[str, ...]:
        """Return the subjects that have all images, and the label where one is needed."""
        subjects = self._cohorts[cohort_name].subjects
        kept = tuple(subject for subject in ids if images.select(subjects[subject]))
        if len(kept) < len(ids):
            lacking = f"{len(ids) - len(kept)} of {len(ids)} subjects"
            self.notes.append(f"{cohort_name}: {lacking} have no {images.describe()}")
        return kept


def _digest_tested(ids: tuple[str, ...]) -> str:
    return split_digest({"test": ids})


def _encoders_of(arm: Arm) -> list[EntryIdentity]:
    """Return the encoder of an arm as it enters a key; nothing where the arm has none."""
    return [] if arm.arm in (IDENTITY, NO_IMAGE) else [arm.encoder.identity]


def _find_pretraining(arm: Arm, seed: int, pretrained: Mapping[tuple[str, int], Job]) -> Job | None:
    """Return the job that makes the encoder of an arm; None where nothing is pretrained for it."""
    return pretrained.get((arm.name, seed)) if arm.pretraining else None


def _after(job: Job, dependency: Job | None) -> Job:
    """Return ``job`` as one that needs ``dependency``; without that one's data it has no key either."""
    if dependency is None:
        return job
    waiting = tuple(dict.fromkeys((*job.waiting_for, *dependency.waiting_for)))
    return replace(job, key=job.key if dependency.key else None, waiting_for=waiting)
