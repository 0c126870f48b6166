"""Why a job has no result although an older one is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mribench.errors import StoreError
from mribench.plan.job import Job, Plan, content_key, key_of_specification
from mribench.plan.stale import UNRECORDED, stale_changes, stale_reasons
from mribench.results import Store
from mribench.results.store import JobStatus, write_status

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
CONTENT = {
    "results": 1,
    "entries": [
        {
            "kind": "views", "name": "blur", "distribution": "mribench", "source": "1" * 64, "options": {},
            "parts": {"inner": {"kind": "metric", "name": "far", "distribution": "other", "source": "2" * 64,
                                "options": {}, "parts": {}}},
        }
    ],
    "data": {"name": "folder", "distribution": "mribench", "source": "3" * 64, "options": {"repair": True}},
    "fingerprints": {"p:1": "a", "p:2": "b"},
}  # fmt: skip


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "results")
    made.open()
    return made


def keep(
    store: Store, key: str, name: str, payload: dict[str, Any], state: Any = "done", **more: Any
) -> None:
    folder = store.prepare(key, {"id": name, "kind": "pretrain", "payload": payload, **more})
    write_status(folder, JobStatus(state))


def reasons(store: Store, payload: dict[str, Any], key: str = "new") -> dict[str, str]:
    return stale_reasons(Plan((Job("a/job", "pretrain", key, payload=payload),), {}), store)


def test_nothing_was_run(store, tmp_path):
    assert reasons(store, PRETRAIN) == {}
    assert stale_reasons(Plan((), {}), Store(tmp_path / "never made")) == {}


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (PRETRAIN, {"views": {"name": "blur", "width": 2}}, "views.width"),
        (PRETRAIN, {"pretrain": {"steps": 11, "lr": 0.1}}, "pretrain.steps"),
        (PRETRAIN, {"profile": "paper", "seed": 1}, "profile, seed"),
        (PRETRAIN, {"train": ("p:1",), "split_digest": "other"}, "train"),
        (PRETRAIN, {"new": 3}, "new"),
        (PRETRAIN, {"views": {"name": "sharp", "width": 2}}, "views"),
        (PRETRAIN, {}, UNRECORDED),
        (ADAPT, {"pretrain": "c" * 32}, "a job that they build on"),
        (ADAPT, {"pretrain": "c" * 32, "adapt": {"steps": 6}}, "adapt.steps, a job that they build on"),
        (ADAPT, {"pretrain": None}, "a job that they build on"),
        (EVALUATE, {"adapt": "d" * 32, "pretrain": "c" * 32}, "a job that they build on"),
        (EVALUATE, {"adapt": "d" * 32, "cell": {"n_train_subjects": 2}}, "a job that they build on"),
        (EVALUATE, {"adapt": None}, "a job that they build on"),
        (EVALUATE, {"subjects": ("p:3", "p:4"), "split_digest": "x"}, "subjects"),
        (EVALUATE, {"cell": {"n_train_subjects": 9}}, "cell.n_train_subjects"),
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


# down to the key


def why(
    store: Store, payload: dict[str, Any], content: dict[str, Any] | None = None, *others: Job
) -> list[str]:
    job = Job("a/job", "pretrain", "new", payload=payload, content=content or {})
    return [change.text for change in stale_changes(Plan((*others, job), {}), store)["a/job"]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"pretrain": {"steps": 10, "lr": 0.05}}, "pretrain.lr 0.1 → 0.05"),
        ({"pretrain": {"steps": 10}}, "pretrain.lr 0.1 → not there"),
        ({"pretrain": {"steps": 10, "lr": None}}, "pretrain.lr 0.1 → null"),
        ({"views": {"name": "sharp"}}, "views blur → sharp"),
        ({"train": ("p:1", "p:3", "p:4", "p:5", "p:6")}, "train: with p:3, p:4, p:5 and 1 more, without p:2"),
        ({"train": ("p:2", "p:1")}, "train: in another order"),
        ({"shape": [1, 2]}, "shape not there → [1, 2]"),
        ({"note": "x" * 99}, f"note not there → {'x' * 59}…"),
    ],
)
def test_values_before_and_after(store, change, text):
    keep(store, "old", "a/job", PRETRAIN)
    assert why(store, PRETRAIN | change) == [text]


def entry(**change: Any) -> dict[str, Any]:
    return CONTENT | {"entries": [CONTENT["entries"][0] | change]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (entry(source="9"), "the source of views 'blur' (distribution mribench)"),
        (entry(distribution="mine"), "the distribution of views 'blur': mribench → mine"),
        (
            entry(parts={"inner": CONTENT["entries"][0]["parts"]["inner"] | {"source": "9"}}),
            "the source of metric 'far' (distribution other)",
        ),
        (CONTENT | {"results": 2}, "the harness: version of its results 1 → 2"),
        (CONTENT | {"fingerprints": {"p:1": "a", "p:2": "x"}}, "files of subject p:2"),
        (CONTENT | {"fingerprints": {"p:1": "y", "p:2": "x"}}, "files of subjects p:1, p:2"),
        (
            CONTENT | {"data": CONTENT["data"] | {"source": "9"}},
            "the source of dataset 'folder' (distribution mribench)",
        ),
        (CONTENT | {"data": CONTENT["data"] | {"options": {"repair": False}}}, "data.repair true → false"),
        (CONTENT | {"data": CONTENT["data"] | {"name": "other"}}, "data folder → other"),
    ],
)  # fmt: skip
def test_what_only_the_content_knows(store, content, text):
    keep(store, "old", "a/job", PRETRAIN, content=CONTENT)
    assert why(store, PRETRAIN, content) == [text]


def test_another_path_to_the_same_files_is_not_the_reason(store):
    keep(store, "old", "a/job", PRETRAIN | {"data": {"name": "folder", "root": "/a"}}, content=CONTENT)
    after = PRETRAIN | {"data": {"name": "folder", "root": "/b"}}
    assert why(store, after, CONTENT | {"results": 2}) == ["the harness: version of its results 1 → 2"]


def test_results_without_content_are_compared_by_their_payload(store):
    keep(store, "old", "a/job", PRETRAIN | {"data": {"name": "folder", "root": "/a"}})
    assert why(store, PRETRAIN | {"data": {"name": "folder", "root": "/b"}}, CONTENT) == ["data.root /a → /b"]


def test_the_job_behind_is_named_with_what_changed_in_it(store):
    keep(store, "a" * 32, "base/pretrain", PRETRAIN, content=CONTENT)
    keep(store, "old", "a/job", ADAPT)
    changed = PRETRAIN | {"pretrain": {"steps": 20, "lr": 0.1}}
    behind = Job("base/pretrain", "pretrain", "c" * 32, payload=changed, content=CONTENT)
    assert why(store, ADAPT | {"pretrain": "c" * 32}, None, behind) == [
        "a job that it builds on: base/pretrain (pretrain.steps 10 → 20)"
    ]


@pytest.mark.parametrize("done_again", [False, True])
def test_the_root_of_a_chain_is_named_once(store, done_again):
    keep(store, "a" * 32, "base/pretrain", PRETRAIN, content=CONTENT)
    keep(store, "b" * 32, "base/adapt", ADAPT)
    keep(store, "old", "a/job", EVALUATE)
    root = Job("base/pretrain", "pretrain", "c" * 32, payload=PRETRAIN, content=CONTENT | {"results": 2})
    middle = Job("base/adapt", "adapt", "d" * 32, payload=ADAPT | {"pretrain": "c" * 32})
    if done_again:
        keep(store, "c" * 32, root.id, dict(root.payload))
        keep(store, "d" * 32, middle.id, dict(middle.payload))
    assert why(store, EVALUATE | {"adapt": "d" * 32, "pretrain": "c" * 32}, None, root, middle) == [
        "a job that it builds on: base/pretrain (the harness: version of its results 1 → 2)"
    ]


def test_a_job_behind_whose_specification_is_gone_is_still_named(store):
    keep(store, "old", "a/job", ADAPT)
    behind = Job("base/pretrain", "pretrain", "c" * 32, payload=PRETRAIN)
    assert why(store, ADAPT | {"pretrain": "c" * 32}, None, behind) == [
        "a job that it builds on: base/pretrain"
    ]


def test_the_newest_of_several_older_results_is_compared(store):
    for key, steps, written in (("x", 5, "2026-01-02"), ("y", 7, "2026-01-03"), ("z", 9, "2026-01-01")):
        keep(store, key, "a/job", PRETRAIN | {"pretrain": {"steps": steps, "lr": 0.1}})
        path = store.directory(key) / "status.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"written": written}))
    assert why(store, PRETRAIN) == ["pretrain.steps 7 → 10"]


def test_the_key_can_be_computed_from_the_file(store):
    payload = PRETRAIN | {"data": {"name": "folder", "root": "/somewhere"}}
    without_paths = {name: value for name, value in payload.items() if name != "data"}
    key = content_key("pretrain", {"payload": without_paths, **CONTENT})
    keep(store, key, "a/job", payload, content=CONTENT)
    said = json.loads((store.directory(key) / "job.json").read_text())
    assert key_of_specification(said) == key
    assert key_of_specification(said | {"payload": payload | {"seed": 5}}) != key
    assert key_of_specification(said | {"content": CONTENT | {"results": 2}}) != key
    assert key_of_specification({"kind": "pretrain", "payload": payload}) is None
