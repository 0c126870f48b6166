"""Which trainings a choice of learning rates adds to a plan, and what they leave as it is."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.plan import Plan, build_plan, make_missing, open_cohorts
from mribench.plugins import load_registry
from mribench.results.specification import AdaptSpec, EvaluateSpec

CHOICE = "tasks.tissue.adapt.lr_factors=[0.3, 1, 3]"


@functools.cache
def plan(repository: Path, *sets: str) -> Plan:
    resolved = resolve(
        load_benchmark(repository / "tests" / "benchmarks" / "tiny.yaml", sets), load_registry()
    )
    make_missing(resolved, lambda *_: None)
    return build_plan(resolved, open_cohorts(resolved))


def keys(made: Plan, task: str) -> set[str | None]:
    return {job.key for job in made.jobs if f"/{task}/" in job.id}


def test_one_factor_is_no_choice_and_changes_no_key(repository: Path) -> None:
    usual = plan(repository)
    same = plan(repository, "tasks.tissue.adapt.lr_factors=[1]")
    assert [job.key for job in usual.jobs] == [job.key for job in same.jobs]


def test_another_factor_is_another_training(repository: Path) -> None:
    usual, doubled = plan(repository), plan(repository, "tasks.tissue.adapt.lr_factors=[2]")
    assert len(usual.jobs) == len(doubled.jobs)
    trained = [{job.key for job in made.jobs if job.kind == "adapt"} for made in (usual, doubled)]
    assert len(trained[0] & trained[1]) == 3, "those of the other task"


def test_each_row_tries_every_rate_once_with_the_first_seed(repository: Path) -> None:
    made = plan(repository, CHOICE, "seeds=[4, 2]")
    trials = [job for job in made.jobs if job.chooses and isinstance(job.spec, AdaptSpec)]
    assert len(trials) == 3 * 3, "three rows: frozen, finetune, scratch"
    assert {job.spec.seed for job in trials} == {4}
    assert [job.spec.adapt["lr_factors"] for job in trials] == [[0.3], [1.0], [3.0]] * 3
    scored = {job.key: job for job in made.jobs if job.chooses and isinstance(job.spec, EvaluateSpec)}
    assert len(scored) == 3 * 3
    trained = [job for job in made.jobs if isinstance(job.spec, AdaptSpec) and job.spec.trial_keys]
    assert len(trained) == 3 * 2
    for job in trained:
        assert isinstance(job.spec, AdaptSpec)
        behind = [scored[key].spec for key in job.spec.trial_keys]
        assert {spec.arm for spec in behind} == {job.spec.arm}, "each chooses for itself"
        assert set(job.spec.trial_keys) <= set(job.needs)
        for spec in behind:
            assert set(spec.subjects) == set(job.spec.validation), "never on those of the test"


def test_no_table_knows_the_trials(repository: Path) -> None:
    cells = [[job.cell for job in plan(repository, *sets).jobs if job.cell] for sets in ((), (CHOICE,))]
    assert cells[0] == cells[1]


def test_the_other_task_keeps_its_keys(repository: Path) -> None:
    assert keys(plan(repository), "denoise") == keys(plan(repository, CHOICE), "denoise")


def test_another_metric_of_the_test_trains_nothing_again(repository: Path) -> None:
    made = [plan(repository, CHOICE, *sets) for sets in ((), ("tasks.tissue.task.metrics=[masd]",))]
    trained = [{job.key for job in each.jobs if job.kind == "adapt"} for each in made]
    assert trained[0] == trained[1]


def test_without_validation_subjects_there_is_nothing_to_choose_on(repository: Path) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.tissue\.adapt\.lr_factors: a rate is chosen on the valid"):
        plan(repository, CHOICE, "splits.ixi.validation=0")
