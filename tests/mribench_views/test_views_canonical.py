"""Whatever sequence a view of ``canonical`` shows, its target is one fixed MPRAGE of the same place."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch

from mribench.interfaces import ViewRequest

PATCH, SPACING_MM = 16, 4.0
Fixture = Callable[..., Any]


def make(generator: Fixture, head: Fixture, rngs: Fixture, **options: Any) -> list[Any]:
    views = generator("canonical", **options)
    return list(views.views(head(4, 20), [ViewRequest(), ViewRequest()], PATCH, SPACING_MM, rngs(4)))


def correlate(first: torch.Tensor, second: torch.Tensor) -> list[float]:
    """Return the correlation of two images ``(B, …)``, sample by sample."""
    return [
        float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])
        for one, other in zip(first, second, strict=True)
    ]


def test_the_target_does_not_know_the_sequence(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    by_sequence = [make(generator, head, rngs, sequences=[name]) for name in ("fse", "gre", "flair")]
    for first, second in itertools.pairwise(by_sequence):
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one.target, other.target)
            assert not torch.allclose(one.image, other.image, atol=0.1)
            assert set(one.sequences) != set(other.sequences)


def test_the_target_is_moved_as_the_view_is(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    moved = plain(rotation_deg=25.0, flip_probability=0.5, elastic_probability=1.0)
    made = make(generator, head, rngs, sequences=["mprage"], augment=moved, transmit_sd=0.0)
    for view in made:
        assert min(correlate(view.image, view.target)) > 0.9, "an MPRAGE of other times, and the same anatomy"
        assert max(correlate(view.image, view.target.flip(2))) < 0.8
    assert max(correlate(made[0].target, made[1].target)) < 0.95, "each view is moved by itself"


def test_the_target_has_no_artefacts_and_the_scale_of_its_own(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    noisy = plain(noise_probability=1.0, bias_probability=1.0, dropout_probability=1.0)
    degraded, clean = (make(generator, head, rngs, augment=each)[0] for each in (noisy, plain()))
    assert torch.equal(degraded.target, clean.target)
    assert not torch.equal(degraded.image, clean.image)
    assert torch.allclose(clean.target.std(dim=(1, 2, 3, 4)), torch.ones(4), atol=1e-3)
    assert torch.allclose(clean.target.mean(dim=(1, 2, 3, 4)), torch.zeros(4), atol=1e-4)


def test_each_view_draws_a_sequence_of_its_own(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    first, second = make(generator, head, rngs)
    assert len({*first.sequences, *second.sequences}) > 2
    assert first.sequences != second.sequences
