"""What the report must know of a plan, so that it needs neither plugins nor data."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mribench.config import ResolvedBenchmark
from mribench.defects import empty_mask_policy, only_reported
from mribench.interfaces.dataset import Dataset
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.interfaces.task import Task
from mribench.plan.cohorts import Cohort, tested_sequences
from mribench.plan.job import Plan
from mribench.results import SCHEMA


def manifest(
    resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort], plan: Plan, file: str
) -> dict[str, Any]:
    """Return the manifest of a plan as JSON.

    Args:
        resolved: the benchmark.
        cohorts: for the test sites.
        plan: its jobs.
        file: name of the benchmark file.
    """
    config = resolved.config
    return {
        "schema": SCHEMA,
        "benchmark": config.benchmark,
        "file": file,
        "profile": resolved.label,
        "defects": _defects(resolved),
        "variants": [resolved.label_with(name) for name in resolved.variants()],
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(mode="json"),
        "seeds": list(config.seeds),
        "methods": [
            {
                "name": name,
                "views": method.views.name,
                "objective": method.objective.name,
                "encoder": method.encoder.name,
                "overrides": list(method.overrides),
            }
            for name, method in resolved.methods.items()
        ],
        "arms": list(config.arms),
        "reference_arms": list(config.reference_arms),
        "tasks": {name: _task(name, resolved, cohorts) for name in resolved.tasks},
        "cohorts": {name: _cohort(cohort) for name, cohort in cohorts.items()},
        "report": config.report.model_dump(mode="json"),
        "jobs": [
            {
                "key": job.key,
                "id": job.id,
                "kind": job.kind,
                "cell": dict(job.cell) if job.cell else None,
                "needs": list(job.needs),
                "pretrain": job.pretrain,
            }
            for job in plan.jobs
        ],
    }


def _defects(resolved: ResolvedBenchmark) -> dict[str, Any]:
    """Return what is switched on, and what is measured, with all that the report must know of it."""
    return {
        "shown": resolved.shown_defects(),
        "empty_masks": _policy(empty_mask_policy(resolved.defects.values())),
        "measured": {
            name: {
                "summary": defect.summary,
                "metrics": dict(defect.metrics),
                "empty_masks": _policy(defect.empty_masks),
                "profile": None if only_reported(defect) else resolved.label_with(name),
            }
            for name, defect in resolved.to_measure.items()
        },
    }


def _policy(policy: EmptyMaskPolicy | None) -> dict[str, Any] | None:
    return asdict(policy) if policy else None


def _cohort(cohort: Cohort) -> dict[str, Any]:
    """Return whether people were scanned, and what may be done with their images."""
    dataset: Dataset = cohort.resolved.make()
    return {"dataset": cohort.resolved.name, "simulated": dataset.simulated, "licence": dataset.licence}


def _task(name: str, resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> dict[str, Any]:
    spec = resolved.tasks[name].spec
    task: Task = resolved.tasks[name].task.make()
    there = tested_sequences(cohorts[spec.data], task.label)
    return {
        "task": resolved.tasks[name].task.name,
        "dataset": spec.data,
        "label": task.label,
        "fractions": list(spec.fractions),
        "train_sequences": list(spec.train_sequences),
        "test_sequences": spec.all_tested_on(there),
        "sites": list(cohorts[spec.data].sites),
        "metrics": [
            {
                "id": metric.id,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "value_range": [bound if math.isfinite(bound) else None for bound in metric.value_range],
            }
            for metric in task.metrics
        ],
    }
