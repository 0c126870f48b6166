"""NT-Xent against the formula written out, against MONAI, and at its chance value."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from monai.losses import ContrastiveLoss
from mribench_objectives.nt_xent import nt_xent


def pair(rows: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator), torch.randn(rows, width, generator=generator)


def written_out(first, second, temperature, excluded=frozenset()) -> float:
    """Equation 1 of Chen et al. 2020, in plain Python; ``excluded`` holds pairs that are no negatives."""
    rows = [row.tolist() for row in torch.cat([first, second]).double()]
    n = len(first)

    def similarity(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    total = 0.0
    for i, anchor in enumerate(rows):
        other = (i + n) % (2 * n)
        exponentials = {
            j: math.exp(similarity(anchor, row) / temperature)
            for j, row in enumerate(rows)
            if j != i and (j == other or (i, j) not in excluded)
        }
        total -= math.log(exponentials[other] / sum(exponentials.values()))
    return total / (2 * n)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 9),
    width=st.integers(2, 20),
    temperature=st.floats(0.1, 2.0),
    seed=st.integers(0, 1000),
)
def test_equals_the_formula_and_monai(rows, width, temperature, seed):
    first, second = pair(rows, width, seed)
    ours = nt_xent(first, second, temperature).item()
    assert ours == pytest.approx(written_out(first, second, temperature), rel=1e-4, abs=1e-5)
    assert ours == pytest.approx(ContrastiveLoss(temperature)(first, second).item(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("rows", [2, 8, 32])
def test_equal_embeddings_score_chance(rows):
    same = torch.ones(rows, 16)
    assert nt_xent(same, same, 0.5).item() == pytest.approx(math.log(2 * rows - 1), rel=1e-5)


def test_aligned_pairs_score_less_than_shuffled_ones():
    first, _ = pair(8, 16)
    assert nt_xent(first, first, 0.5) < nt_xent(first, first.roll(1, 0), 0.5)


def test_low_temperatures_do_not_overflow():
    first, second = pair(8, 16)
    loss = nt_xent(first.requires_grad_(), second, 0.01)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(first.grad).all()


def test_rows_of_one_subject_are_no_negatives():
    first, second = pair(4, 8)
    subjects = ["a", "b", "a", "c"]
    excluded = {(i, j) for i in range(8) for j in range(8) if subjects[i % 4] == subjects[j % 4]}
    ours = nt_xent(first, second, 0.5, subjects).item()
    assert ours == pytest.approx(written_out(first, second, 0.5, excluded), rel=1e-5)
    assert ours < nt_xent(first, second, 0.5).item()


def test_different_subjects_change_nothing():
    first, second = pair(4, 8)
    assert nt_xent(first, second, 0.5, list("abcd")).item() == nt_xent(first, second, 0.5).item()


def test_one_subject_only_leaves_nothing_to_tell_apart():
    first, second = pair(4, 8)
    assert nt_xent(first, second, 0.5, ["a"] * 4).item() == pytest.approx(0)


def test_wrong_shapes_are_refused():
    first, second = pair(4, 8)
    with pytest.raises(ValueError, match="expected two"):
        nt_xent(first, second[:3], 0.5)
    with pytest.raises(ValueError, match="expected 4 subjects, got 2"):
        nt_xent(first, second, 0.5, ["a", "b"])
