"""Makes the manifest of a plan."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping

from mribench.config import ResolvedBenchmark
from mribench.defects import empty_mask_policy, only_reported
from mribench.interfaces.dataset import Dataset
from mribench.interfaces.metric import Metric, SetMetric
from mribench.interfaces.task import Task
from mribench.interfaces.weights import GivenWeights
from mribench.plan.cohorts import Cohort, tested_sequences
from mribench.plan.job import Plan
from mribench.results.manifest import (
    Manifest,
    MeasuredDefect,
    PlannedCohort,
    PlannedJob,
    PlannedMethod,
    PlannedMetric,
    PlannedTask,
    PlannedWeights,
)


def make_manifest(
    resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort], plan: Plan, file: str
) -> Manifest:
    """Return the manifest of a plan.

    Args:
        resolved: the benchmark.
        cohorts: for the test sites.
        plan: its jobs.
        file: name of the benchmark file.
    """
    config = resolved.config
    return Manifest(
        benchmark=config.benchmark,
        file=file,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        profiles=(resolved.label,),
        variants=tuple(resolved.label_with(name) for name in resolved.variants()),
        shown_defects={resolved.label: resolved.shown_defects()},
        empty_masks={resolved.label: empty_mask_policy(resolved.defects.values())},
        measured_defects=tuple(_measured_defects(resolved)),
        config=config.model_dump(mode="json", exclude={"execution"}),
        seeds=tuple(config.seeds),
        methods=tuple(_methods(resolved)),
        arms=tuple(config.arms),
        reference_arms=tuple(config.reference_arms),
        tasks={name: _task(name, resolved, cohorts) for name in resolved.tasks},
        cohorts={name: _cohort(cohort, resolved) for name, cohort in cohorts.items()},
        report=config.report,
        jobs=tuple(_jobs(plan)),
    )


def _measured_defects(resolved: ResolvedBenchmark) -> Iterator[MeasuredDefect]:
    for name, defect in resolved.to_measure.items():
        yield MeasuredDefect(
            name=name,
            base=resolved.label,
            summary=defect.summary,
            metrics=dict(defect.metrics),
            empty_masks=defect.empty_masks,
            profile=None if only_reported(defect) else resolved.label_with(name),
        )


def _methods(resolved: ResolvedBenchmark) -> Iterator[PlannedMethod]:
    for name, method in resolved.methods.items():
        made, given = method.pretraining, method.weights
        yield PlannedMethod(
            name=name,
            views=made.views.name if made else None,
            objective=made.objective.name if made else None,
            encoder=method.encoder.name,
            overrides=tuple(method.overrides),
            weights=_planned_weights(given) if given else None,
            input=method.wanted if method.wanted.asks else None,
        )


def _planned_weights(given: GivenWeights) -> PlannedWeights:
    people = given.pretrained_on
    return PlannedWeights(
        file=given.file.path.name,
        sha256=given.file.sha256,
        pretrained_on=people if people == "unknown" else tuple(people),
    )


def _cohort(cohort: Cohort, resolved: ResolvedBenchmark) -> PlannedCohort:
    dataset: Dataset = cohort.resolved.make()
    measured = resolved.config.invariance.get(cohort.name)
    return PlannedCohort(
        dataset=cohort.resolved.name,
        simulated=dataset.simulated,
        licence=dataset.licence,
        invariance=tuple(measured.sequences) if measured else (),
    )


def _task(name: str, resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> PlannedTask:
    spec = resolved.tasks[name].spec
    task: Task = resolved.tasks[name].task.make()
    cohort = cohorts[spec.data]
    tested = spec.all_tested_on(tested_sequences(cohort, task))
    return PlannedTask(
        task=resolved.tasks[name].task.name,
        dataset=spec.data,
        label=task.label,
        fractions=tuple(spec.fractions),
        train_sequences=tuple(channels.name for channels in spec.trained_on),
        test_sequences=tuple(channels.name for channels in tested),
        sites=cohort.sites,
        metrics=tuple(_metric(metric) for metric in task.metrics),
    )


def _metric(metric: Metric | SetMetric) -> PlannedMetric:
    low, high = (bound if math.isfinite(bound) else None for bound in metric.value_range)
    return PlannedMetric(
        id=metric.id,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        value_range=(low, high),
        of_set=isinstance(metric, SetMetric),
    )


def _only(keys: tuple[str, ...] | None) -> str | None:
    return keys[0] if keys else None


def _jobs(plan: Plan) -> Iterator[PlannedJob]:
    for job in plan.jobs:
        before = job.spec.builds_on() if job.key else {}
        yield PlannedJob(
            key=job.key,
            id=job.id,
            kind=job.kind,
            needs=job.needs if job.key else (),
            pretrain=_only(before.get("pretrain_key")),
            adapt=_only(before.get("adapt_key")),
            cell=job.cell,
        )
