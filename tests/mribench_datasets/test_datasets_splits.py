"""Split rules."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from mribench.errors import ConfigError, DataError
from mribench.interfaces import SplitRef, Subject


def people(**sites: int) -> list[Subject]:
    return [
        Subject("x", f"{site}{number:03d}", site, ())
        for site, count in sites.items()
        for number in range(count)
    ]


@pytest.fixture(scope="session")
def rule(registry):
    def _rule(name="subject", **options):
        component = SplitRef.model_validate({"name": name, **options})
        return registry.resolve(component, "splits.x", "corrected").make()

    return _rule


def parts(split):
    return [split.train, split.validation, *split.test.values()]


def test_shares_of_all_subjects(rule):
    split = rule().split(people(here=100))
    assert [len(part) for part in parts(split)] == [70, 10, 20]
    assert list(split.test) == ["here"]
    assert set().union(*parts(split)) == {subject.id for subject in people(here=100)}


def test_counts_and_shares_may_be_mixed(rule):
    split = rule(train=0.5, validation=3, test=7).split(people(here=40))
    assert [len(part) for part in parts(split)] == [20, 3, 7]


def test_one_is_a_count_and_one_point_nought_is_all(rule):
    assert len(rule(train=1, validation=0, test=0).split(people(here=5)).train) == 1
    assert len(rule(train=1.0, validation=0, test=0).split(people(here=5)).train) == 5


@given(count=st.integers(3, 60), seed=st.integers(0, 5), shuffle=st.integers(0, 99))
def test_parts_are_disjoint_and_the_listing_order_does_not_matter(rule, count, seed, shuffle):
    subjects = people(a=count, b=count // 2)
    split = rule(seed=seed).split(subjects)
    ids = [name for part in parts(split) for name in part]
    assert len(ids) == len(set(ids)) == len(subjects)
    random.Random(shuffle).shuffle(subjects)  # noqa: S311
    again = rule(seed=seed).split(subjects)
    assert (split.train, split.validation, dict(split.test)) == (
        again.train,
        again.validation,
        dict(again.test),
    )


def test_seeds_divide_differently_and_not_by_name(rule):
    subjects = people(here=60)
    splits = [rule(seed=seed).split(subjects) for seed in range(3)]
    assert len({frozenset(split.train) for split in splits}) == 3
    names = sorted(subject.id for subject in subjects)
    assert set(splits[0].test["here"]) != set(names[:12])
    assert list(splits[0].train) != sorted(splits[0].train)


def test_one_more_subject_hardly_moves_the_others(rule):
    before, after = (set(rule().split(people(here=n)).train) for n in (100, 101))
    assert len(before - after) <= 2


def test_test_subjects_are_kept_apart_by_site(rule):
    split = rule().split(people(a=20, b=60))
    assert list(split.test) == ["b", "a"]
    for site, ids in split.test.items():
        assert all(name.startswith(f"x:{site}") for name in ids)
    assert sum(len(ids) for ids in split.test.values()) == 16


def test_the_papers_sites(rule):
    by_site = rule("site", train_site="Guys", train=226, validation=31, test=65, test_sites=["HH", "IOP"])
    assert list(by_site.sites()) == ["Guys", "HH", "IOP"]
    split = by_site.split(people(Guys=322, HH=185, IOP=74, Else=9))
    assert [len(part) for part in parts(split)] == [226, 31, 65, 185, 74]
    assert list(split.test) == ["Guys", "HH", "IOP"]
    assert all("Guys" in name for name in (*split.train, *split.validation, *split.test["Guys"]))
    assert len({name for part in parts(split) for name in part}) == 581


def test_the_training_site_may_be_named_among_the_test_sites(rule):
    by_site = rule("site", train_site="a", test_sites=["a", "b"])
    split = by_site.split(people(a=10, b=3))
    assert list(split.test) == ["a", "b"]
    assert not set(split.train) & set(split.test["a"])


def test_too_few_subjects_are_told_in_numbers(rule):
    with pytest.raises(DataError, match=r"226 train \+ 31 validation \+ 65 test = 322 .* has 300"):
        rule("site", train_site="Guys", train=226, validation=31, test=65).split(people(Guys=300))
    with pytest.raises(DataError, match=r"6 train.*has 9"):
        rule(train=6, validation=2, test=2).split(people(here=9))


def test_parts_that_would_be_empty_are_told(rule):
    with pytest.raises(DataError, match=r"0\.01 of the 10 subjects of the cohort leaves none to test"):
        rule(train=0.5, test=0.01).split(people(here=10))
    with pytest.raises(DataError, match="none to train"):
        rule().split([])


def test_a_site_that_is_not_there_is_told_with_those_that_are(rule):
    with pytest.raises(DataError, match="'Guy'") as caught:
        rule("site", train_site="Guy").split(people(Guys=10, HH=2))
    assert "Guys, HH" in caught.value.hint
    with pytest.raises(DataError, match="'IOP'"):
        rule("site", train_site="Guys", test_sites=["IOP"]).split(people(Guys=10))


def test_amounts_that_make_no_sense_are_refused(rule):
    with pytest.raises(DataError, match=r"add up to 1\.2"):
        rule(train=0.8, validation=0.2, test=0.2).split(people(here=20))
    with pytest.raises(DataError, match="expected a count"):
        rule(train=1.5).split(people(here=20))
    with pytest.raises(ConfigError, match="train"):
        rule(train=-1)
    with pytest.raises(ConfigError, match="train_site"):
        rule("site")


def test_a_subject_must_not_come_twice(rule):
    with pytest.raises(DataError, match="twice"):
        rule().split([*people(here=10), *people(here=1)])


def test_sites_left_out_only_test(rule):
    subjects = people(a=10, b=10, c=4)
    split = rule("leave-sites-out", held_out=["c"]).split(subjects)
    assert list(split.test) == ["in-domain", "c"]
    assert set(split.test["c"]) == {subject.id for subject in subjects if subject.site == "c"}
    assert {name[2] for name in (*split.train, *split.validation, *split.test["in-domain"])} == {"a", "b"}
    assert [len(part) for part in parts(split)] == [14, 2, 4, 4]


def test_leave_one_site_out_tests_every_site_once(rule):
    subjects = people(a=6, b=6, c=6)
    folds = [rule("leave-sites-out", held_out=[site]).split(subjects) for site in "abc"]
    tested = [name for fold, site in zip(folds, "abc", strict=True) for name in fold.test[site]]
    assert sorted(tested) == sorted(subject.id for subject in subjects)


def test_a_site_that_is_not_there_cannot_be_left_out(rule):
    with pytest.raises(DataError, match="no subject was scanned at site 'd'") as caught:
        rule("leave-sites-out", held_out=["d"]).split(people(a=5, b=5))
    assert "a, b" in caught.value.hint


def test_nobody_is_left_to_train_when_all_sites_are_held_out(rule):
    with pytest.raises(DataError, match="leaves none to train"):
        rule("leave-sites-out", held_out=["a"]).split(people(a=5))


def test_sorted_prefixes_are_prefixes_of_the_names(rule):
    subjects = people(here=20)
    random.Random(3).shuffle(subjects)  # noqa: S311
    split = rule(defects=["sorted-prefix-splits"]).split(subjects)
    ids = sorted(subject.id for subject in subjects)
    assert (split.train, split.validation, split.test["here"]) == (
        tuple(ids[:14]), tuple(ids[14:16]), tuple(ids[16:]),
    )  # fmt: skip
    assert not split.leaks


@pytest.mark.parametrize(
    ("name", "options"),
    [("subject", {}), ("site", {"train_site": "a"}), ("leave-sites-out", {"held_out": ["b"]})],
)
def test_a_leak_trades_training_subjects_for_those_that_are_tested(rule, name, options):
    subjects = people(a=20, b=3)
    sound = rule(name, **options).split(subjects)
    leaky = rule(name, defects=["test-in-training"], **options).split(subjects)
    tested = set(next(iter(leaky.test.values())))
    assert leaky.test == sound.test
    assert leaky.leaks
    assert not sound.leaks
    assert len(leaky.train) == len(sound.train)
    assert tested <= set(leaky.train)


def test_more_tested_than_trained_leaks_as_many_as_trained(rule):
    leaky = rule(train=2, validation=0, test=5, defects=["test-in-training"]).split(people(a=10))
    assert len(leaky.train) == 2
    assert set(leaky.train) <= set(leaky.test["a"])


def test_as_released_leaks_only_where_there_is_one_site(registry):
    def released(name, **options):
        component = SplitRef.model_validate({"name": name, **options})
        return registry.resolve(component, "splits.x", "as-released").make().split(people(a=10, b=4))

    assert released("subject").leaks
    assert not released("site", train_site="a").leaks
    assert not released("leave-sites-out", held_out=["b"]).leaks


def test_draws_of_one_anatomy_stay_together(rule):
    subjects = [
        Subject("labelmap", f"head{head}.draw{draw}", "here", (), aliases=(f"labelmap:head{head}",))
        for head in range(10)
        for draw in range(3)
    ]
    split = rule(train=21, validation=3, test=6).split(subjects)
    heads = [{name.partition(".")[0] for name in part} for part in parts(split)]
    assert [len(part) for part in heads] == [7, 1, 2]
    assert not heads[0] & heads[1]
    assert not heads[0] & heads[2]
