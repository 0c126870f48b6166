"""Which label is that of a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from mribench_tasks.people import Regression, RegressionOptions

from mribench.data import remarks
from mribench.data.uses import Use, find_label_owner, find_unmet_needs, select_scans
from mribench.interfaces import Scan, ScanValues, Subject
from mribench.interfaces.channels import Channels
from mribench.interfaces.split import Split

T1W, T2W, PDW = (Channels((name,)) for name in ("T1w", "T2w", "PDw"))
LABEL = {"tissue": (Path("c1.nii"),)}
FIRST_T1 = Scan("T1w", {"image": Path("a.nii")}, "1", LABEL)
FIRST_T2 = Scan("T2w", {"image": Path("b.nii")}, "1")
LATER_T2 = Scan("T2w", {"image": Path("c.nii")}, "2")
LATER_PD = Scan("PDw", {"image": Path("d.nii")}, "2")
PERSON = Subject("x", "p", "here", (FIRST_T1, FIRST_T2, LATER_T2, LATER_PD))


@pytest.mark.parametrize(
    ("scan", "owner"),
    [(FIRST_T1, FIRST_T1), (FIRST_T2, FIRST_T1), (LATER_T2, None), (LATER_PD, None)],
    ids=["own", "of the session", "of another session", "of another session too"],
)
def test_a_label_of_another_session_is_no_label(scan, owner):
    assert find_label_owner(PERSON, scan, "tissue") is owner


def test_scans_without_a_label_are_none_of_a_task_with_one():
    assert select_scans(PERSON, "T2w", "tissue") == [FIRST_T2]
    assert select_scans(PERSON, "T2w", None) == [FIRST_T2, LATER_T2]
    assert select_scans(PERSON, "PDw", "tissue") == []


def test_a_scan_whose_session_has_no_label_is_remarked(monkeypatch):
    monkeypatch.setattr(remarks, "inspect_values", lambda *_: ScanValues())
    monkeypatch.setattr(remarks, "find_grid_remarks", lambda *_: {})
    assert remarks.scan_remarks(None, PERSON, FIRST_T2, "") == []
    (remark,) = remarks.scan_remarks(None, PERSON, LATER_T2, "")
    assert remark.reason.startswith(
        "c.nii: session '2' has no 'tissue' label; that of session '1' is not used for it"
    )


def test_a_sequence_that_only_sessions_without_label_have_is_unmet():
    split = Split(("x:p",), (), {"here": ("x:p",)})
    sentences = list(find_unmet_needs("c", Use("t", "tissue", (T1W, T2W), (PDW,)), split, [PERSON]))
    assert sentences == [
        "none of the 1 test subjects of 'c' has a PDw scan with a 'tissue' label, which task 't' needs"
    ]
    assert list(find_unmet_needs("c", Use("t", None, (PDW,), (PDW,)), split, [PERSON])) == []


@pytest.mark.parametrize(
    ("ages", "sentences"),
    [
        (("40", "50"), []),
        ((None, "50"), ["task 'age': all training subjects of 'c' lack age"]),
        (("40", "old"), ["task 'age': subject x:b: the covariate 'age' is 'old', expected a number"]),
    ],
)
def test_covariates_that_a_task_needs(ages, sentences):
    options = RegressionOptions(covariate="age", metrics=[])
    people = [
        Subject("x", name, "here", (FIRST_T1,), covariates={} if age is None else {"age": age})
        for name, age in zip("ab", ages, strict=True)
    ]
    use = Use("age", None, (T1W,), (T1W,), Regression(options))
    split = Split(("x:a",), (), {"here": ("x:b",)})
    assert list(find_unmet_needs("c", use, split, people)) == sentences
