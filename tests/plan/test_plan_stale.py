"""Why a job has no result although an older one is there."""

from __future__ import annotations

from typing import Any

import pytest

from mribench.errors import StoreError
from mribench.plan.job import Job, Plan
from mribench.plan.stale import stale_reasons
from mribench.store import Store
from mribench.store.store import JobStatus, write_status

PRETRAIN = {
    "profile": "corrected",
    "train": ("p:1", "p:2"),
    "views": {"name": "blur", "width": 1},
    "pretrain": {"steps": 10, "lr": 0.1},
    "seed": 0,
    "split_digest": "abc",
}
ADAPT = {"train": ("p:1",), "adapt": {"steps": 5}, "pretrain": "a" * 32, "seed": 0, "split_digest": "def"}
EVALUATE = {
    "subjects": ("p:3",), "adapt": "b" * 32, "pretrain": "a" * 32, "adapt_options": {"steps": 5},
    "cell": {"n_train_subjects": 1}, "split_digest": "ghi",
}  # fmt: skip
OTHER = "the source of a plugin, the files, or the harness"


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "results")
    made.open()
    return made


def keep(store: Store, key: str, name: str, payload: dict[str, Any], state: Any = "done") -> None:
    folder = store.prepare(key, {"id": name, "kind": "pretrain", "payload": payload})
    write_status(folder, JobStatus(state))


def reasons(store: Store, payload: dict[str, Any], key: str = "new") -> dict[str, str]:
    return stale_reasons(Plan((Job("a/job", "pretrain", key, payload=payload),), {}), store)


def test_nothing_was_run(store, tmp_path):
    assert reasons(store, PRETRAIN) == {}
    assert stale_reasons(Plan((), {}), Store(tmp_path / "never made")) == {}


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (PRETRAIN, {"views": {"name": "blur", "width": 2}}, "views"),
        (PRETRAIN, {"pretrain": {"steps": 11, "lr": 0.1}}, "pretrain"),
        (PRETRAIN, {"profile": "paper", "seed": 1}, "profile, seed"),
        (PRETRAIN, {"train": ("p:1",), "split_digest": "other"}, "train"),
        (PRETRAIN, {"new": 3}, "new"),
        (PRETRAIN, {}, OTHER),
        (ADAPT, {"pretrain": "c" * 32}, "a job that they build on"),
        (ADAPT, {"pretrain": "c" * 32, "adapt": {"steps": 6}}, "adapt"),
        (ADAPT, {"pretrain": None}, "a job that they build on"),
        (EVALUATE, {"adapt": "d" * 32, "pretrain": "c" * 32}, "a job that they build on"),
        (EVALUATE, {"adapt": "d" * 32, "cell": {"n_train_subjects": 2}}, "a job that they build on"),
        (EVALUATE, {"subjects": ("p:3", "p:4"), "split_digest": "x"}, "subjects"),
        (EVALUATE, {"cell": {"n_train_subjects": 9}}, "cell"),
    ],
)
def test_what_differs_is_told_in_the_words_of_the_file(store, before, change, reason):
    keep(store, "old", "a/job", before)
    assert reasons(store, before | change) == {"a/job": reason}


def test_a_removed_option_is_a_difference(store):
    keep(store, "old", "a/job", PRETRAIN | {"gone": 1})
    assert reasons(store, PRETRAIN) == {"a/job": "gone"}


def test_a_job_that_is_done_is_not_stale(store):
    keep(store, "old", "a/job", PRETRAIN)
    keep(store, "new", "a/job", PRETRAIN | {"seed": 1})
    assert reasons(store, PRETRAIN | {"seed": 1}) == {}


def test_the_wanted_job_itself_is_not_an_older_one(store):
    keep(store, "new", "a/job", PRETRAIN, "failed")
    assert reasons(store, PRETRAIN) == {}


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_only_results_can_be_stale(store, state):
    keep(store, "old", "a/job", PRETRAIN, state)
    assert reasons(store, PRETRAIN | {"seed": 1}) == {}


def test_other_names_and_stray_files_are_left_alone(store):
    keep(store, "old", "another/job", PRETRAIN)
    (store.root / "jobs" / "notes.txt").write_text("mine")
    (store.root / "jobs" / "empty").mkdir()
    assert reasons(store, PRETRAIN | {"seed": 1}) == {}


def test_jobs_that_wait_for_data_are_left_out(store):
    keep(store, "old", "a/job", PRETRAIN)
    plan = Plan((Job("a/job", "pretrain", None, waiting_for=("x",)),), {"x": "missing"})
    assert stale_reasons(plan, store) == {}


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"id": "a/job"}', '{"id": "a/job", "payload": 3}'])
def test_a_damaged_specification_is_named(store, text):
    keep(store, "old", "a/job", PRETRAIN)
    path = store.directory("old") / "job.json"
    path.write_text(text)
    with pytest.raises(StoreError, match="is not the specification of a job") as caught:
        reasons(store, PRETRAIN)
    assert caught.value.message.startswith(str(path))
    assert "delete its folder" in caught.value.hint
