"""Keys that are made together are those that the definition gives for each job alone."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter
from specifications import adapt_spec, evaluate_spec, pretrain_spec

from mribench.digests import digest_of
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.input_file import by_content
from mribench.results.content import CohortContent, Content, DataIdentity, EntryIdentity
from mribench.results.keys import KeyMaker, key_of
from mribench.results.specification import JobSpec
from mribench.results.status import SCHEMA

FILE = {"path": "/somewhere/weights.pt", "sha256": "ab" * 32}
ENTRY = EntryIdentity("encoder", "cnn", "mribench", "digest", options={"dropout": 0.1})
TASK = EntryIdentity("task", "tissue", "mribench", "digest", parts={"decoder": ENTRY})
COHORT = CohortContent(DataIdentity("ixi", "mribench", "digest"), {"a": "1", "b": "ü"})
CONTENTS = [
    Content(results=3, entries=(), cohorts=()),
    Content(results=3, entries=(TASK, ENTRY), cohorts=(COHORT, COHORT)),
]
SPECS: list[JobSpec] = [
    pretrain_spec(),
    pretrain_spec(defects=("a", "b"), pretrain={"steps": 5, "lr": 1e-3, "betas": [0.9, 0.95]}),
    adapt_spec(pretrain_key=None),
    adapt_spec(pretrain_key="p", weights={"file": FILE, "at": None}, covariates={"a": {"age": 30.5}}),
    adapt_spec(pretrain_key="p", trial_keys=("a", "b"), is_trial=True),
    adapt_spec(pretrain_key="p", input=InputContract()),
    evaluate_spec(pretrain_key="p", adapt_key="a"),
    evaluate_spec(pretrain_key=None, adapt_key=None, defects=("a",)),
]


@pytest.mark.parametrize("content", CONTENTS)
def test_keys_are_as_defined(content: Content) -> None:
    maker = KeyMaker()
    dumped = TypeAdapter(Content).dump_python(content, mode="json")
    for spec in [*SPECS, *SPECS]:
        parts = {"asked": by_content(spec.asked()), "content": dumped}
        expected = digest_of({"schema": SCHEMA, "kind": spec.kind, **parts}, length=32)
        assert maker.make(spec, content) == key_of(spec, content) == expected


def test_what_differs_has_another_key() -> None:
    maker = KeyMaker()
    keys = {maker.make(spec, content) for spec in SPECS[:5] + SPECS[6:] for content in CONTENTS}
    assert len(keys) == 2 * (len(SPECS) - 1)
