"""Whom tasks about people can learn from and test: who is left out, and what cannot be learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from mribench.arms import FROZEN_ARMS
from mribench.config import BenchmarkConfig, ResolvedTask
from mribench.data.covariates import Covered, find_covered
from mribench.errors import ConfigError
from mribench.interfaces.metric import SetMetric
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import Task
from mribench.plan.cohorts import Cohort
from mribench.plan.parts import Training, has_probe
from mribench.set_scores import ENOUGH
from mribench.wording import count, list_some

_SHOWN = 5
"""People that a sentence names."""
_NO_INTERVAL = "so tables show values without one there"


def list_left_out(where: str, role: str, ids: Collection[str], covered: Covered) -> Iterator[str]:
    """Yield a sentence for each reason why subjects are left out of a task.

    Args:
        where: the task and its cohort, as the sentence begins.
        role: of the subjects: training, validation, test.
        ids: the subjects.
        covered: says who is left out.
    """
    people: dict[str, list[str]] = {}
    for subject in ids:
        if subject in covered.left_out:
            people.setdefault(covered.left_out[subject], []).append(subject)
    for reason, lacking in people.items():
        names = list_some(lacking, _SHOWN)
        some = f"{len(lacking)} of {count(len(ids), f'{role} subject')}"
        yield f"{where} {some} {reason}, and are left out: {names}"


def list_thin_tests(where: str, ids: Collection[str], covered: Covered) -> Iterator[str]:
    """Yield a sentence where metrics of whole sets will have no value, or no interval.

    Args:
        where: the task and the site of its test, as the sentence begins.
        ids: the test subjects.
        covered: says what their targets are, and what they can be.
    """
    targets = [covered.targets[subject] for subject in ids if subject in covered.targets]
    if not targets:
        return
    tested = count(len(targets), "test subject")
    if len(set(targets)) < 2:
        alike = f"of class {covered.classes[int(targets[0])]}" if covered.classes else "of one target"
        yield f"{where}: {tested}, all {alike}: a metric that compares targets has no value there"
        return
    if not covered.classes:
        if len(targets) < ENOUGH:
            yield f"{where}: {tested}; an interval wants {ENOUGH}, {_NO_INTERVAL}"
        return
    rarest, fewest = Counter(targets).most_common()[-1]
    if fewest < ENOUGH:
        yield (
            f"{where}: {tested}, of whom {fewest} of class {covered.classes[int(rarest)]}; an interval wants"
            f" {ENOUGH} of each class, {_NO_INTERVAL}"
        )


def check_covariates(where: str, task: Task, cohort: Cohort) -> Covered:
    """Refuse a task whose covariates nobody has, or that has nothing to tell apart.

    Args:
        where: the task's place in the benchmark file.
        task: the task.
        cohort: it is learnt and tested on; its data are there.

    Returns:
        Whom it can be about.

    Raises:
        ConfigError: naming the covariate, and what there is.
        DataError: naming the subject whose covariate is no target.
    """
    covered = find_covered(task, cohort.in_split())
    if cohort.split is None or not task.covariates:
        return covered
    tested = [i for ids in cohort.split.test.values() for i in ids]
    for role, ids in (("training", cohort.split.train), ("test", tested)):
        if ids and all(i in covered.left_out for i in ids):
            reasons = list(dict.fromkeys(covered.left_out[i] for i in ids))
            raise ConfigError(
                f"{where}: nobody is left: of '{cohort.name}' all {count(len(ids), f'{role} subject')}"
                f" {' or '.join(reasons)}",
                f"covariates there: {_list_covariates(cohort)}",
            )
    return covered


def _list_covariates(cohort: Cohort) -> str:
    names = Counter(name for person in cohort.in_split() for name in person.covariates)
    return ", ".join(f"{name} (of {number})" for name, number in names.most_common()) or "none"


def check_subject_task(config: BenchmarkConfig, where: str, resolved: ResolvedTask, task: Task) -> None:
    """Refuse a task that asks of the file what it cannot have.

    Raises:
        ConfigError: when metrics do not belong to such a task, a probe is to be trained by steps, or a head
            is not, or a probe has no frozen encoder.
    """
    _check_metrics(where, task)
    spec = resolved.spec
    if has_probe(task):
        if spec.adapt is not None:
            raise ConfigError(
                f"{where}.adapt: this task fits a probe, and nothing is trained by steps",
                "write `embed: {patch_vox: …, spacing_mm: …}` in its place, or `probe: null` in the task",
            )
        if not set(FROZEN_ARMS).intersection((*config.arms, *config.reference_arms)):
            raise ConfigError(
                f"{where}: a probe is fitted on frozen encoders, and the file has no arm that keeps one",
                "add `frozen` to arms, or `random-frozen` to reference_arms",
            )
    elif spec.adapt is None:
        raise ConfigError(
            f"{where}.embed: this task has no probe, and its head is trained",
            "write `adapt: {steps: …, lr: …}` in its place",
        )


def _check_metrics(where: str, task: Task) -> None:
    about_people = isinstance(task, SubjectTask)
    for metric in task.metrics:
        if isinstance(metric, SetMetric) != about_people:
            scored = "subjects all at once" if about_people else "one scan at a time"
            raise ConfigError(
                f"{where}.task.metrics: '{metric.id}' is no metric of {scored}, as this task is scored",
                "`mribench list metric` lists them all",
            )
        if isinstance(metric, SetMetric) and isinstance(task, SubjectTask):
            asked = "classes" if task.classes else "numbers"
            if metric.of != asked:
                raise ConfigError(
                    f"{where}.task.metrics: '{metric.id}' scores {metric.of}, and the task predicts {asked}",
                    "`mribench list metric` lists them all",
                )


def require_validation(where: str, validation: Collection[str]) -> None:
    """Refuse to choose a learning rate where nobody is there to choose it on.

    Args:
        where: the place of the choice in the benchmark file.
        validation: ids of the validation subjects that have the images.

    Raises:
        ConfigError: when there are none.
    """
    if not validation:
        raise ConfigError(
            f"{where}: a rate is chosen on the validation subjects, and none of them has the images",
            "give splits a validation part, or lr_factors one value",
        )


def check_draw(where: str, training: Training) -> None:
    """Refuse training subjects of whom nothing can be learnt: all have one target.

    Args:
        where: the task's place in the benchmark file.
        training: the subjects are some of those that its task can be about.

    Raises:
        ConfigError: with how many there are.
    """
    targets = training.task.covered.targets
    drawn = [targets[subject] for subject in training.train if subject in targets]
    if drawn and len(set(drawn)) < 2:
        draw = "" if training.fraction == 1 else f" at the label fraction {training.fraction:g}"
        raise ConfigError(
            f"{where}: {count(len(drawn), 'training subject')}{draw} (seed {training.seed}) with one target"
            " alone: nothing tells them apart",
            "give splits more training subjects, raise the smallest of fractions, or balance the split",
        )
