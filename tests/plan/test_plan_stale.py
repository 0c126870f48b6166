"""Why a job has no result although an older one is there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from specifications import (
    adapt_spec,
    content,
    entry,
    evaluate_cell,
    evaluate_spec,
    keep as keep_file,
    pretrain_spec,
    trained_cohort,
)

from mribench.interfaces.options import DatasetRef, ViewsRef
from mribench.plan.job import Job, Plan
from mribench.plan.stale import UNRECORDED, stale_changes
from mribench.results import Store
from mribench.results.content import Content, DataIdentity
from mribench.results.keys import key_of
from mribench.results.specification import JobSpec, read_specification
from mribench.results.status import JobStatus, write_status

PRETRAIN, ADAPT, EVALUATE = pretrain_spec(), adapt_spec(), evaluate_spec()
CONTENT = content()
DATA = CONTENT.cohorts[0].data


def blur(width: int) -> ViewsRef:
    return ViewsRef.model_validate({"name": "blur", "width": width})


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "results")
    made.open()
    return made


def keep(
    store: Store, key: str, name: str, spec: JobSpec, state: Any = "done", made_of: Content = CONTENT
) -> None:
    folder = store.make_directory(key)
    keep_file(folder, spec, name, made_of)
    write_status(folder, JobStatus(state))


def job_of(name: str, key: str, spec: JobSpec, made_of: Content = CONTENT) -> Job:
    return Job(id=name, key=key, spec=spec, content=made_of)


def reasons(store: Store, spec: JobSpec) -> dict[str, str]:
    changes = stale_changes(Plan((job_of("a/job", "new", spec),), {}), store)
    return {name: ", ".join(dict.fromkeys(change.what for change in why)) for name, why in changes.items()}


def test_nothing_was_run(store, tmp_path):
    assert reasons(store, PRETRAIN) == {}
    assert stale_changes(Plan((), {}), Store(tmp_path / "never made")) == {}


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (PRETRAIN, {"views": blur(2)}, "views.width"),
        (PRETRAIN, {"pretrain": {"steps": 11, "lr": 0.1}}, "pretrain.steps"),
        (PRETRAIN, {"profile": "paper", "seed": 1}, "profile, seed"),
        (
            PRETRAIN,
            {"sources": (trained_cohort(train=("p:1",)),), "split_digest": "other"},
            "sources.train",
        ),
        (PRETRAIN, {"defects": ("new",)}, "defects"),
        (PRETRAIN, {"views": ViewsRef.model_validate({"name": "sharp", "width": 2})}, "views"),
        (PRETRAIN, {}, UNRECORDED),
        (ADAPT, {"pretrain_key": "c" * 32}, "a job that they build on"),
        (ADAPT, {"pretrain_key": "c" * 32, "adapt": {"steps": 6}}, "adapt.steps, a job that they build on"),
        (ADAPT, {"pretrain_key": None}, "a job that they build on"),
        (EVALUATE, {"adapt_key": "d" * 32, "pretrain_key": "c" * 32}, "a job that they build on"),
        (
            EVALUATE,
            {"adapt_key": "d" * 32, "cell": evaluate_cell(n_train_subjects=2)},
            "a job that they build on",
        ),
        (EVALUATE, {"adapt_key": None}, "a job that they build on"),
        (EVALUATE, {"subjects": ("p:3", "p:4"), "split_digest": "x"}, "subjects"),
        (EVALUATE, {"cell": evaluate_cell(n_train_subjects=9)}, "cell.n_train_subjects"),
    ],
)
def test_what_differs_is_told_in_the_words_of_the_file(store, before, change, reason):
    keep(store, "old", "a/job", before)
    assert reasons(store, replace(before, **change)) == {"a/job": reason}


def test_a_removed_option_is_a_difference(store):
    keep(store, "old", "a/job", replace(PRETRAIN, pretrain={**PRETRAIN.pretrain, "gone": 1}))
    assert reasons(store, PRETRAIN) == {"a/job": "pretrain.gone"}


def test_a_job_that_is_done_is_not_stale(store):
    keep(store, "old", "a/job", PRETRAIN)
    keep(store, "new", "a/job", replace(PRETRAIN, seed=1))
    assert reasons(store, replace(PRETRAIN, seed=1)) == {}


def test_the_wanted_job_itself_is_not_an_older_one(store):
    keep(store, "new", "a/job", PRETRAIN, "failed")
    assert reasons(store, PRETRAIN) == {}


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_only_results_can_be_stale(store, state):
    keep(store, "old", "a/job", PRETRAIN, state)
    assert reasons(store, replace(PRETRAIN, seed=1)) == {}


def test_other_names_and_stray_files_are_left_alone(store):
    keep(store, "old", "another/job", PRETRAIN)
    (store.root / "jobs" / "notes.txt").write_text("mine")
    (store.root / "jobs" / "empty").mkdir()
    assert reasons(store, replace(PRETRAIN, seed=1)) == {}


def test_jobs_that_wait_for_data_are_left_out(store):
    keep(store, "old", "a/job", PRETRAIN)
    plan = Plan((Job(id="a/job", key=None, spec=PRETRAIN, waiting_for=("x",)),), {"x": "missing"})
    assert stale_changes(plan, store) == {}


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"id": "a/job"}', '{"id": "a/job", "payload": 3}'])
def test_a_damaged_specification_is_named(store, caplog, text):
    keep(store, "old", "a/job", PRETRAIN)
    path = store.directory("old") / "job.json"
    path.write_text(text)
    assert reasons(store, PRETRAIN) == {}
    assert f"damaged: {path} is not the specification of a job" in caplog.text


# down to the key


def why(store: Store, spec: JobSpec, made_of: Content = CONTENT, *others: Job) -> list[str]:
    job = job_of("a/job", "new", spec, made_of)
    return [change.text for change in stale_changes(Plan((*others, job), {}), store)["a/job"]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"pretrain": {"steps": 10, "lr": 0.05}}, "pretrain.lr 0.1 → 0.05"),
        ({"pretrain": {"steps": 10}}, "pretrain.lr 0.1 → not there"),
        ({"pretrain": {"steps": 10, "lr": None}}, "pretrain.lr 0.1 → null"),
        ({"views": ViewsRef(name="sharp")}, "views blur → sharp"),
        (
            {"sources": (trained_cohort(train=("p:1", "p:3", "p:4", "p:5", "p:6")),)},
            "sources.train: with p:3, p:4, p:5 and 1 more, without p:2",
        ),
        ({"sources": (trained_cohort(train=("p:2", "p:1")),)}, "sources.train: in another order"),
        ({"sources": (trained_cohort(share=0.5),)}, "sources.share 1.0 → 0.5"),
        (
            {"pretrain": {**PRETRAIN.pretrain, "shape": [1, 2]}},
            "pretrain.shape not there → [1, 2]",
        ),
        (
            {"pretrain": {**PRETRAIN.pretrain, "note": "x" * 99}},
            f"pretrain.note not there → {'x' * 59}…",
        ),
    ],
)
def test_values_before_and_after(store, change, text):
    keep(store, "old", "a/job", PRETRAIN)
    assert why(store, replace(PRETRAIN, **change)) == [text]


def content_with(**change: Any) -> Content:
    return content(entries=(entry(**change),))


@pytest.mark.parametrize(
    ("made_of", "text"),
    [
        (content_with(source="9"), "the source of views 'blur' (distribution mribench)"),
        (content_with(distribution="mine"), "the distribution of views 'blur': mribench → mine"),
        (
            content_with(parts={"inner": replace(entry().parts["inner"], source="9")}),
            "the source of metric 'far' (distribution other)",
        ),
        (content(results=2), "the harness: version of its results 1 → 2"),
        (content(fingerprints={"p:1": "a", "p:2": "x"}), "files of subject p:2"),
        (content(fingerprints={"p:1": "y", "p:2": "x"}), "files of subjects p:1, p:2"),
        (
            content(data=replace(DATA, source="9")),
            "the source of dataset 'folder' (distribution mribench)",
        ),
        (content(data=replace(DATA, options={"repair": False})), "data.repair true → false"),
        (content(data=DataIdentity("other", "mribench", "")), "data folder → other"),
    ],
)
def test_what_only_the_content_knows(store, made_of, text):
    keep(store, "old", "a/job", PRETRAIN)
    assert why(store, PRETRAIN, made_of) == [text]


def at(root: str) -> JobSpec:
    data = DatasetRef.model_validate({"name": "folder", "root": root})
    return replace(PRETRAIN, sources=(trained_cohort(data=data),))


def test_another_path_to_the_same_files_is_not_the_reason(store):
    keep(store, "old", "a/job", at("/a"))
    assert why(store, at("/b"), content(results=2)) == ["the harness: version of its results 1 → 2"]


def test_the_job_behind_is_named_with_what_changed_in_it(store):
    keep(store, "a" * 32, "base/pretrain", PRETRAIN)
    keep(store, "old", "a/job", ADAPT)
    behind = job_of("base/pretrain", "c" * 32, replace(PRETRAIN, pretrain={"steps": 20, "lr": 0.1}))
    assert why(store, replace(ADAPT, pretrain_key="c" * 32), CONTENT, behind) == [
        "a job that it builds on: base/pretrain (pretrain.steps 10 → 20)"
    ]


@pytest.mark.parametrize("done_again", [False, True])
def test_the_root_of_a_chain_is_named_once(store, done_again):
    keep(store, "a" * 32, "base/pretrain", PRETRAIN)
    keep(store, "b" * 32, "base/adapt", ADAPT)
    keep(store, "old", "a/job", EVALUATE)
    root = job_of("base/pretrain", "c" * 32, PRETRAIN, content(results=2))
    middle = job_of("base/adapt", "d" * 32, replace(ADAPT, pretrain_key="c" * 32))
    if done_again:
        keep(store, "c" * 32, root.id, root.spec)
        keep(store, "d" * 32, middle.id, middle.spec)
    wanted = replace(EVALUATE, adapt_key="d" * 32, pretrain_key="c" * 32)
    assert why(store, wanted, CONTENT, root, middle) == [
        "a job that it builds on: base/pretrain (the harness: version of its results 1 → 2)"
    ]


def test_a_job_behind_whose_specification_is_gone_is_still_named(store):
    keep(store, "old", "a/job", ADAPT)
    behind = job_of("base/pretrain", "c" * 32, PRETRAIN)
    assert why(store, replace(ADAPT, pretrain_key="c" * 32), CONTENT, behind) == [
        "a job that it builds on: base/pretrain"
    ]


def test_the_newest_of_several_older_results_is_compared(store):
    for key, steps, written in (("x", 5, "2026-01-02"), ("y", 7, "2026-01-03"), ("z", 9, "2026-01-01")):
        keep(store, key, "a/job", replace(PRETRAIN, pretrain={"steps": steps, "lr": 0.1}))
        path = store.directory(key) / "status.json"
        content = json.loads(path.read_text()) | {"written": written}
        del content["seal"]
        path.write_text(json.dumps(content))
    assert why(store, PRETRAIN) == ["pretrain.steps 7 → 10"]


def test_the_key_can_be_computed_from_the_file(store):
    key = key_of(PRETRAIN, CONTENT)
    renamed = replace(PRETRAIN, sources=(trained_cohort(cohort="x"),))
    assert key == key_of(at("/somewhere"), CONTENT) == key_of(renamed, CONTENT)
    keep(store, key, "a/job", at("/somewhere"))
    said = read_specification(store.directory(key))
    assert key_of(said.spec, said.content) == key
    assert key_of(replace(PRETRAIN, seed=5), CONTENT) != key
    assert key_of(PRETRAIN, content(results=2)) != key
