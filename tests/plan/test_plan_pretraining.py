"""Pretraining on several cohorts: whom, with which shares, and what is refused."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import pytest

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError, LeakageError
from mribench.plan import Plan, build_plan, make_missing, open_cohorts
from mribench.plan.feasibility import check_feasible
from mribench.plan.leakage import check_leakage
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results.specification import PretrainSpec

MORE = (
    "data.more={name: phantom, layout: ixi, sites: {Guys: 6}, spacing_mm: 8, seed: 7}",
    "splits.more={train: 4, validation: 2, test: 0}",
)
REAL = ("methods.seqinv.views=augment",)
BOTH = "defaults.pretrain.data=[{cohort: ixi, sequences: [T1w]}, {cohort: more}]"


@functools.cache
def registry() -> Registry:
    return load_registry()


def plan(repository: Path, *sets: str) -> Plan:
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    resolved = resolve(load_benchmark(file, sets), registry())
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    check_feasible(resolved, cohorts)
    check_leakage(resolved, cohorts)
    return build_plan(resolved, cohorts)


def pretrain(made: Plan) -> PretrainSpec:
    (spec,) = [job.spec for job in made.jobs if isinstance(job.spec, PretrainSpec)]
    return spec


def shares(made: Plan) -> list[float]:
    return [source.share for source in pretrain(made).sources]


def key(made: Plan) -> str | None:
    (found,) = [job.key for job in made.jobs if isinstance(job.spec, PretrainSpec)]
    return found


def refused(repository: Path, *sets: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        plan(repository, *sets)
    return caught.value


def test_a_name_is_a_list_of_one_cohort(repository: Path) -> None:
    alone = plan(repository)
    assert shares(alone) == [1.0]
    assert key(alone) == key(plan(repository, "defaults.pretrain.data=[{cohort: qmri}]"))
    assert key(alone) == key(plan(repository, "defaults.pretrain.data=[{cohort: qmri, share: 3}]"))
    other = plan(repository, "defaults.pretrain.min_foreground=0.25")
    assert key(alone) != key(other)


def test_shares_are_the_numbers_of_subjects_unless_given(repository: Path) -> None:
    """Two of the people are trained on in one cohort, and four in the other."""
    made = plan(repository, *MORE, *REAL, BOTH)
    first, second = pretrain(made).sources
    assert (len(first.train), len(second.train)) == (2, 4)
    assert shares(made) == [pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert (first.sequences, second.sequences) == (("T1w",), None)
    given = "defaults.pretrain.data=[{cohort: ixi, share: 3.0}, {cohort: more, share: 1.0}]"
    assert shares(plan(repository, *MORE, *REAL, given)) == [0.75, 0.25]


def test_every_cohort_is_in_the_key(repository: Path) -> None:
    made = plan(repository, *MORE, *REAL, BOTH)
    (job,) = [job for job in made.jobs if isinstance(job.spec, PretrainSpec)]
    assert job.content is not None
    people = [set(cohort.fingerprints) for cohort in job.content.cohorts]
    sources = pretrain(made).sources
    assert people == [{*source.train, *source.held_out} for source in sources]
    renamed = [text.replace("more", "others") for text in (*MORE, BOTH)]
    assert key(plan(repository, *renamed, *REAL)) == job.key, "what a file calls a cohort is no part of it"
    fewer = "splits.more={train: 3, validation: 2, test: 0}"
    assert key(plan(repository, MORE[0], fewer, *REAL, BOTH)) != job.key


def test_pretraining_waits_for_any_cohort_that_is_missing(repository: Path, tmp_path: Path) -> None:
    missing = f"data.more={{name: ixi, root: '{tmp_path / 'nowhere'}'}}"
    made = plan(repository, missing, MORE[1], *REAL, BOTH)
    (job,) = [job for job in made.jobs if isinstance(job.spec, PretrainSpec)]
    assert job.key is None
    assert job.waiting_for == ("more",)


def test_people_of_every_cohort_go_through_the_gate(repository: Path) -> None:
    """``more`` has the very people of ``ixi``, who are tested there, under the same names."""
    same = MORE[0].replace("seed: 7", "seed: 1").replace("{Guys: 6}", "{Guys: 4, HH: 1}")
    with pytest.raises(LeakageError, match=r"pretraining \(more\) (is|are) also in the test set of ixi"):
        plan(
            repository, same, "splits.more={train: 4, validation: 1, test: 0}", *REAL,
            "defaults.pretrain.data=more",
        )  # fmt: skip


def test_nobody_is_in_two_cohorts(repository: Path) -> None:
    same = MORE[0].replace("seed: 7", "seed: 1").replace("{Guys: 6}", "{Guys: 4}")
    error = refused(repository, same, "splits.more={train: 3, validation: 1, test: 0}", *REAL, BOTH)
    assert "training subjects of 'more' are in 'ixi' too: phantom-ixi-1:IXI" in error.message or (
        "training subject of 'more' is in 'ixi' too: phantom-ixi-1:IXI" in error.message
    )


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (
            (*REAL, "defaults.pretrain.data=[{cohort: ixi, sequences: [FLAIR]}]"),
            "0 of the 2 training subjects of 'ixi' have a scan with the maps image of the sequences FLAIR",
        ),
        (
            (*REAL, BOTH, "defaults.pretrain.batch_size=8"),
            "a batch of 8 needs as many pretraining subjects, and of 'ixi' 3 for its share, and 'ixi' has 2",
        ),
        (
            ("methods.seqinv.views=seqinv-real", "defaults.pretrain.data=[{cohort: ixi, sequences: [T1w]}]"),
            "'ixi' have a session with scans of 2 sequences with the maps image of the sequences T1w",
        ),
        ((BOTH, *REAL, "defaults.pretrain.spacing_mm=null"), "spacing_mm: required to pretrain on 2 cohorts"),
        (("defaults.pretrain.data=[qmri, nobody]",), "no cohort 'nobody' under 'data'"),
        (("defaults.pretrain.data=[qmri, qmri]",), "expected each cohort once, got qmri more than once"),
        (("defaults.pretrain.data=[{cohort: qmri, share: 1.0}, ixi]",), "expected a share of every cohort"),
    ],
)
def test_what_cannot_be_pretrained_on_is_refused(
    repository: Path, sets: Sequence[str], sentence: str
) -> None:
    assert sentence in refused(repository, *MORE, *sets).message


def test_people_without_a_pair_are_left_out_and_counted(repository: Path) -> None:
    """All have three sequences, so a pair of two of them is there for everybody."""
    made = plan(repository, "methods.seqinv.views=seqinv-real", "defaults.pretrain.data=ixi")
    assert len(pretrain(made).sources[0].train) == 2
    assert not [note for note in made.notes if "session" in note]
