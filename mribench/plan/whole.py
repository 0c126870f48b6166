"""From a resolved benchmark to all its jobs: its own, and those that measure known defects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mribench.config import ResolvedBenchmark, resolve
from mribench.plan.build import build_plan
from mribench.plan.cohorts import Cohort, cohort_notes, split_again
from mribench.plan.feasibility import check_models, check_people
from mribench.plan.job import Plan
from mribench.plan.leakage import check_leakage
from mribench.plan.patches import patch_notes
from mribench.plan.weights_notes import weights_notes
from mribench.registry import Registry


def plan_all(
    resolved: ResolvedBenchmark,
    registry: Registry,
    cohorts: Mapping[str, Cohort],
    is_done: Callable[[str], bool] = lambda _: False,
) -> Plan:
    """Check the benchmark and return all its jobs, with those of each defect that is to be measured.

    Args:
        resolved: the benchmark file.
        registry: to resolve it again with a defect.
        cohorts: from ``open_cohorts``.
        is_done: whether a job is done, by its key: where all are, their models fit, and none is built.

    Raises:
        LeakageError: naming who is tested and was learnt from.
        ConfigError: when parts do not fit together.
    """
    plan = _checked(resolved, cohorts, None, is_done)
    jobs, said = list(plan.jobs), list(plan.notes)
    for name in resolved.variants():
        variant = resolve(resolved.config, registry, name)
        more = _checked(variant, split_again(cohorts, variant), plan, is_done)
        jobs += more.jobs
        said += [f"with {name}: {note}" for note in more.notes if note not in plan.notes]
        if not more.jobs:
            said.append(f"{name} changes no job of this benchmark")
    return replace(plan, jobs=tuple(jobs), notes=tuple(said))


def _checked(
    resolved: ResolvedBenchmark,
    cohorts: Mapping[str, Cohort],
    base: Plan | None,
    is_done: Callable[[str], bool],
) -> Plan:
    leaks = check_leakage(resolved, cohorts)
    check_people(resolved, cohorts)
    plan = build_plan(resolved, cohorts, base)
    if not all(job.key is not None and is_done(job.key) for job in plan.jobs):
        check_models(resolved)
    said = [*cohort_notes(cohorts), *leaks, *patch_notes(resolved, cohorts), *weights_notes(resolved)]
    return replace(plan, notes=(*said, *plan.notes))
