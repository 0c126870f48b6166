"""Nobody who is tested was pretrained or trained on, whatever the cohorts are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mribench.errors import LeakageError
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.split import Split
from mribench.plan.cohorts import Cohort
from mribench.plan.leakage import check_leakage, split_digest

SCANS = (Scan("T1w", {"image": Path("x.nii.gz")}),)


def person(identity: str, *aliases: str, scans: tuple[Scan, ...] = SCANS) -> Subject:
    namespace, name = identity.split(":")
    return Subject(namespace, name, "here", scans, aliases=aliases)


def cohort(
    name: str, people: list[Subject], train: str = "", validation: str = "", missing: str = "", **test: str
) -> Cohort:
    """Make a cohort whose groups are given as ids between spaces."""
    split = Split(
        tuple(train.split()),
        tuple(validation.split()),
        {site: tuple(ids.split()) for site, ids in test.items()},
    )
    component: Any = SimpleNamespace()
    by_id = {subject.id: subject for subject in people}
    return Cohort(name, component, missing, by_id, {}, None if missing else split, tuple(test))


def benchmark(pretrain: list[str], tasks: list[str], invariance: tuple[str, ...] = ()) -> Any:
    pretrained = {
        f"m{i}": SimpleNamespace(options=SimpleNamespace(data=[SimpleNamespace(cohort=n)]))
        for i, n in enumerate(pretrain)
    }
    methods = {name: SimpleNamespace(pretraining=made, weights=None) for name, made in pretrained.items()}
    return SimpleNamespace(
        config=SimpleNamespace(invariance=dict.fromkeys(invariance)),
        methods=methods,
        pretrained=lambda: pretrained,
        tasks={f"t{i}": SimpleNamespace(spec=SimpleNamespace(data=n)) for i, n in enumerate(tasks)},
    )


def complaint(
    pretrain: list[str], tasks: list[str], *cohorts: Cohort, invariance: tuple[str, ...] = ()
) -> str:
    with pytest.raises(LeakageError) as caught:
        check_leakage(benchmark(pretrain, tasks, invariance), {found.name: found for found in cohorts})
    assert "splits" in caught.value.hint
    assert "template" in caught.value.hint, "an image that is nobody's needs another way out"
    return caught.value.message


def passes(pretrain: list[str], tasks: list[str], *cohorts: Cohort) -> None:
    assert check_leakage(benchmark(pretrain, tasks), {found.name: found for found in cohorts}) == []


MAPS = cohort("maps", [person("mpm:1"), person("mpm:2")], "mpm:1", "mpm:2")
SCANNED = cohort(
    "scans", [person(f"ixi:{i}") for i in range(4)], "ixi:0", "ixi:1", A="ixi:2", B="ixi:3"
)  # fmt: skip


def test_other_people_pass():
    passes(["maps"], ["scans"], MAPS, SCANNED)


def test_one_cohort_for_everything_passes_while_its_split_keeps_people_apart():
    passes(["scans"], ["scans", "scans"], SCANNED)


@pytest.mark.parametrize("group", ["train", "validation"])
def test_pretraining_on_test_subjects(group):
    again = cohort("again", [person("ixi:3")], **{group: "ixi:3"})
    assert complaint(["again"], ["scans"], again, SCANNED) == (
        "1 subject of pretraining (again) is also in the test set of scans (B): ixi:3"
    )


def test_any_of_several_methods():
    again = cohort("again", [person("ixi:3")], "ixi:3")
    assert "pretraining (again)" in complaint(["maps", "again"], ["scans"], MAPS, again, SCANNED)


@pytest.mark.parametrize(("group", "word"), [("train", "training"), ("validation", "validation")])
def test_a_task_that_learns_from_its_own_test_subjects(group, word):
    same = person("ixi:2", "other:2")
    wrong = cohort("wrong", [same, person("other:2"), person("ixi:9")], **{group: "other:2"}, A="ixi:2")
    assert complaint(["maps"], ["wrong"], MAPS, wrong) == (
        f"1 subject of the {word} set of wrong is also in the test set of wrong (A): ixi:2"
    )


def test_two_tasks_may_share_people_as_their_decoders_never_meet():
    fold = cohort("fold", [person(f"ixi:{i}") for i in range(4)], "ixi:2 ixi:3", A="ixi:0", B="ixi:1")
    passes(["maps"], ["scans", "fold"], MAPS, SCANNED, fold)


def test_a_leak_that_a_split_was_told_to_make_is_a_note():
    leaky = replace(SCANNED, split=Split(("ixi:0", "ixi:2"), ("ixi:1",), {"A": ("ixi:2",)}, leaks=True))
    (note,) = check_leakage(benchmark(["maps"], ["scans"]), {"maps": MAPS, "scans": leaky})
    assert note.startswith("leakage, as asked for: 1 subject of the training set of scans")
    assert note.endswith("ixi:2")


def test_a_leaky_split_does_not_excuse_pretraining_on_the_tested():
    leaky = replace(SCANNED, split=Split(("ixi:0",), (), {"A": ("ixi:2",)}, leaks=True))
    again = cohort("again", [person("ixi:2")], "ixi:2")
    assert "pretraining (again)" in complaint(["again"], ["scans"], again, leaky)


def test_embedded_subjects_must_not_have_been_pretrained_on():
    again = cohort("again", [person("ixi:3")], "ixi:3")
    text = complaint(["again"], [], again, SCANNED, invariance=("scans",))
    assert "pretraining (again)" in text
    assert text.endswith("(B): ixi:3")


def test_a_split_that_overlaps_in_itself():
    wrong = cohort("wrong", [person("ixi:1"), person("ixi:2")], "ixi:1 ixi:2", A="ixi:2")
    assert "training set of wrong" in complaint([], ["wrong"], wrong)


def test_two_cohorts_of_one_archive_share_people_not_folders():
    one = cohort("one", [person("ixi:1", scans=(Scan("T1w", {"image": Path("a/x.nii")}),))], "ixi:1")
    two = cohort(
        "two", [person("ixi:1", scans=(Scan("T2w", {"image": Path("b/y.nii")}, "later"),))], A="ixi:1"
    )
    assert "ixi:1" in complaint(["one"], ["two"], one, two)


def test_the_same_name_in_another_namespace_is_another_person():
    passes(["one"], ["scans"], cohort("one", [person("arc:3")], "arc:3"), SCANNED)


@pytest.mark.parametrize(
    ("learnt", "tested"),
    [
        (person("a:1", "ixi:3"), person("ixi:3")),
        (person("ixi:3"), person("a:1", "ixi:3")),
        (person("a:1", "scanner:77"), person("b:2", "scanner:77")),
    ],
)
def test_aliases_are_the_same_person(learnt, tested):
    one = cohort("one", [learnt], learnt.id)
    two = cohort("two", [tested], A=tested.id)
    assert complaint(["one"], ["two"], one, two).endswith(f"(A): {tested.id}")


@pytest.mark.parametrize("spelling", ["IXI:3", "ixi: 3", " Ixi :3"])
def test_a_namespace_is_known_in_any_case_and_with_blanks(spelling):
    again = cohort("again", [person(spelling)])
    again = replace(again, split=Split((spelling,), (), {}))
    assert complaint(["again"], ["scans"], again, SCANNED).endswith("(B): ixi:3")


def with_images(found: Cohort, **digests: str) -> Cohort:
    """Give subjects ``a:x`` an image each, by the digest of its voxels."""
    voxels = {f"a:{name}": {digest: Path(f"{name}.nii")} for name, digest in digests.items()}
    return replace(found, voxels=voxels)


def test_one_scan_under_two_names_is_one_person():
    both = cohort("both", [person("a:x"), person("a:y")], "a:x", A="a:y")
    passes([], ["both"], with_images(both, x="1", y="2"))
    text = complaint([], ["both"], with_images(both, x="1", y="1"))
    assert text == (
        "1 subject of the training set of both is also in the test set of both (A), under another name:"
        " a:y is a:x (the same image: y.nii, x.nii)"
    )


def test_one_scan_in_another_cohort_and_namespace_is_one_person():
    learnt = with_images(cohort("learnt", [person("a:x")], "a:x"), x="1")
    tested = replace(SCANNED, voxels={"ixi:3": {"1": Path("z.nii")}})
    assert "ixi:3 is a:x" in complaint(["learnt"], ["scans"], learnt, tested)
    assert "ixi:3 is a:x" in complaint(["learnt"], [], learnt, tested, invariance=("scans",))


def test_a_person_of_several_names_counts_once():
    one = cohort("one", [person("ixi:1", "x:1", "y:1")], "ixi:1")
    two = cohort("two", [person("ixi:1", "x:1", "y:1")], A="ixi:1")
    assert complaint(["one"], ["two"], one, two).startswith("1 subject")


def test_many_names_are_cut_and_counted():
    ids = [f"ixi:{i:02d}" for i in range(9)]
    people = [person(i) for i in ids]
    text = complaint(
        ["one"], ["two"], cohort("one", people, " ".join(ids)), cohort("two", people, A=" ".join(ids))
    )
    assert text.startswith("9 subjects")
    assert text.endswith("ixi:00, ixi:01, ixi:02, ixi:03, ixi:04 and 4 more")


def test_people_whom_no_cohort_has_are_said():
    gone = cohort("gone", [], missing="not downloaded")
    named = benchmark([], ["scans"])
    named.methods["given"] = SimpleNamespace(
        weights=SimpleNamespace(people=["IXI: 0", "ixi-t1:2"], cohorts=[])
    )
    assert check_leakage(named, {"scans": SCANNED}) == [
        "methods.given.weights.pretrained_on: no cohort here has ixi-t1:2; people are named as ixi:0"
    ]
    assert check_leakage(named, {"scans": SCANNED, "gone": gone}) == [], "who is missing is not known"


def test_missing_cohorts_are_left_out():
    gone = cohort("gone", [], missing="not downloaded")
    passes(["gone"], ["scans"], gone, SCANNED)
    passes(["maps"], ["gone"], MAPS, gone)


@given(
    st.sets(st.integers(0, 8)),
    st.sets(st.integers(0, 8)),
    st.sets(st.integers(0, 8)),
    st.sets(st.integers(0, 8)),
)
def test_leakage_is_found_exactly_where_sets_meet(pretrained, trained, validated, tested):
    people = [person(f"p:{i}") for i in range(9)]

    def ids(numbers: set[int]) -> str:
        return " ".join(f"p:{i}" for i in sorted(numbers))

    cohorts = [
        cohort("a", people, ids(pretrained)),
        cohort("b", people, ids(trained), ids(validated), S=ids(tested)),
    ]
    if tested & (pretrained | trained | validated):
        complaint(["a"], ["b"], *cohorts)
    else:
        passes(["a"], ["b"], *cohorts)


def test_split_digest_depends_on_who_is_where_and_not_on_order():
    one = split_digest({"train": ("a", "b"), "test": ("c",)})
    assert one == split_digest({"test": ("c",), "train": ("b", "a")})
    assert one != split_digest({"train": ("a",), "test": ("b", "c")})
    assert one != split_digest({"train": ("a", "b"), "tests": ("c",)})
    assert len(one) == 16
