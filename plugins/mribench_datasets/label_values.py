"""What the values of a label say: whether any voxel belongs to a class, and whether it is all there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mribench.volumes import Volume, share_outside

_CLASS = 0.5
_MOST_IN_A_VOXEL = 1.1
_MOSTLY = 0.5
_LOST, _ALL = 0.01, 0.999


def label_problem(paths: Sequence[Path], memberships: Volume, image: Path) -> str:
    """Return why memberships fit no class, or an empty string.

    Args:
        paths: of the classes.
        memberships: ``(C, I, J, K)`` in 0..1.
        image: that they are the label of.
    """
    largest = float(memberships.data.max())
    if 0 < largest <= _CLASS:
        return f"{paths[0]} has no value above {largest:.3g}: no voxel belongs to a class (above {_CLASS:g})"
    total = float(memberships.data.sum(0).max())
    if total > _MOST_IN_A_VOXEL:
        return (
            f"{paths[0]} and its like add up to {total:.3g} in a voxel, expected shares of at most 1:"
            " are they of different classes?"
        )
    if _lost(memberships, image) > _ALL:
        return f"no voxel of the label {paths[0]} lies in the field of view of {image}"
    return ""


def label_remarks(paths: Sequence[Path], memberships: Volume, image: Path, one_class: bool) -> dict[str, str]:
    """Return what is odd about memberships, a sentence by its kind.

    Args:
        paths: of the classes.
        memberships: ``(C, I, J, K)`` in 0..1.
        image: that they are the label of.
        one_class: whether it is a mask, which most of a volume seldom belongs to.
    """
    some = memberships.data.sum(0) > _CLASS
    if not some.any():
        return {"empty label": f"{paths[0]} has no voxel of any class"}
    found = {}
    covered = float(some.mean())
    if one_class and covered > _MOSTLY:
        sentence = f"{paths[0]} covers {covered:.0%} of its field of view: is it turned inside out?"
        found["label of most of the volume"] = sentence
    lost = _lost(memberships, image)
    if lost >= _LOST:
        sentence = f"{lost:.0%} of the label {paths[0]} lies outside of the field of view of {image}"
        found["label that is partly outside of the image"] = sentence
    return found


def _lost(memberships: Volume, image: Path) -> float:
    """Return which share of the voxels that belong to a class lies outside of an image's field of view."""
    some = (memberships.data.sum(0) > _CLASS).astype(np.float32)
    return share_outside(Volume(some, memberships.affine), image)
