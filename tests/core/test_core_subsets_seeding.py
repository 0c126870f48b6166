"""Seeds, label subsets and batches: what must be shared is shared, what must differ differs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from mribench.data.mixing import draw_batch_indices
from mribench.data.subsets import draw_label_subset
from mribench.errors import JobError
from mribench.seeding import derive_seed, numpy_generator, torch_generator

SUBJECTS = [f"ixi:{i:03d}" for i in range(226)]


def test_seed_is_fixed_for_all_time() -> None:
    # Written down once: a change here would change every published number.
    assert derive_seed("views", 0, 1) == 3726613753683812538
    assert derive_seed("a", 1) == derive_seed("a", 1)
    assert derive_seed("a", 1) != derive_seed("a", "1")
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


@given(st.lists(st.one_of(st.text(), st.integers(), st.booleans(), st.none()), min_size=1))
def test_seed_fits_every_generator(identity: list[str | int | bool | None]) -> None:
    seed = derive_seed(*identity)
    assert 0 <= seed < 2**63
    torch.Generator().manual_seed(seed)


def test_generators_repeat() -> None:
    assert torch.equal(
        torch.rand(3, generator=torch_generator("x")), torch.rand(3, generator=torch_generator("x"))
    )
    assert numpy_generator("x").random() == numpy_generator("x").random() != numpy_generator("y").random()


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 2), (0.1, 23), (1.0, 226), (0.001, 1)])
def test_paper_fractions(fraction: float, count: int) -> None:
    assert len(draw_label_subset(SUBJECTS, fraction, 0)) == count


@given(st.integers(0, 5), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_subsets_are_nested(seed: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert set(draw_label_subset(SUBJECTS, small, seed)) <= set(draw_label_subset(SUBJECTS, large, seed))


def test_subset_ignores_listing_order_and_follows_its_seed() -> None:
    assert draw_label_subset(SUBJECTS, 0.1, 3) == draw_label_subset(SUBJECTS[::-1], 0.1, 3)
    assert draw_label_subset(SUBJECTS, 0.1, 3) != draw_label_subset(SUBJECTS, 0.1, 4)


def test_the_same_subjects_are_the_same_subset_whatever_drew_them() -> None:
    assert draw_label_subset(SUBJECTS, 1.0, 3) == draw_label_subset(SUBJECTS, 1.0, 4) == tuple(SUBJECTS)


@given(st.integers(1, 8), st.integers(8, 30), st.integers(0, 100))
def test_no_subject_twice_in_a_batch(batch: int, subjects: int, step: int) -> None:
    indices = draw_batch_indices(subjects, batch, step, ("t",), repeat=False)
    assert len(set(indices)) == batch
    assert all(0 <= i < subjects for i in indices)


def test_an_epoch_shows_everybody() -> None:
    shown = [i for step in range(3) for i in draw_batch_indices(24, 8, step, ("t",), repeat=False)]
    assert sorted(shown) == list(range(24))


def test_batch_larger_than_the_cohort() -> None:
    with pytest.raises(JobError, match="needs as many pretraining subjects") as caught:
        draw_batch_indices(4, 8, 0, ("t",), repeat=False)
    assert "repeat_subjects" in caught.value.hint
    assert len(draw_batch_indices(4, 8, 0, ("t",), repeat=True)) == 8
