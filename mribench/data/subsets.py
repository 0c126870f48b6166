"""Nested label subsets: 1 % ⊂ 10 % ⊂ 100 %, the same for every method."""

from __future__ import annotations

from collections.abc import Sequence

from mribench.seeding import numpy_generator


def compute_subset_size(n_subjects: int, fraction: float) -> int:
    """Return how many of n training subjects a label fraction has: at least one."""
    return max(1, round(fraction * n_subjects)) if n_subjects else 0


def draw_label_subset(subjects: Sequence[str], fraction: float, draw: int) -> tuple[str, ...]:
    """Return the ``compute_subset_size`` first subjects of one order per draw, sorted.

    Sorted, so that the same subjects are the same training set, whatever drew them.

    Args:
        subjects: subject ids, in any order.
        fraction: in (0, 1].
        draw: which order: a seed for this alone, or the train seed whose own draw it is.
    """
    ordered = sorted(subjects)
    numpy_generator("label-subset", draw).shuffle(ordered)
    return tuple(sorted(ordered[: compute_subset_size(len(ordered), fraction)]))
