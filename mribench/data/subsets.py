"""Nested label subsets: 1 % ⊂ 10 % ⊂ 100 %, the same for every method."""

from __future__ import annotations

from collections.abc import Sequence

from mribench.seeding import numpy_generator


def label_subset(subjects: Sequence[str], fraction: float, subset_seed: int) -> tuple[str, ...]:
    """Return ``max(1, round(fraction n))`` of n subjects, a prefix of one order per ``subset_seed``.

    Args:
        subjects: subject ids, in any order.
        fraction: in (0, 1].
        subset_seed: draws the order; apart from the train seeds.
    """
    ordered = sorted(subjects)
    numpy_generator("label-subset", subset_seed).shuffle(ordered)
    return tuple(ordered[: max(1, round(fraction * len(ordered)))])
