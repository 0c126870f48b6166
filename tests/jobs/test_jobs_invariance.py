"""Invariance measures where the answer is known: in closed form, by simulation, by other implementations."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import silhouette_samples
from sklearn.metrics.pairwise import cosine_similarity

from mribench.jobs.decoding import decode_sequence, decode_site, predict, unfit
from mribench.jobs.invariance import (
    Embedded,
    MeasuredInvariance,
    effective_rank,
    not_measurable,
    ordered,
    retrieval,
    similarity,
    spread,
)
from mribench.results.measures import (
    BETWEEN,
    DECODE_SEQUENCE,
    DECODE_SITE,
    EFFECTIVE_RANK,
    EMBEDDING_SD,
    MARGIN,
    MEASURES,
    RETRIEVAL,
    WITHIN,
)
from mribench.seeding import numpy_generator

SEQUENCES = ("FLAIR", "PDw", "T1w", "T2w")
Make = Callable[[int, str, str], np.ndarray]


def scans(
    make: Make, subjects: int = 8, sequences: tuple[str, ...] = SEQUENCES, sites: tuple[str, ...] = ("A",)
) -> Embedded:
    """One scan per subject and sequence; subjects take turns at the sites."""
    rows = [
        (
            make(number, sites[number % len(sites)], sequence),
            f"s{number}",
            sites[number % len(sites)],
            sequence,
            "",
        )
        for number in range(subjects)
        for sequence in sequences
    ]
    values, *labels = zip(*rows, strict=True)
    return Embedded(np.array(values), *(np.array(column) for column in labels))


def noise(dimensions: int, *name: object) -> Make:
    return lambda number, site, sequence: numpy_generator(
        "invariance", *map(str, name), number, site, sequence
    ).standard_normal(dimensions)


def one_hot(place: int, size: int) -> np.ndarray:
    return np.eye(size)[place]


def of(findings: list[MeasuredInvariance], measure: str, subject: str | None = None) -> list[float]:
    return [f.value for f in findings if f.measure == measure and subject in (None, f.subject)]


def everything(embedded: Embedded, seed: int = 0) -> list[MeasuredInvariance]:
    return [
        *similarity(embedded), *retrieval(embedded), *decode_sequence(embedded, seed),
        *decode_site(embedded, seed), *spread(embedded),
    ]  # fmt: skip


# Closed forms


def test_perfectly_invariant_embeddings() -> None:
    """Orthogonal people, nothing else: centred, two of n have the cosine -1/(n - 1)."""
    embedded = scans(lambda number, site, sequence: one_hot(number, 8))
    found = similarity(embedded)
    assert of(found, WITHIN) == pytest.approx([1.0] * 8)
    assert of(found, BETWEEN) == pytest.approx([-1 / 7] * 8)
    assert of(found, MARGIN) == pytest.approx([8 / 7] * 8)
    assert of(retrieval(embedded), RETRIEVAL) == [1.0] * 8
    # 8 points of equal singular values in 7 dimensions
    assert of(spread(embedded), EFFECTIVE_RANK) == pytest.approx([7.0])


def test_two_people_far_apart_have_the_margin_of_opposite_directions() -> None:
    found = similarity(scans(lambda number, site, sequence: np.array([1.0 - 2 * number, 5.0]), subjects=2))
    assert of(found, WITHIN) == pytest.approx([1, 1])
    assert of(found, BETWEEN) == pytest.approx([-1, -1])
    assert of(found, MARGIN) == pytest.approx([2, 2])


def test_a_pure_sequence_code_knows_no_person() -> None:
    embedded = scans(lambda number, site, sequence: one_hot(SEQUENCES.index(sequence), 4))
    found = similarity(embedded)
    assert of(found, WITHIN) == pytest.approx([-1 / 3] * 8)
    assert of(found, BETWEEN) == pytest.approx([1.0] * 8)
    assert of(found, MARGIN) == pytest.approx([-4 / 3] * 8)
    # every gallery is one point, so all of it ties: chance, exactly
    assert of(retrieval(embedded), RETRIEVAL) == pytest.approx([1 / 8] * 8)
    decoded = decode_sequence(embedded, 0)
    assert (decoded[0].value, decoded[0].chance, decoded[0].n, decoded[0].n_subjects) == (1.0, 0.25, 32, 8)
    assert of(decoded[1:], DECODE_SEQUENCE) == [1.0] * 8


def test_a_pure_site_code_is_read_within_each_sequence() -> None:
    embedded = scans(
        lambda number, site, sequence: one_hot("AB".index(site), 2) + 1e-3 * noise(2)(number, site, sequence),
        sites=("A", "B"),
    )
    whole = decode_site(embedded, 0)[0]
    assert (whole.value, whole.chance, whole.n, whole.n_subjects) == (1.0, 0.5, 32, 8)
    sequence = decode_sequence(embedded, 0)[0]
    assert sequence.value < 0.5  # which tells nothing of the sequence
    assert sequence.chance == 0.25


def test_site_is_not_read_off_the_sequences_that_a_site_has() -> None:
    """Site A has T1w only, B T2w only: a pure sequence code would give the site away across sequences."""
    embedded = scans(lambda number, site, sequence: one_hot(SEQUENCES.index(sequence), 4), sites=("A", "B"))
    apart = (embedded.site == "A") == (embedded.sequence == "T1w")
    both = np.isin(embedded.sequence, ("T1w", "T2w"))
    [found] = decode_site(embedded.at(apart & both), 0)
    assert found.status == "not-measurable"
    assert found.reason == "T1w: one class only (A); T2w: one class only (B)"


def test_invariant_embeddings_decode_to_chance() -> None:
    """Every scan of a subject alike: all of them are taken for one sequence, and one in four is right."""
    embedded = scans(lambda number, site, sequence: noise(5, "person")(number, "", ""), subjects=12)
    whole = decode_sequence(embedded, 0)[0]
    assert whole.value == pytest.approx(0.25)


# The raw cosine, and what centring does


def test_cosines_do_not_change_with_a_common_offset_or_scale() -> None:
    embedded = scans(noise(6))
    moved = Embedded(
        1000 + 7 * embedded.values, embedded.subject, embedded.site, embedded.sequence, embedded.session
    )
    np.testing.assert_allclose(moved.cosines(), embedded.cosines(), atol=1e-9)
    assert of(similarity(moved), MARGIN) == pytest.approx(of(similarity(embedded), MARGIN), abs=1e-9)
    raw = cosine_similarity(moved.values)
    assert raw.min() > 0.99


def test_cosines_are_sklearns() -> None:
    embedded = scans(noise(5))
    expected = cosine_similarity(embedded.values - embedded.values.mean(axis=0))
    np.testing.assert_allclose(embedded.cosines(), expected, atol=1e-12)


def test_the_margin_has_the_silhouettes_numerator() -> None:
    """Two subjects at one site, two sequences: cosine distances within and between, as sklearn has them."""
    embedded = scans(noise(4), subjects=2, sequences=("T1w", "T2w"))
    distance = 1 - embedded.cosines()
    np.fill_diagonal(distance, 0)
    ours = similarity(embedded)
    for number, subject in enumerate(("s0", "s1")):
        own, other = [2 * number, 2 * number + 1], [2 - 2 * number, 3 - 2 * number]
        a = distance[own[0], own[1]]
        assert of(ours, WITHIN, subject) == pytest.approx([1 - a])
        b = np.mean([distance[i, j] for i, j in zip(own, other, strict=True)])  # same sequence
        assert of(ours, MARGIN, subject) == pytest.approx([b - a])
    # where the sequences coincide the restriction does nothing: sklearn's is (b - a) / max(a, b)
    flat = scans(lambda number, site, sequence: noise(4, "flat")(number, "", ""), subjects=3)
    d = np.clip(1 - flat.cosines(), 0, None)
    np.fill_diagonal(d, 0)
    silhouette = silhouette_samples(d, flat.subject, metric="precomputed")
    assert silhouette == pytest.approx(np.ones(12), abs=1e-6)
    assert min(of(similarity(flat), MARGIN)) > 0


# By brute force


def brute_within(e: Embedded, cos: np.ndarray, subject: str) -> float:
    pairs = [
        cos[i, j] for i, j in product(range(len(e)), repeat=2)
        if i < j and e.subject[i] == e.subject[j] == subject and e.sequence[i] != e.sequence[j]
        and e.session[i] == e.session[j]
    ]  # fmt: skip
    return float(np.mean(pairs))


def brute_between(e: Embedded, cos: np.ndarray, subject: str) -> float:
    means = []
    for i in range(len(e)):
        alike = [
            cos[i, j] for j in range(len(e))
            if e.subject[j] != subject and (e.sequence[i], e.site[i]) == (e.sequence[j], e.site[j])
        ]  # fmt: skip
        if e.subject[i] == subject and alike:
            means.append(np.mean(alike))
    return float(np.mean(means))


def brute_retrieval(e: Embedded, cos: np.ndarray, subject: str) -> tuple[float, float]:
    hits, chances = [], []
    for i in range(len(e)):
        if e.subject[i] != subject:
            continue
        for sequence in sorted(set(e.sequence) - {e.sequence[i]}):
            gallery = [j for j in range(len(e)) if e.sequence[j] == sequence and e.site[j] == e.site[i]]
            mine = [j for j in gallery if e.subject[j] == subject]
            if mine and len(mine) < len(gallery):
                hits.append(e.subject[max(gallery, key=lambda j: cos[i, j])] == subject)
                chances.append(len(mine) / len(gallery))
    return float(np.mean(hits)), float(np.mean(chances))


def two_sessions() -> Embedded:
    one, two = scans(noise(4, 1), sites=("A", "B")), scans(noise(4, 2), sites=("A", "B"))
    keep = np.arange(len(two)) % 5 != 0  # an unbalanced cohort
    two = two.at(keep)
    names = ("values", "subject", "site", "sequence")
    joined = (np.concatenate([getattr(one, name), getattr(two, name)]) for name in names)
    return Embedded(*joined, np.array(["ses-1"] * len(one) + ["ses-2"] * len(two)))


def test_similarity_and_retrieval_by_brute_force() -> None:
    embedded = two_sessions()
    cos = cosine_similarity(embedded.values - embedded.values.mean(axis=0))
    found, retrieved = similarity(embedded), retrieval(embedded)
    for subject in sorted(set(embedded.subject)):
        assert of(found, WITHIN, subject) == pytest.approx([brute_within(embedded, cos, subject)])
        assert of(found, BETWEEN, subject) == pytest.approx([brute_between(embedded, cos, subject)])
        [query] = [f for f in retrieved if f.subject == subject]
        assert (query.value, query.chance) == pytest.approx(brute_retrieval(embedded, cos, subject))


def test_counts_of_pairs_and_queries() -> None:
    within, between, margin = similarity(scans(noise(4), sites=("A", "B")))[:3]
    assert (within.n, between.n, margin.n) == (6, 4 * 3, 18)
    assert margin.value == within.value - between.value
    assert (margin.chance, retrieval(scans(noise(4), sites=("A", "B")))[0].chance) == (0.0, 1 / 4)
    assert retrieval(scans(noise(4)))[0].n == 4 * 3
    assert math.isnan(within.chance)


def test_other_sessions_count_only_where_none_has_two_sequences() -> None:
    values = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [2, 2], [3, -1]])
    sequence = np.array(["T1w", "T2w", "T1w", "T2w", "T1w", "T2w"])
    subject = np.array(["a", "a", "a", "a", "b", "b"])
    same = Embedded(values, subject, np.full(6, "A"), sequence, np.array(["1", "1", "2", "2", "1", "2"]))
    findings = {f.subject: f for f in similarity(same) if f.measure == WITHIN}
    assert (findings["a"].n, findings["b"].n) == (2, 1)


def test_a_scan_of_another_session_of_the_same_subject_is_a_hit() -> None:
    values = np.array([[1.0, 0.1], [1, 0], [0, 1], [0.1, 1]])
    embedded = Embedded(
        values, np.array(["a", "a", "b", "b"]), np.full(4, "A"), np.array(["T1w", "T2w"] * 2),
        np.array(["1", "2", "1", "2"]),
    )  # fmt: skip
    assert of(retrieval(embedded), RETRIEVAL) == [1.0, 1.0]


# What cannot be measured


def test_one_point_is_not_invariant_but_not_measurable() -> None:
    embedded = scans(lambda number, site, sequence: np.array([0.1, 0.2, 0.3]), sites=("A", "B"))
    for finding in everything(embedded):
        if finding.measure in (EFFECTIVE_RANK, EMBEDDING_SD):
            continue
        assert finding.status == "not-measurable"
        assert "all embeddings coincide" in finding.reason
        assert math.isnan(finding.value)
    assert of(spread(embedded), EFFECTIVE_RANK) == [1.0]
    assert of(spread(embedded), EMBEDDING_SD) == pytest.approx([0.0], abs=1e-12)


def test_reasons_of_what_is_too_little() -> None:
    one_sequence = scans(noise(3), sequences=("T1w",))
    assert {f.reason for f in similarity(one_sequence) if f.measure == WITHIN} == {
        "scans of one sequence only"
    }
    assert {f.status for f in retrieval(one_sequence)} == {"not-measurable"}
    assert decode_sequence(one_sequence, 0)[0].reason == "one class only (T1w)"
    alone = scans(noise(3), subjects=1)
    found = {f.measure: f for f in similarity(alone)}
    assert found[WITHIN].status == "ok"
    assert found[BETWEEN].reason == "no other subject with the same sequence at the same site"
    assert found[MARGIN].reason == found[BETWEEN].reason
    assert decode_sequence(alone, 0)[0].reason == "1 subject of class FLAIR, 3 are needed"
    assert decode_sequence(scans(noise(3), subjects=2), 0)[0].reason.startswith("2 subjects of class FLAIR")
    assert decode_sequence(scans(noise(3), subjects=3), 0)[0].status == "ok"
    assert [f.status for f in spread(alone.at([0]))] == ["not-measurable"] * 2
    none = alone.at([])
    assert similarity(none) == retrieval(none) == []
    assert decode_sequence(none, 0)[0].reason == decode_site(none, 0)[0].reason == "no scans"


def test_a_sequence_with_too_few_at_a_site_is_left_out_and_named() -> None:
    embedded = scans(noise(3), sites=("A", "B"))
    few = (embedded.sequence == "FLAIR") & np.isin(embedded.subject, ("s1", "s3"))
    [whole, *people] = decode_site(embedded.at(~few), 0)
    assert whole.status == "ok"
    assert whole.reason == "left out: FLAIR: 2 subjects of class B, 3 are needed"
    assert (whole.n, whole.chance) == (24, 0.5)
    assert len(people) == 8


def test_unfit_says_nothing_of_what_is_fit() -> None:
    embedded = scans(noise(3))
    assert unfit(embedded, embedded.sequence) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros(8)}, "expected embeddings"),
        ({"values": np.full((2, 3), np.nan)}, "finite"),
        ({"site": np.array(["A"])}, "expected 2 values of site"),
    ],
)
def test_what_embedded_refuses(change: dict[str, Any], message: str) -> None:
    good = {name: np.array(["a", "b"]) for name in ("subject", "site", "sequence", "session")}
    with pytest.raises(ValueError, match=message):
        Embedded(**({"values": np.zeros((2, 3)), **good} | change))


# Decoding: nobody is asked about whom it learnt from


def test_a_subject_is_never_in_training_and_test() -> None:
    """Labels that are the subject's own, and embeddings that are the subject: only leakage reads them."""
    embedded = scans(lambda number, site, sequence: one_hot(number, 12), subjects=12, sites=("A", "B"))
    assert decode_site(embedded, 0)[0].value <= 0.5
    leaked = predict(
        Embedded(
            embedded.values, np.arange(48).astype(str), embedded.site, embedded.sequence, embedded.session
        ),
        embedded.site,
        0,
    )
    assert (leaked == embedded.site).mean() > 0.9


def test_balanced_accuracy_weighs_sequences_alike() -> None:
    embedded = scans(lambda n, site, sequence: np.array([float(sequence == "T1w"), 0.0]), subjects=9)
    kept = embedded.at((embedded.sequence == "T1w") | (embedded.sequence == "T2w"))
    kept = kept.at(~((kept.sequence == "T2w") & np.isin(kept.subject, ["s0", "s1", "s2", "s3"])))
    predicted = predict(kept, kept.sequence, 0)
    recalls = [np.mean(predicted[kept.sequence == name] == name) for name in ("T1w", "T2w")]
    assert decode_sequence(kept, 0)[0].value == pytest.approx(np.mean(recalls))


def test_folds_are_seeded_and_nothing_else_is_random() -> None:
    embedded = scans(noise(6), subjects=15)
    first, again = decode_sequence(embedded, 3), decode_sequence(embedded, 3)
    assert first == again
    others = {decode_sequence(embedded, seed)[0].value for seed in range(5)}
    assert len(others) > 1


# Null simulation


def test_random_embeddings_are_at_chance() -> None:
    """Over 12 draws: retrieval, margin and decoding within four standard errors of chance."""
    hits, queries, margins, right, total, sites, site_total = 0.0, 0, [], 0.0, 0, 0.0, 0
    for draw in range(12):
        embedded = scans(
            noise(6, "null", draw), subjects=12, sites=("A", "B"), sequences=("T1w", "T2w", "PDw")
        )
        for finding in retrieval(embedded):
            hits, queries = hits + finding.value * finding.n, queries + finding.n
            assert finding.chance == pytest.approx(1 / 6)
        margins += of(similarity(embedded), MARGIN)
        sequence, site = decode_sequence(embedded, draw)[0], decode_site(embedded, draw)[0]
        right, total = right + sequence.value * sequence.n, total + sequence.n
        sites, site_total = sites + site.value * site.n, site_total + site.n
    assert hits / queries == pytest.approx(1 / 6, abs=4 * math.sqrt(5 / 36 / queries))
    assert np.mean(margins) == pytest.approx(0, abs=4 * np.std(margins) / math.sqrt(len(margins)))
    assert right / total == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / total))
    assert sites / site_total == pytest.approx(1 / 2, abs=4 * math.sqrt(1 / 4 / site_total))


def test_more_of_the_sequence_means_less_invariance() -> None:
    """The measures move the right way as a sequence code grows beside the person's."""
    margins, retrieved, decoded = [], [], []
    for weight in (0.0, 1.0, 4.0):

        def make(number: int, site: str, sequence: str, weight: float = weight) -> np.ndarray:
            person = noise(8, "person")(number, "", "")
            code = noise(8, "code")(0, "", sequence)
            return person + weight * code + 0.3 * noise(8, "rest")(number, site, sequence)

        embedded = scans(make, subjects=12)
        margins.append(np.mean(of(similarity(embedded), MARGIN)))
        retrieved.append(np.mean(of(retrieval(embedded), RETRIEVAL)))
        decoded.append(decode_sequence(embedded, 0)[0].value)
    assert margins[0] > margins[1] > margins[2]
    assert retrieved[0] >= retrieved[1] > retrieved[2] > 1 / 12
    assert decoded[0] < decoded[1] <= decoded[2] == 1.0


# The order of the scans says nothing


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(24)), st.integers(0, 1000))
def test_the_order_of_scans_does_not_matter(order: list[int], draw: int) -> None:
    embedded = scans(noise(4, draw), subjects=8, sequences=("T1w", "T2w", "PDw"), sites=("A", "B"))
    straight, shuffled = ordered(everything(embedded)), ordered(everything(embedded.at(order)))
    assert len(straight) == len(shuffled)
    for one, other in zip(straight, shuffled, strict=True):
        assert (one.measure, one.subject, one.n, one.status, one.reason) == (
            other.measure, other.subject, other.n, other.status, other.reason,
        )  # fmt: skip
        assert one.value == pytest.approx(other.value, abs=1e-12, nan_ok=True)
        assert one.chance == pytest.approx(other.chance, abs=1e-12, nan_ok=True)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(8)))
def test_names_say_nothing(names: list[int]) -> None:
    embedded = scans(noise(4), sites=("A", "B"))
    renamed = Embedded(
        embedded.values, np.array([f"x{names[int(s[1:])]}" for s in embedded.subject]), embedded.site,
        embedded.sequence, embedded.session,
    )  # fmt: skip
    for measure, function in ((MARGIN, similarity), (RETRIEVAL, retrieval)):
        assert sorted(of(function(renamed), measure)) == pytest.approx(
            sorted(of(function(embedded), measure))
        )


# The parts that others read


def test_every_finding_is_of_a_known_measure_and_kind() -> None:
    for finding in everything(scans(noise(5), subjects=9, sites=("A", "B"))):
        measure = MEASURES[finding.measure]
        assert measure.id == finding.measure
        if measure.per_subject:
            assert finding.subject
    assert {m for m in MEASURES if MEASURES[m].higher_is_better} == {
        WITHIN,
        MARGIN,
        RETRIEVAL,
        EFFECTIVE_RANK,
    }
    assert {m for m in MEASURES if MEASURES[m].higher_is_better is False} == {
        BETWEEN, DECODE_SEQUENCE, DECODE_SITE,
    }  # fmt: skip


def test_order_of_findings() -> None:
    shuffled = [
        MeasuredInvariance(MARGIN, "b", 0.1),
        not_measurable(DECODE_SITE, "x"),
        MeasuredInvariance(MARGIN, "a", 0.2),
    ]
    shuffled.append(MeasuredInvariance(WITHIN, "z", 0.0))
    assert [(f.measure, f.subject) for f in ordered(shuffled)] == [
        (WITHIN, "z"), (MARGIN, "a"), (MARGIN, "b"), (DECODE_SITE, ""),
    ]  # fmt: skip


def test_effective_rank_does_not_depend_on_scale() -> None:
    x = numpy_generator("scale").standard_normal((30, 5))
    assert effective_rank(1e-6 * x) == pytest.approx(effective_rank(x))
    assert effective_rank(x + 100) == pytest.approx(effective_rank(x))
    assert 1 < effective_rank(x) <= 5
