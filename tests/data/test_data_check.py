"""Counting what cohorts have and lack, on datasets made by hand."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from mribench.data.check import Reason, SplitCounts, check_cohort, group_reasons
from mribench.data.uses import Use
from mribench.errors import DataError
from mribench.interfaces import Dataset, Exclusion, Scan, ScanValues, Split, SplitRule, Subject
from mribench.interfaces.channels import Channels
from mribench.volumes import Volume, write_volume

T1W, T2W, FLAIR = (Channels((name,)) for name in ("T1w", "T2w", "FLAIR"))


class Made(Dataset):
    """Three people at two sites."""

    licence = "CC0"
    source = "https://example.org"
    archives = MappingProxyType({"a.tar": "0" * 32})

    def __init__(self, folder: Path, gone: str = "", values: dict[str, ScanValues] | None = None) -> None:
        self.folder = folder
        self.gone = gone
        self.values = values or {}
        self.error: DataError | None = None

    def missing(self) -> str:
        return self.gone

    def where(self) -> str:
        return str(self.folder)

    def subjects(self) -> list[Subject]:
        if self.error:
            raise self.error

        def scan(name: str, sequence: str, session: str = "", label: bool = False) -> Scan:
            path = self.folder / f"{name}_{session}_{sequence}.nii"
            labels = {"tissue": (self.folder / "label.nii",)} if label else {}
            return Scan(sequence, {"image": path}, session, labels)

        of_a = (scan("a", "T1w", "1", True), scan("a", "T1w", "2"), scan("a", "T2w", "1"))
        return [
            Subject("m", "a", "one", of_a, covariates={"age": 3, "sex": "f"}),
            Subject("m", "b", "one", (scan("b", "T1w"),), covariates={"sex": "m"}),
            Subject("m", "c", "two", (scan("c", "T2w"),)),
        ]

    def excluded(self) -> list[Exclusion]:
        return [
            Exclusion("d", "d.nii is odd", "odd"),
            Exclusion("e", "e.nii is odd", "odd"),
            Exclusion("d", "d2.nii is odd", "odd"),
            Exclusion("f", "is somebody else"),
        ]

    def ignored(self) -> dict[str, int]:
        return {"*_MTR": 2}

    def check_values(self, scan: Scan) -> ScanValues:
        return self.values.get(scan.images["image"].name, ScanValues())


class Rule(SplitRule):
    def split(self, subjects):
        ids = [subject.id for subject in subjects]
        return Split((ids[0],), (ids[1],), {"two": (ids[2],)})


class Impossible(SplitRule):
    def split(self, subjects):
        raise DataError("split: 9 train subjects, but there are 3", "lower the counts")


@pytest.fixture
def made(tmp_path) -> Made:
    dataset = Made(tmp_path)
    for seed, scan in enumerate(scan for subject in dataset.subjects() for scan in subject.scans):
        data = np.random.default_rng(seed).random((4, 5, 6))
        write_volume(scan.images["image"], Volume(data, np.eye(4)))
    write_volume(tmp_path / "label.nii", Volume(np.ones((4, 5, 6)), np.eye(4)))
    return dataset


def test_groups_are_by_site_and_sequence(made):
    check = check_cohort("x", made, read=False)
    rows = [(g.site, g.sequence, g.subjects, g.scans, g.sessions, dict(g.labelled)) for g in check.groups]
    assert rows == [
        ("one", "T1w", 2, 3, 3, {"tissue": 1}),
        ("one", "T2w", 1, 1, 1, {}),
        ("two", "T2w", 1, 1, 1, {}),
    ]
    assert (check.subjects, check.scans) == (3, 5)
    assert check.covariates == {"sex": 2, "age": 1}


def test_who_lacks_a_sequence_is_named_even_if_all_do(made):
    lacking = {
        reason.kind: reason.names
        for reason in check_cohort("x", made, uses=[Use("t", None, (FLAIR,), ())], read=False).lacking
    }
    assert lacking == {"T1w": ("c",), "T2w": ("b",), "FLAIR": ("a", "b", "c")}


def test_reasons_are_grouped_and_counted():
    entries = Made(Path()).excluded()
    assert group_reasons(entries) == (
        Reason("odd", 3, ("d", "e"), ("d.nii is odd", "e.nii is odd", "d2.nii is odd")),
        Reason("is somebody else", 1, ("f",), ("is somebody else",)),
    )
    assert group_reasons([]) == ()


def test_what_is_left_out_is_told(made):
    check = check_cohort("x", made, read=False)
    assert sum(reason.count for reason in check.excluded) == 4
    assert check.ignored == {"*_MTR": 2}
    assert check.remarks == ()


def test_a_missing_cohort_says_where_to_get_it(tmp_path):
    check = check_cohort("x", Made(tmp_path, gone="it is not there"), rule=Impossible())
    assert not check.usable
    assert (check.missing, check.licence, check.source) == ("it is not there", "CC0", "https://example.org")
    assert check.archives == {"a.tar": "0" * 32}
    assert check.split is None
    assert check.groups == ()


def test_a_cohort_that_cannot_be_listed_is_a_problem_and_no_crash(made):
    made.error = DataError("table.csv is broken")
    check = check_cohort("x", made)
    assert check.problems == ("table.csv is broken",)
    assert not check.usable
    made.error = DataError("there is nothing", "look elsewhere")
    assert check_cohort("x", made).problems == ("there is nothing (look elsewhere)",)


@pytest.mark.parametrize(
    ("use", "problems"),
    [
        (Use("t", None, (T1W,), (T2W,)), []),
        (Use("t", "tissue", (T1W, T2W), ()), []),  # the label is the session's: any scan of the person
        (Use("t", None, (FLAIR,), ()), ["none of the 1 training subjects of 'x' has a FLAIR scan, which"]),
        (
            Use("t", "tissue", (T1W,), (T2W,)),
            ["none of the 1 test subjects of 'x' has a T2w scan with a 'tissue' label, which task 't' needs"],
        ),
        (Use("t", "lesion", (T1W,), ()), ["training subjects of 'x' has a T1w scan with a 'lesion' label"]),
    ],
)
def test_what_tasks_need_must_be_there(made, use, problems):
    check = check_cohort("x", made, rule=Rule(), uses=[use], read=False)
    assert check.usable == (not problems)
    assert len(check.problems) == len(problems)
    assert all(part in text for part, text in zip(problems, check.problems, strict=True))


def test_a_cohort_that_would_be_made_of_bad_files_names_them(tmp_path):
    class OfFiles(Made):
        bad = ("a.nii is empty",)

        def check_sources(self, progress=None):
            progress(1, 1)
            return self.bad

    told = []
    dataset = OfFiles(tmp_path, gone="not made yet; `mribench run` makes it")
    check = check_cohort("x", dataset, progress=lambda *what: told.append(what[1:]))
    assert check.problems == ("a.nii is empty",)
    assert "makes it" not in check.missing
    assert not check.usable
    assert told == [(1, 1)]
    assert "makes it" in check_cohort("x", dataset, read=False).missing
    dataset.bad = ()
    assert check_cohort("x", dataset).missing == dataset.gone


def test_a_dataset_that_cannot_say_what_is_missing_is_a_problem(tmp_path):
    class Twice(Made):
        def missing(self):
            raise DataError("two maps are named 'a'", "keep one")

    assert check_cohort("x", Twice(tmp_path)).problems == ("two maps are named 'a' (keep one)",)


def test_every_bad_file_is_listed_not_the_first_only(made, tmp_path):
    assert check_cohort("x", made).problems == ()
    (tmp_path / "b__T1w.nii").write_bytes(b"")
    (tmp_path / "a_2_T1w.nii").unlink()
    (tmp_path / "a_1_T2w.nii").write_bytes(b"not an image")
    check = check_cohort("x", made)
    assert len(check.problems) == 3
    assert ["b__T1w" in check.problems[-1], "a_1_T2w" in "".join(check.problems[:2])] == [True, True]
    assert not check.usable
    assert check_cohort("x", made, read=False).usable


def test_values_that_cannot_be_used_and_voxels_that_were_mended(tmp_path, made):
    made.values = {
        "a_1_T1w.nii": ScanValues(voxels=120, clipped_vox={"R1": 3}, repaired_vox={"R1": 2, "PD": 1}),
        "b__T1w.nii": ScanValues(voxels=120, clipped_vox={"R1": 4}),
        "c__T2w.nii": ScanValues("c__T2w.nii looks like T1 in ms"),
    }
    check = check_cohort("x", made)
    assert check.problems == ("c__T2w.nii looks like T1 in ms",)
    changes = {c.name: (c.scans, c.clipped_vox, c.repaired_vox, c.voxels) for c in check.changes}
    assert changes == {"R1": (2, 7, 2, 240), "PD": (1, 0, 1, 240)}
    assert check_cohort("x", made, read=False).changes == ()


def test_the_split_is_counted_by_site(made):
    check = check_cohort("x", made, rule=Rule(), read=False)
    assert check.split == SplitCounts({"one": 1}, {"one": 1}, {"two": 1})
    assert check.usable


def test_a_split_that_cannot_be_made_says_why(made):
    check = check_cohort("x", made, rule=Impossible(), read=False)
    assert check.split is not None
    assert check.split.problem == "9 train subjects, but there are 3 (lower the counts)"
    assert not check.usable


def test_reading_tells_how_far_it_is(made):
    told = []
    check_cohort("x", made, progress=lambda *what: told.append(what))
    assert told == [("reading x", 1, 3), ("reading x", 2, 3), ("reading x", 3, 3)]
