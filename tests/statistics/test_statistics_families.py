"""Rows are compared over the same seeds and subjects, and none decides alone which those are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mribench.statistics.marking import find_shared
from mribench.statistics.tables import SeedSubjectTable


def tables(*lacking: tuple[object, object], shape: tuple[int, int] = (5, 6)) -> dict[str, SeedSubjectTable]:
    """A row for each (seeds, subjects) that it lacks; the last element of a pair is given under one seed."""
    found = {}
    for place, (seed, subject) in enumerate(lacking):
        values = np.arange(float(np.prod(shape))).reshape(shape)
        if seed is not None:
            values[seed] = np.nan
        if subject is not None:
            values[1, subject] = np.nan
        found["abcdefg"[place]] = SeedSubjectTable(
            values, pd.Index(range(shape[0])), pd.Index(list("uvwxyz"))
        )
    return found


def test_all_of_everything() -> None:
    found = find_shared(tables((None, None), (None, None)))
    assert (list(found.seeds), list(found.subjects), found.members, found.out) == (
        [0, 1, 2, 3, 4], list("uvwxyz"), ("a", "b"), {},
    )  # fmt: skip


@pytest.mark.parametrize("others", [1, 2, 4])
def test_who_lacks_what_half_of_the_rows_have_is_out(others: int) -> None:
    rest = [(None, None)] * others
    found = find_shared(tables((4, None), *rest))
    assert found.out == {"a": "4 of 5 seeds"}
    assert list(found.seeds) == [0, 1, 2, 3, 4]
    found = find_shared(tables((None, [0, 1]), *rest))
    assert found.out == {"a": "4 of 6 subjects"}
    assert len(found.members) == others
    without = tables(*[(None, None)] * (1 + others))
    without["a"].values[np.arange(6) % 5, np.arange(6)] = np.nan
    found = find_shared(without)
    assert found.out == {"a": "0 of 6 subjects"}, "one without a complete subject"


def test_what_few_have_does_not_count() -> None:
    """One row with more seeds than the others does not put them out; it is compared over theirs."""
    found = find_shared(tables((None, None), (4, None), (4, None)))
    assert found.out == {}
    assert list(found.seeds) == [0, 1, 2, 3]
    part = found.part_of(tables((None, None))["a"])
    np.testing.assert_array_equal(part.values, np.arange(30.0).reshape(5, 6)[:4])
    found = find_shared(tables((None, None), (None, [2]), (None, [2])))
    assert list(found.subjects) == list("uvxyz")
    assert found.out == {}


def test_nothing_to_compare() -> None:
    assert find_shared({}).members == ()
