"""Tasks about people in a plan: who is left out, what is refused, and what is in the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mribench.config import load_benchmark, resolve
from mribench.data.covariates import find_covered
from mribench.errors import ConfigError
from mribench.interfaces import Subject
from mribench.plan import Plan, make_missing, open_cohorts, plan_all
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results.specification import AdaptSpec, EvaluateSpec
from mribench.volumes import Volume, write_volume

AGES = ("31", "45.5", "n/a", "60", "28", "39", "52", "44")
PRETRAIN = "{data: mine, patch_vox: 8, steps: 1, batch_size: 1, lr: 0.1}"
METHODS = f"{{m: {{views: augment, objective: mae, pretrain: {PRETRAIN}}}}}"
SEXES = ("F", "M", "F", "M", "M", "F", "F", "M")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark of an untrained encoder on a folder of eight people, the third of unknown age."""
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    for number in range(1, 9):
        data = np.random.default_rng(number).random((12, 12, 12))
        path = tmp_path / "study" / f"sub-{number}" / "anat" / f"sub-{number}_T1w.nii.gz"
        write_volume(path, Volume(data, np.eye(4)))
    write_table(tmp_path, AGES, SEXES)
    task = {"data": "mine", "train_sequences": ["T1w"], "embed": {"patch_vox": 8}}
    content: dict[str, Any] = {
        "benchmark": "people",
        "data": {"mine": {"name": "bids", "root": str(tmp_path / "study")}},
        "splits": {"mine": {"train": 5, "validation": 1, "test": 2}},
        "defaults": {"encoder": {"name": "cnn", "features": [4, 8]}},
        "reference_arms": ["random-frozen", "scratch"],
        "tasks": {
            "age": {**task, "task": {"name": "regression", "covariate": "age"}},
            "sex": {**task, "task": {"name": "classification", "covariate": "sex", "classes": ["F", "M"]}},
        },
    }
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def write_table(folder: Path, ages: tuple[str, ...], sexes: tuple[str, ...]) -> None:
    rows = [f"sub-{n}\t{age}\t{sex}" for n, (age, sex) in enumerate(zip(ages, sexes, strict=True), start=1)]
    (folder / "study" / "participants.tsv").write_text("\n".join(["participant_id\tage\tsex", *rows]) + "\n")


def plan(file: Path, registry: Registry, *sets: str) -> Plan:
    resolved = resolve(load_benchmark(file, sets), registry)
    make_missing(resolved, lambda what, done, total: None)
    return plan_all(resolved, registry, open_cohorts(resolved))


def specs(made: Plan, task: str) -> list[AdaptSpec | EvaluateSpec]:
    found = [job.spec for job in made.jobs if f"/{task}/" in job.id]
    return [spec for spec in found if isinstance(spec, AdaptSpec | EvaluateSpec)]


def refusal(file: Path, registry: Registry, *sets: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        plan(file, registry, *sets)
    assert caught.value.hint
    return caught.value


def test_who_lacks_a_covariate_is_left_out_of_that_task(file: Path, registry: Registry) -> None:
    made = plan(file, registry)
    left_out = [note for note in made.notes if "left out" in note]
    assert len(left_out) == 1
    assert left_out[0].startswith("age: of mine 1 of ")
    assert left_out[0].endswith("lack age, and are left out: bids:3")
    people = {
        task: {
            subject
            for spec in specs(made, task)
            for subject in (
                spec.subjects if isinstance(spec, EvaluateSpec) else (*spec.train, *spec.validation)
            )
        }
        for task in ("age", "sex")
    }
    assert people["sex"] - people["age"] == {"bids:3"}
    assert len(people["sex"]) == 8


def test_jobs_are_told_the_covariates_that_they_need_and_no_others(file: Path, registry: Registry) -> None:
    for spec in specs(plan(file, registry), "age"):
        subjects = spec.subjects if isinstance(spec, EvaluateSpec) else (*spec.train, *spec.validation)
        assert set(spec.covariates) == set(subjects)
        assert spec.covariates == {s: {"age": float(AGES[int(s[-1]) - 1])} for s in subjects}
        assert "adapt" in spec.to_json()


def test_a_probe_has_cells_of_frozen_encoders_alone(file: Path, registry: Registry) -> None:
    made = plan(file, registry)
    assert {job.method for job in made.jobs} == {"random-frozen"}
    assert "age: its probe is fitted on frozen encoders, so it has no scratch cells" in made.notes
    trained = ("tasks.age.task.probe=null", "tasks.age.embed=null", "tasks.age.adapt={steps: 2, lr: 0.1}")
    assert {job.method for job in plan(file, registry, *trained).jobs} == {"random-frozen", "scratch"}


def test_references_have_the_encoders_of_methods_where_there_is_no_default(
    file: Path, registry: Registry
) -> None:
    """Each architecture once, the first one under the name of the arm."""
    content = yaml.safe_load(file.read_text())
    del content["defaults"]
    method = yaml.safe_load(METHODS)["m"]
    content["methods"] = {f"m{n}": {**method, "encoder": {"name": "cnn", "features": [n]}} for n in (4, 6)}
    content["reference_arms"] = ["random-frozen"]
    file.write_text(yaml.safe_dump(content))
    made = plan(file, registry)
    random = {job.method: job.spec for job in made.jobs if "random-frozen" in job.id and job.kind == "adapt"}
    features = {name: spec.encoder.options["features"] for name, spec in random.items()}
    assert features == {"random-frozen": [4], "m6": [6]}


def test_fractions_are_drawn_among_those_who_are_there(file: Path, registry: Registry) -> None:
    made = plan(file, registry, "tasks.age.fractions=[0.5, 1.0]")
    adapts = [spec for spec in specs(made, "age") if isinstance(spec, AdaptSpec)]
    half, whole = sorted(adapts, key=lambda spec: len(spec.train))
    assert set(half.train) < set(whole.train)
    assert "bids:3" not in whole.train


WITHOUT_INTERVAL = "so tables show values without one there"


@pytest.mark.parametrize(
    ("of_two", "note"),
    [
        ("FM", f"of whom 1 of class M; an interval wants 10 of each class, {WITHOUT_INTERVAL}"),
        ("FF", "all of class F: a metric that compares targets has no value there"),
    ],
)
def test_test_subjects_that_are_few_or_of_one_class_are_noted(
    file: Path, registry: Registry, of_two: str, note: str
) -> None:
    tested = specs(plan(file, registry), "sex")[-1]
    assert isinstance(tested, EvaluateSpec)
    given = dict(zip(sorted(tested.subjects), of_two, strict=True))
    sexes = tuple(given.get(f"bids:{n}", sex) for n, sex in enumerate(SEXES, start=1))
    write_table(file.parent, AGES, sexes)
    notes = plan(file, registry).notes
    (said,) = [text for text in notes if text.startswith("task sex at bids: 2 test subjects, ")]
    assert said.endswith(note)
    assert f"task age at bids: 2 test subjects; an interval wants 10, {WITHOUT_INTERVAL}" in notes


def test_another_age_is_another_key_of_its_task_alone(file: Path, registry: Registry) -> None:
    before = {job.id: job.key for job in plan(file, registry).jobs}
    write_table(file.parent, ("32", *AGES[1:]), SEXES)
    after = {job.id: job.key for job in plan(file, registry).jobs}
    changed = {name for name in before if before[name] != after[name]}
    assert changed
    assert all("/age/" in name for name in changed)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["tasks.age.task.covariate=iq"],
            "tasks.age.task: nobody is left: of 'mine' all 5 training subjects lack iq",
        ),
        (
            ["tasks.age.task.covariate=sex"],
            "tasks.age.task: subject bids:1: the covariate 'sex' is 'F', expected a number",
        ),
        (
            ["tasks.sex.task.classes=[F, W]"],
            "tasks.sex.task: subject bids:2: the covariate 'sex' is 'M', which no class has",
        ),
        (
            ["tasks.age.embed=null", "tasks.age.adapt={steps: 2, lr: 0.1}"],
            "tasks.age.adapt: this task fits a probe, and nothing is trained by steps",
        ),
        (["tasks.age.task.probe=null"], "tasks.age.embed: this task has no probe, and its head is trained"),
        (
            ["tasks.age.task.metrics=[auroc]"],
            "tasks.age.task.metrics: 'auroc' scores classes, and the task predicts numbers",
        ),
        (
            ["tasks.age.task.metrics=[dice]"],
            "tasks.age.task.metrics: 'dice' is no metric of subjects all at once, as this task is scored",
        ),
        (
            ["reference_arms=[scratch]"],
            "tasks.age: a probe is fitted on frozen encoders, and the file has no arm that keeps one",
        ),
        (
            ["tasks.age.fractions=[0.1]"],
            "training subject at the label fraction 0.1 (seed 0) with one target",
        ),
        (["tasks.age.embed.patch_vox=9"], "tasks.age.embed.patch_vox: expected a multiple of 2"),
        (["tasks.age.adapt={steps: 2, lr: 0.1}"], "tasks.age.embed: not with `adapt`"),
        (["tasks.age.embed=null"], "tasks.age.adapt: required, and not given"),
    ],
)
def test_what_cannot_work_is_refused(file: Path, registry: Registry, sets: list[str], message: str) -> None:
    if "scratch" in sets[0]:  # and a method whose encoder is trained too
        sets = [*sets, f"methods={METHODS}", "arms=[finetune]"]
    assert message in refusal(file, registry, *sets).message


def test_values_that_are_not_available() -> None:
    task = load_registry().get("task", "regression")
    made = task.entry.factory(task.entry.options.model_validate({"covariate": "age", "metrics": []}))
    values: dict[str, dict[str, object]] = {
        "number": {"age": np.float32(30.5)}, "text": {"age": "41"}, "absent": {}, "none": {"age": None},
        "nan": {"age": float("nan")}, "n/a": {"age": " N/A "}, "empty": {"age": ""},
    }  # fmt: skip
    people = [Subject("a", name, "", (), covariates=known) for name, known in values.items()]
    covered = find_covered(made, people)
    assert covered.targets == {"a:number": 30.5, "a:text": 41}
    assert covered.covariates == {"a:number": {"age": 30.5}, "a:text": {"age": "41"}}
    assert set(covered.left_out.values()) == {"lack age"}
    assert len(covered.left_out) == 5


def test_defects_of_training_mean_nothing_to_a_probe(file: Path, registry: Registry) -> None:
    made = plan(file, registry, "defects=[active-dropout, frozen-augmentation]")
    assert specs(made, "age")
    assert {spec.defects for spec in specs(made, "age")} == {()}
